"""One call with its retries, told the time: what to send, what to make of the answer, when to send again.

Nothing here waits or touches a channel; the sync and the async client share it and only do the waiting.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from beholder.client import wire
from beholder.client.results import Ranked, Result, ScorerInfo
from beholder.client.retry import Retry
from beholder.client.samples import ImageLike, Sample, images_of, read_image, read_sample
from beholder.client.shared import Parcel
from beholder.clock import Clock
from beholder.errors import RETRYABLE, BeholderError, InvalidSample, code_of
from beholder.types import REQUEST_ID_FORM, Normalisation, Priority
from beholder.v1 import samples_pb2, scorer_service_pb2, scoring_service_pb2

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Terms:
    """What holds for one call, retries included.

    Attributes:
        deadline_s: on the client's clock.
        images: how its images are sent.
    """

    retry: Retry
    deadline_s: float
    request_id: str
    images: Parcel = field(default_factory=Parcel)

    @property
    def metadata(self) -> Metadata:
        """What goes with every try."""
        return (("x-request-id", self.request_id or uuid.uuid4().hex),)


@dataclass(frozen=True)
class Defaults:
    """What a client brings to every call.

    Attributes:
        images: makes what a call's images are sent by.
    """

    retry: Retry
    timeout_s: float
    clock: Clock
    images: Callable[[], Parcel] = Parcel

    def terms(self, timeout_s: float | None, request_id: str) -> Terms:
        """Return the terms of a call that starts now; None means the client's own timeout.

        Raises:
            InvalidSample: a server would not take this request id.
        """
        if request_id and not REQUEST_ID_FORM.fullmatch(request_id):
            wanted = "want 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'"
            raise InvalidSample(f"request_id: {wanted}, got {request_id!r}", "request_id")
        wanted_s = self.timeout_s if timeout_s is None else timeout_s
        return Terms(self.retry, self.clock() + wanted_s, request_id, self.images())


@dataclass(frozen=True)
class Ask:
    """Which scorers to ask, how urgently, and whether for maps; a lone name may be given as a string."""

    scorers: Sequence[str]
    panel: str
    priority: Priority
    explain: bool

    def request(self, samples: Sequence[samples_pb2.Sample]) -> scoring_service_pb2.ScoreRequest:
        """Return the message that asks about these samples."""
        return wire.score_request(samples, self.names, self.panel, self.priority, self.explain)

    def refusal(self, error: BeholderError) -> Result:
        """Return the result of a sample that no scorer saw."""
        return Result(dict.fromkeys(self.names, error), error)

    @property
    def names(self) -> list[str]:
        """The scorers' names."""
        return [self.scorers] if isinstance(self.scorers, str) else list(self.scorers)


class Call(Generic[Q, A, R]):
    """A call that is answered whole or not at all.

    Args:
        request: what to send.
        decode: makes the answer what the caller wants.
    """

    is_empty = False
    """Whether there is nothing to send at all."""

    def __init__(self, request: Q, decode: Callable[[A], R], terms: Terms) -> None:
        self.request, self.terms, self.metadata = request, terms, terms.metadata
        self._decode, self._failures = decode, 0
        self._result: R | None = None

    @property
    def result(self) -> R:
        """What the caller gets; only once there is nothing left to send."""
        assert self._result is not None  # noqa: S101  states our own order of calls, not a check of input
        return self._result

    def to_send(self) -> Q:
        """Return the request as it is to be sent now."""
        self.terms.images.check(self.request)
        return self.request

    def end(self) -> None:
        """Let go of what the request took; nothing more is sent."""
        self.terms.images.close()

    def left_s(self, now: float) -> float:
        """Return the seconds until the deadline."""
        return max(0.0, self.terms.deadline_s - now)

    def answered(self, answer: A, now: float) -> float | None:
        """Take an answer; return seconds to wait before sending again, or None: done."""
        self._result = self._decode(answer)
        return None

    def failed(self, error: BeholderError, now: float) -> float | None:
        """Take a failure; return seconds to wait before sending again, or None: done with what there is.

        Raises:
            BeholderError: this failure, where it must not or can no longer be retried.
        """
        delay_s = self._delay_s(error, now)
        if delay_s is None:
            raise error
        return delay_s

    def _delay_s(self, error: BeholderError, now: float) -> float | None:
        self._failures += 1
        return self.terms.retry.delay_s(error, self._failures, self.terms.deadline_s - now)


