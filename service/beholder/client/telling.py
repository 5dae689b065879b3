"""Telling a taste more: any number of opinions, in requests of the size that a server takes.

Rules:
1. What can't be read is never sent; what was refused for now is sent again; both hurt no other opinion.
2. Every request has an id that is made from the caller's, so that the same call made again does nothing twice.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence

from beholder.client import taste_wire as wire
from beholder.client.calls import Terms
from beholder.client.opinions import NewOpinion
from beholder.client.shared import Parcel
from beholder.client.taste_calls import TasteCall
from beholder.client.taste_results import Opinion, OpinionOutcome, Taste, Told
from beholder.config import MIB
from beholder.errors import RETRYABLE, BeholderError, InputError, InvalidSample, code_of
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1 import tastes_pb2

PART_OPINIONS = 256
PART_BYTES = 64 * MIB
Messages = dict[int, tastes_pb2.NewOpinion]


class AddCall(TasteCall[pb.AddOpinionsRequest, pb.AddOpinionsResponse, None]):
    """One request of opinions: only what was refused for now is sent again, under another id.

    Args:
        opinions: what the caller said, by its index there; the messages of these are sent.
    """

    def __init__(
        self, name: str, opinions: dict[int, NewOpinion], messages: Messages, expected_version: int, terms: Terms
    ) -> None:
        self._name, self._opinions, self._messages, self._tries = name, opinions, messages, 0
        self.outcomes: dict[int, OpinionOutcome] = {}
        self.replaced: list[Opinion] = []
        self.taste: Taste | None = None
        super().__init__("AddOpinions", self._request(expected_version, terms.request_id), lambda _: None, terms)

    @property
    def result(self) -> None:
        """Nothing: what became of the opinions is in `outcomes`."""
        return

    def answered(self, answer: pb.AddOpinionsResponse, now: float) -> float | None:
        """Take the answer to what is left; what was refused for now stays."""
        left = list(self._messages)
        for index, result in zip(left, answer.results, strict=True):
            self.outcomes[index] = wire.outcome_from(result, self._opinions[index])
        self.replaced += wire.opinions_from(answer.replaced)
        self.taste = wire.taste_from(answer.taste)
        refused = {
            index: error for index in left if (error := self.outcomes[index].error) and code_of(error) in RETRYABLE
        }
        worst = max(refused.values(), key=lambda error: getattr(error, "retry_after_s", 0.0), default=None)
        delay_s = self._delay_s(worst, now) if worst else None
        if delay_s is not None:
            self._tries += 1
            self._messages = {index: self._messages[index] for index in refused}
            expected = self.taste.version if self.request.expected_version else 0
            self.request = self._request(expected, derived_id(self.terms.request_id, f"try {self._tries}"))
        return delay_s

    def failed(self, error: BeholderError, now: float) -> float | None:
        """Take a failure; once some opinions are told, that is kept."""
        if self.outcomes:
            return self._delay_s(error, now)
        place = wire.place_of(error.field) if isinstance(error, InputError) else None
        if isinstance(error, InputError) and place is not None and place < len(self._messages):
            error.field = self._opinions[list(self._messages)[place]].field
        return super().failed(error, now)

    def _request(self, expected_version: int, request_id: str) -> pb.AddOpinionsRequest:
        return pb.AddOpinionsRequest(
            name=self._name,
            opinions=self._messages.values(),
            request_id=request_id,
            expected_version=expected_version,
        )


class Telling:
    """All that is told in one call of `add`, in as many requests as it takes, one after the other.

    Files are read when their request is built, so that few are in memory at a time.

    Args:
        request_id: of the first request; those after it have ids made from this one.
    """

    def __init__(self, name: str, opinions: Sequence[NewOpinion], request_id: str, expected_version: int) -> None:
        self._name, self._opinions, self._request_id = name, list(opinions), request_id
        self._expected_version, self._parts = expected_version, 0
        self._waiting = deque(range(len(opinions)))
        self._read: Messages = {}
        self._outcomes: dict[int, OpinionOutcome] = {}
        self._replaced: list[Opinion] = []
        self._taste: Taste | None = None

    def next_call(self, terms: Callable[[str], Terms]) -> AddCall | None:
        """Read the images of the next request and return it; None where there is nothing more to send.

        Args:
            terms: request id -> the terms of a call that starts now.
        """
        part_id = derived_id(self._request_id, f"part {self._parts}") if self._parts else self._request_id
        its_terms = terms(part_id)
        messages = self._next_messages(its_terms.images)
        if not messages and (self._opinions or self._parts):
            return None
        opinions = {index: self._opinions[index] for index in messages}
        self._parts += 1
        return AddCall(self._name, opinions, messages, self._expected_version, its_terms)

    def took(self, call: AddCall) -> None:
        """Take what became of a request."""
        self._outcomes |= call.outcomes
        self._replaced += call.replaced
        self._taste = call.taste
        if self._expected_version and call.taste:
            self._expected_version = call.taste.version

    def failed(self, error: BeholderError) -> None:
        """Take the failure of a request; it becomes that of every opinion not told yet, where others are told.

        Raises:
            BeholderError: this failure, where nothing is told.
        """
        if self._taste is None:
            raise error
        self._waiting.clear()
        self._read.clear()
        for index, opinion in enumerate(self._opinions):
            self._outcomes.setdefault(index, OpinionOutcome(opinion.field, (), error))

    @property
    def told(self) -> Told:
        """What became of all."""
        outcomes = tuple(outcome for _, outcome in sorted(self._outcomes.items()))
        return Told(self._taste, outcomes, tuple(self._replaced))

    def _next_messages(self, images: Parcel) -> Messages:
        messages, size_bytes = self._read, sum(message.ByteSize() for message in self._read.values())
        self._read = {}
        while self._waiting and len(messages) < PART_OPINIONS:
            index = self._waiting.popleft()
            try:
                message = wire.opinion_to(self._opinions[index], images)
            except InvalidSample as error:
                self._outcomes[index] = OpinionOutcome(self._opinions[index].field, (), error)
                continue
            size_bytes += message.ByteSize()
            if messages and size_bytes + images.written_bytes > PART_BYTES:
                images.inline(message)
                self._read = {index: message}
                break
            messages[index] = message
        return messages


def derived_id(request_id: str, what: str) -> str:
    """Return the id of a request that belongs to another; the same for the same words."""
    return hashlib.sha256(f"{request_id} {what}".encode()).hexdigest()[:32]
