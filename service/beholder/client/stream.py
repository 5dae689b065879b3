"""A stream's whole policy, told the time: which sample to send, to wait for, to send again, to give up.

Rules:
1. A sample has its own deadline, from the moment it was read; waiting and retries count.
2. A sample that was refused for now is sent again after its wait; the stream goes on meanwhile.
3. A stream that breaks is opened again and what was not answered is sent again; only when breaks follow each other
   without an answer between them, more often than the retries allow, does the caller hear of it.
4. A message that is too big breaks the stream: the biggest sample then waiting is to blame, and gets the error.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from beholder import types
from beholder.client import wire
from beholder.client.calls import Ask, longest, merged
from beholder.client.results import Result
from beholder.client.retry import Retry
from beholder.client.shared import Parcel
from beholder.errors import BeholderError, DeadlinePassed, InvalidSample
from beholder.v1 import scoring_service_pb2

MAX_TIMEOUT_MS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Offered:
    """A sample was read, or could not be."""

    index: int
    sample: types.Sample | InvalidSample


@dataclass(frozen=True, slots=True)
class NoMore:
    """The caller has no more samples; `error` is what their iterable raised."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The server answered one request."""

    response: scoring_service_pb2.ScoreStreamResponse


@dataclass(frozen=True, slots=True)
class Broken:
    """The call that carried the stream is over."""

    error: BeholderError


Event = Offered | NoMore | Answered | Broken


@dataclass(slots=True)
class _Waiting:
    message: scoring_service_pb2.ScoreStreamRequest
    images: Parcel
    deadline_s: float
    due_s: float | None
    failures: int = 0
    result: Result | None = None


class Stream:
    """The samples of one `score_stream` that are not finished.

    Args:
        images: makes what a sample's images are sent by; must not block.
    """

    def __init__(self, ask: Ask, retry: Retry, timeout_s: float, images: Callable[[], Parcel] = Parcel) -> None:
        self._ask, self._retry, self._timeout_s, self._images = ask, retry, timeout_s, images
        self._waiting: dict[int, _Waiting] = {}
        self._finished: deque[tuple[int, Result]] = deque()
        self._breaks, self._opens_s, self._is_fed = 0, 0.0, False

    @property
    def is_over(self) -> bool:
        """Whether everything was offered and answered."""
        return self._is_fed and not self._waiting

    def handle(self, event: Event, now: float) -> None:
        """Take one event.

        Raises:
            BeholderError: the stream broke too often, or for a reason that no retry mends.
            BaseException: what the caller's iterable raised.
        """
        match event:
            case Offered(index, sample):
                self._offered(index, sample, now)
            case NoMore(error):
                if error:
                    raise error
                self._is_fed = True
            case Answered(response):
                self._answered(response, now)
            case Broken(error):
                self._broke(error, now)

    def due(self, now: float) -> list[scoring_service_pb2.ScoreStreamRequest]:
        """Give up what is past its deadline; return the messages to send now."""
        if now < self._opens_s:
            return []
        messages = []
        for index, waiting in list(self._waiting.items()):
            left_ms = int((waiting.deadline_s - now) * 1000)
            if left_ms <= 0:
                passed = DeadlinePassed(f"no answer within {self._timeout_s:g} s")
                self._finish(index, waiting, self._ask.refusal(passed))
            elif waiting.due_s is not None and waiting.due_s <= now:
                waiting.due_s = None
                waiting.message.timeout_ms = min(left_ms, MAX_TIMEOUT_MS)
                waiting.images.check(waiting.message)
                messages.append(waiting.message)
        return messages

    def wake_at(self) -> float | None:
        """Return when `due` has something to do, if nothing happens before; None: not by itself."""
        moments = [w.deadline_s if w.due_s is None else min(w.due_s, w.deadline_s) for w in self._waiting.values()]
        return max(min(moments), self._opens_s) if moments else None

    def take(self) -> list[tuple[int, Result]]:
        """Return (index, result) of what finished since the last time, in that order."""
        finished = list(self._finished)
        self._finished.clear()
        return finished

    def _offered(self, index: int, sample: types.Sample | InvalidSample, now: float) -> None:
        if isinstance(sample, InvalidSample):
            self._finished.append((index, self._ask.refusal(sample)))
            return
        images = self._images()
        request = self._ask.request([wire.sample_to(sample, images.image_to)])
        message = scoring_service_pb2.ScoreStreamRequest(id=index, request=request)
        self._waiting[index] = _Waiting(message, images, now + self._timeout_s, due_s=now)

    def _answered(self, response: scoring_service_pb2.ScoreStreamResponse, now: float) -> None:
        self._breaks = 0
        index = response.id
        waiting = self._waiting.get(index)
        if waiting is None:
            return
        if response.HasField("error"):
            result = self._ask.refusal(wire.error_from(response.error, 0, index))
            worst = result.error
        else:
            [answered] = wire.results_from(response.response, [index])
            result = merged(waiting.result, answered)
            worst = longest([result])
        waiting.failures += 1
        delay_s = self._retry.delay_s(worst, waiting.failures, waiting.deadline_s - now) if worst else None
        if delay_s is None:
            self._finish(index, waiting, result)
        else:
            waiting.due_s, waiting.result = now + delay_s, result

    def _broke(self, error: BeholderError, now: float) -> None:
        self._breaks += 1
        if isinstance(error, InvalidSample) and self._waiting:
            index, waiting = max(self._waiting.items(), key=lambda item: item[1].message.ByteSize())
            self._finish(index, waiting, self._ask.refusal(InvalidSample(error.message, f"samples[{index}]")))
            delay_s: float | None = 0.0
        else:
            delay_s = self._retry.delay_s(error, self._breaks, float("inf"))
        if delay_s is None:
            raise error
        self._opens_s = now + delay_s
        for waiting in self._waiting.values():
            waiting.due_s = now if waiting.due_s is None else waiting.due_s

    def _finish(self, index: int, waiting: _Waiting, result: Result) -> None:
        del self._waiting[index]
        waiting.images.close()
        if result.error and waiting.result and waiting.result.scores:
            result = waiting.result
        self._finished.append((index, result))
