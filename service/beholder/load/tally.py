"""What came of requests, counted as it comes; tallies of processes add up.

Every latency counts from the moment at which the request was meant to be sent. A request that could not be sent because
the last one held up its sender has waited too, and whoever measures from the real sending leaves just the worst out.
"""

from collections import Counter
from dataclasses import dataclass, field

from beholder.load.histogram import Histogram, merged
from beholder.load.mix import EXPECTED, GONE, Kind

BLOCKS = 10
"""Stretches of a leg that are measured apart too: how much they differ tells how much chance there is in the whole."""
EXAMPLES = 3
"""Messages of each failure that are kept."""
Outcome = tuple[str, str]
"""(kind, code), as written to files."""


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one request; moments are seconds from the leg's start.

    Attributes:
        intended, released, sent, done: meant to be sent, let go by our clock, really sent, answered.
        code: OK, or the name of a status code.
    """

    kind: Kind
    ask: str
    code: str
    message: str
    intended: float
    released: float
    sent: float
    done: float


@dataclass
class Second:
    """One second of a leg: what was meant to be sent in it, and what came to its end in it."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def add(self, other: "Second") -> None:
        """Count what another process saw in the same second."""
        self.sent += other.sent
        self.answered += other.answered
        self.failed += other.failed
        self.cancelled += other.cancelled
        self.latency.add(other.latency)


@dataclass
class Tally:
    """What one or more processes saw of a leg.

    Attributes:
        seconds: second of the leg -> what happened in it, warm-up included.
        outcomes: (kind, code) -> how many, of requests meant for the time after the warm-up, whenever they ended.
        examples: (kind, code) of failures -> some messages.
        blocks: latency of good answers, by stretches of the time after the warm-up.
        by_ask: the same by the scorers asked.
        service: from the real sending, of the same.
        lag: from the moment meant to the moment at which our process was free to send.
        in_time: good answers that came within the time after the warm-up.
        warmed_up: requests before that.
    """

    seconds: dict[int, Second] = field(default_factory=dict)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    examples: dict[Outcome, list[str]] = field(default_factory=dict)
    blocks: list[Histogram] = field(default_factory=lambda: [Histogram() for _ in range(BLOCKS)])
    by_ask: dict[str, Histogram] = field(default_factory=dict)
    service: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    in_time: int = 0
    warmed_up: int = 0

    @property
    def latency(self) -> Histogram:
        """Latency of good answers."""
        return merged(self.blocks)

    @property
    def sent(self) -> int:
        """Requests meant for the time after the warm-up."""
        return self.outcomes.total()

    @property
    def answered(self) -> int:
        """Those answered with scores."""
        return sum(count for (_, code), count in self.outcomes.items() if code == "OK")

    @property
    def cancelled(self) -> int:
        """Those whose caller went away first."""
        return sum(count for (_, code), count in self.outcomes.items() if code == GONE)

    @property
    def failed(self) -> int:
        """All others, those that were meant to fail included."""
        return self.sent - self.answered - self.cancelled

    @property
    def good(self) -> int:
        """Good requests sent."""
        return sum(count for (kind, _), count in self.outcomes.items() if kind == Kind.GOOD.value)

    @property
    def lost(self) -> int:
        """Good requests that were not answered."""
        return self.good - self.outcomes[Kind.GOOD.value, "OK"]

    @property
    def unexpected(self) -> int:
        """Requests of any kind that came to another end than was meant."""
        return sum(count for (kind, code), count in self.outcomes.items() if code not in EXPECTED[Kind(kind)])

    def send(self, intended: float) -> None:
        """Count one request that is let go."""
        self._second(intended).sent += 1

    def note(self, came: Came, warmup_s: float, seconds: float) -> None:
        """Count what came of a request of a leg that lasts so many seconds after so many of warm-up."""
        second, outcome, latency_s = self._second(came.done), (came.kind.value, came.code), came.done - came.intended
        if came.code == "OK":
            second.answered += 1
        elif came.code == GONE:
            second.cancelled += 1
        else:
            second.failed += 1
        is_answered = outcome == (Kind.GOOD.value, "OK")
        if is_answered:
            second.latency.record(latency_s)
            self.in_time += warmup_s <= came.done < warmup_s + seconds
        if came.intended < warmup_s:
            self.warmed_up += 1
            return
        self.outcomes[outcome] += 1
        self.lag.record(came.released - came.intended)
        if is_answered:
            self.blocks[min(BLOCKS - 1, int((came.intended - warmup_s) / seconds * BLOCKS))].record(latency_s)
            self.by_ask.setdefault(came.ask, Histogram()).record(latency_s)
            self.service.record(came.done - came.sent)
        elif came.message:
            self._keep_example(outcome, came.message)

    def add(self, other: "Tally") -> None:
        """Count what another process, or the same one later, saw of the leg."""
        for number, second in other.seconds.items():
            self._second(number).add(second)
        self.outcomes.update(other.outcomes)
        for outcome, messages in other.examples.items():
            for message in messages:
                self._keep_example(outcome, message)
        for block, its in zip(self.blocks, other.blocks, strict=True):
            block.add(its)
        for ask, histogram in other.by_ask.items():
            self.by_ask.setdefault(ask, Histogram()).add(histogram)
        self.service.add(other.service)
        self.lag.add(other.lag)
        self.in_time += other.in_time
        self.warmed_up += other.warmed_up

    def _second(self, moment: float) -> Second:
        return self.seconds.setdefault(max(0, int(moment)), Second())

    def _keep_example(self, outcome: Outcome, message: str) -> None:
        kept = self.examples.setdefault(outcome, [])
        if message not in kept and len(kept) < EXAMPLES:
            kept.append(message)
