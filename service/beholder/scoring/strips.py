"""How an image too large for one run is cut into strips whose scores make up its own, exactly but for rounding."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Mean(Enum):
    """What is averaged over the places of an image."""

    SCORE = "SCORE"
    """The score itself."""
    DECIBEL = "DECIBEL"
    """The error whose decibels below its peak are the score."""


@dataclass(frozen=True)
class Strips:
    """A score that is a mean over places: one at each row where the window at a place still fits.

    Attributes:
        overlap_px: rows that a strip shares with the next: the height of that window, less 1; 0 for blocks.
        step_px: rows from place to place: the height of a block; what is left of a block at the end counts for nothing.
        of: what is averaged.
    """

    overlap_px: int
    step_px: int
    of: Mean

    def cut(self, height_px: int, most_px: int) -> Iterator[slice]:
        """Yield the rows of each strip, as even as can be and of `most_px` rows at most, if a place has so few."""
        steps = (height_px - self.overlap_px) // self.step_px
        room = max(1, (most_px - self.overlap_px) // self.step_px)
        count = math.ceil(steps / room)
        bounds = [steps * index // count * self.step_px for index in range(count + 1)]
        for start, stop in itertools.pairwise(bounds):
            yield slice(start, stop + self.overlap_px)

    def mean(self, scores: Sequence[float], strips: Sequence[slice]) -> float:
        """Return the score of an image whose strips have these scores."""
        places = [rows.stop - rows.start - self.overlap_px for rows in strips]
        is_error = self.of is Mean.DECIBEL
        values = [10 ** (-score / 10) for score in scores] if is_error else scores
        mean = math.fsum(value * count for value, count in zip(values, places, strict=True)) / sum(places)
        return -10 * math.log10(mean) if is_error else mean
