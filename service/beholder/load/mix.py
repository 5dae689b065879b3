"""What each request is: drawn by weights from its number and the seed, so that processes need not agree on anything."""

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What is meant to become of a request."""

    GOOD = "good"
    """It is answered with scores."""
    BAD = "bad"
    """It is refused, for it can't be right."""
    HURRIED = "hurried"
    """It has a deadline of its own, which it may miss."""
    CANCELLED = "cancelled"
    """Its caller goes away, perhaps before it is answered."""


GONE = "CANCELLED_BY_CALLER"
"""The code of calls that we cancelled ourselves; a server's own CANCELLED is a failure."""
EXPECTED = {
    Kind.GOOD: frozenset({"OK"}),
    Kind.BAD: frozenset({"INVALID_ARGUMENT", "NOT_FOUND"}),
    Kind.HURRIED: frozenset({"OK", "DEADLINE_EXCEEDED"}),
    Kind.CANCELLED: frozenset({"OK", GONE}),
}
"""What a server that is not overloaded says."""
MASK = 2**64 - 1
BAD_WAYS = 4
"""How many ways there are to send a bad request; see `requests`."""


@dataclass(frozen=True)
class Ask:
    """Scorers that are asked together.

    Attributes:
        weight: how often, beside the others; 0: only where a recording says so.
        needs_reference, needs_prompt: what samples must carry.
    """

    scorers: tuple[str, ...]
    weight: float = 1.0
    needs_reference: bool = False
    needs_prompt: bool = False

    @property
    def name(self) -> str:
        """The scorers' names with commas."""
        return ",".join(self.scorers)


@dataclass(frozen=True)
class Picture:
    """An image to send.

    Attributes:
        name: for people.
        data: a whole file.
        weight: as an ask's.
    """

    name: str
    data: bytes
    weight: float = 1.0


@dataclass(frozen=True)
class Mix:
    """What requests are drawn from.

    Attributes:
        bad, hurried, cancelled: shares of these kinds, 0 to 1 together.
        repeated: share of images that the server has seen before, 0 to 1; the others are new to it.
        samples: images in each request.
        timeout_s: of all requests but the hurried ones.
        hurry_s: the deadline of hurried requests.
        patience_s: callers that go away do so within this.
    """

    asks: tuple[Ask, ...]
    pictures: tuple[Picture, ...]
    bad: float = 0.0
    hurried: float = 0.0
    cancelled: float = 0.0
    repeated: float = 0.0
    samples: int = 1
    timeout_s: float = 30.0
    hurry_s: float = 0.1
    patience_s: float = 0.1
    prompt: str = "a photo"
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """One request.

    Attributes:
        ask: index of the mix's.
        pictures: (index of the mix's, whether it is new to the server) for each sample.
        way: which of the bad ways, where it is bad.
        leave_s: when the caller goes away; infinity where it stays.
    """

    kind: Kind
    ask: int
    pictures: tuple[tuple[int, bool], ...]
    timeout_s: float
    way: int = 0
    leave_s: float = float("inf")


class Dealer:
    """Deals the case of each number.

    Raises:
        ValueError: nothing has a weight.
    """

    def __init__(self, mix: Mix) -> None:
        self._mix = mix
        self._asks = _cumulated([ask.weight for ask in mix.asks])
        self._pictures = _cumulated([picture.weight for picture in mix.pictures])

    def case(self, number: int, ask: int = -1, picture: int = -1) -> Case:
        """Return the case of a number; the same on every run. `ask` and `picture` are drawn where they are -1."""
        mix = self._mix
        dice = _Dice(mix.seed << 40 ^ number)
        roll = dice.roll()
        ask = ask if ask >= 0 else _drawn(dice, self._asks)
        pictures = tuple(
            (picture if picture >= 0 else _drawn(dice, self._pictures), dice.roll() >= mix.repeated)
            for _ in range(mix.samples)
        )
        if roll < mix.bad:
            return Case(Kind.BAD, ask, pictures, mix.timeout_s, way=int(dice.roll() * BAD_WAYS))
        if roll < mix.bad + mix.hurried:
            return Case(Kind.HURRIED, ask, pictures, mix.hurry_s)
        if roll < mix.bad + mix.hurried + mix.cancelled:
            return Case(Kind.CANCELLED, ask, pictures, mix.timeout_s, leave_s=dice.roll() * mix.patience_s)
        return Case(Kind.GOOD, ask, pictures, mix.timeout_s)


def _cumulated(weights: Sequence[float]) -> list[float]:
    if not weights or max(weights) <= 0:
        raise ValueError("want a weight above 0")
    return list(itertools.accumulate(weights))


def _drawn(dice: "_Dice", cumulated: Sequence[float]) -> int:
    if len(cumulated) == 1:
        return 0
    return min(bisect.bisect_right(cumulated, dice.roll() * cumulated[-1]), len(cumulated) - 1)


class _Dice:
    """SplitMix64 (Steele, Lea, Flood 2014): to seed one of `random` takes longer than to deal a case."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def roll(self) -> float:
        """Return a number from 0 to below 1."""
        self._state = self._state + 0x9E3779B97F4A7C15 & MASK
        mixed = (self._state ^ self._state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & MASK
        return ((mixed ^ mixed >> 31) >> 11) / 2**53
