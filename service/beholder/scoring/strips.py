"""How an image too large for one run is cut into strips whose scores make up its own, exactly but for rounding."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from beholder.runtime.session import Session
from beholder.scoring.table import Table
from beholder.types import Tensor

SCORE, UNCAPPED = "score", "uncapped"
"""Outputs: a graph whose scores stop at the most there is may also say what they would be beyond it."""


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

    @property
    def least_px(self) -> int:
        """The height of an image of one place."""
        return self.overlap_px + self.step_px

    def cut(self, height_px: int, most_px: int) -> Iterator[slice]:
        """Yield the rows of each strip, as even as can be and of `most_px` rows at most, if a place has so few.

        Args:
            height_px: at least `least_px`.
        """
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


class StripSession:
    """A `Session` of images (N, H, W, 3) at native size that runs those of more than `max_pixels` strip by strip."""

    def __init__(self, session: Session, max_pixels: int, strips: Strips) -> None:
        self._session, self._max_pixels, self._strips = session, max_pixels, strips
        self.provider, self.shapes = session.provider, session.shapes
        self.input_names, self.output_names = session.input_names, (SCORE,)

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph as often as it takes, as `Session.run` says."""
        rows, height, width = next(iter(inputs.values())).shape[:3]
        if height * width <= self._max_pixels:
            return {SCORE: self._session.run(inputs)[SCORE]}
        images = ({name: batch[row] for name, batch in inputs.items()} for row in range(rows))
        return {SCORE: np.array([self._score(one, height, width) for one in images], np.float32)}

    def close(self) -> None:
        """Let go of the graph, as `Session.close` says."""
        self._session.close()

    def _score(self, images: Mapping[str, Tensor], height: int, width: int) -> float:
        """Score images of shape (H, W, 3) that belong together."""
        strips = list(self._strips.cut(height, self._max_pixels // width))
        runs = [self._session.run({name: image[None, rows] for name, image in images.items()}) for rows in strips]
        scores: list[float] = [outputs[SCORE].item() for outputs in runs]
        uncapped: list[float] = [outputs.get(UNCAPPED, outputs[SCORE]).item() for outputs in runs]
        # A mean beyond the cap has a strip beyond it, whose score is the cap.
        return min(self._strips.mean(uncapped, strips), max(scores))


def read_strips(table: Table) -> Strips:
    """Read `strips`.

    Raises:
        ConfigError: a key is missing, unknown or of a wrong value.
    """
    strips = Strips(table.whole("overlap_px", 0), table.whole("step_px", 1, default=1), table.member("of", Mean))
    table.done()
    return strips