class ScoreCall(Call[scoring_service_pb2.ScoreRequest, scoring_service_pb2.ScoreResponse, list[Result]]):
    """A call for scores: what can't be read is never sent, and only what was refused for now is sent again."""

    def __init__(self, samples: Sequence[Sample], ask: Ask, terms: Terms) -> None:
        self._ask = ask
        self._results = dict[int, Result]()
        self._messages = dict[int, samples_pb2.Sample]()
        for index, sample in enumerate(samples):
            try:
                read = read_sample(sample, f"samples[{index}]")
                self._messages[index] = wire.sample_to(read, terms.images.image_to)
            except InvalidSample as error:
                self._results[index] = ask.refusal(error)
        super().__init__(ask.request(list(self._messages.values())), lambda _: self.result, terms)
        self.is_empty = bool(samples) and not self._messages

    @property
    def result(self) -> list[Result]:
        """One result for each sample, in the order sent."""
        return [self._results[index] for index in sorted(self._results)]

    def answered(self, answer: scoring_service_pb2.ScoreResponse, now: float) -> float | None:
        """Take the answer to what is left; what was refused for now stays."""
        left = list(self._messages)
        for index, result in zip(left, wire.results_from(answer, left), strict=True):
            self._results[index] = merged(self._results.get(index), result)
        again = [index for index in left if retryable_of(self._results[index])]
        worst = longest(self._results[index] for index in again)
        delay_s = self._delay_s(worst, now) if worst else None
        if delay_s is not None:
            self._messages = {index: self._messages[index] for index in again}
            self.request = self._ask.request(list(self._messages.values()))
        return delay_s

    def failed(self, error: BeholderError, now: float) -> float | None:
        """Take a failure; once some samples are answered, they are kept."""
        if not any(index in self._results for index in self._messages):
            return super().failed(error, now)
        return self._delay_s(error, now)


def merged(before: Result | None, result: Result) -> Result:
    """Return the result of a later try, with the scores and the image's id that an earlier one had."""
    if before is None:
        return result
    outcomes = {name: before.scores.get(name, outcome) for name, outcome in result.outcomes.items()}
    return Result(outcomes, result.error, result.image_id or before.image_id)


def retryable_of(result: Result) -> list[BeholderError]:
    """Return the errors of a result that another try may mend."""
    return [error for error in result.errors.values() if code_of(error) in RETRYABLE]


def longest(results: Iterable[Result]) -> BeholderError | None:
    """Return the error that asks for the longest wait before another try; None where no try can mend anything."""
    errors = [error for result in results for error in retryable_of(result)]
    return max(errors, key=lambda error: getattr(error, "retry_after_s", 0.0), default=None)


RankCall = Call[scoring_service_pb2.RankRequest, scoring_service_pb2.RankResponse, list[Ranked]]
ListCall = Call[scorer_service_pb2.ListScorersRequest, scorer_service_pb2.ListScorersResponse, R]
GetCall = Call[scorer_service_pb2.GetScorerRequest, scorer_service_pb2.GetScorerResponse, ScorerInfo]


def rank_call(
    candidates: ImageLike | Iterable[ImageLike],
    weights: Mapping[str, float],
    reference: ImageLike | None,
    prompt: str | None,
    normalisation: Normalisation,
    priority: Priority,
    terms: Terms,
) -> RankCall:
    """Build the call that orders candidates.

    Raises:
        InvalidSample: an image can't be read; without it there is no order.
    """
    image_to = terms.images.image_to
    images = [image_to(read_image(image, f"candidates[{index}]")) for index, image in enumerate(images_of(candidates))]
    compared = None if reference is None else image_to(read_image(reference, "reference"))
    request = wire.rank_request(images, weights, compared, prompt, normalisation, priority)
    return Call(request, wire.ranking_from, terms)


def weights_of(scorers: Mapping[str, float] | Iterable[str]) -> dict[str, float]:
    """Return scorer name -> weight, 1 where only names are given."""
    if isinstance(scorers, Mapping):
        return dict(scorers)
    return dict.fromkeys([scorers] if isinstance(scorers, str) else scorers, 1.0)


def list_call(decode: Callable[[scorer_service_pb2.ListScorersResponse], R], terms: Terms) -> ListCall[R]:
    """Build the call that describes the catalogue."""
    return Call(scorer_service_pb2.ListScorersRequest(), decode, terms)


def get_call(name: str, terms: Terms) -> GetCall:
    """Build the call that describes one scorer."""
    request = scorer_service_pb2.GetScorerRequest(name=name)
    return Call(request, lambda response: wire.scorer_from(response.scorer), terms)
