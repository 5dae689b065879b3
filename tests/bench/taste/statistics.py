"""How well scores order, how true probabilities are, and how sure that is over people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
FEWEST = 8
"""People; of fewer no interval is told."""
SAMPLES = 4000
TENTHS = 10


@dataclass(frozen=True)
class Estimate:
    """A mean over people; `low` and `high` are its 95 % interval, NaN where there are too few people.

    Attributes:
        people: how many.
        positive: how many of them are above 0.
    """

    mean: float
    low: float
    high: float
    people: int
    positive: int = 0

    @property
    def is_known(self) -> bool:
        """Whether it has an interval."""
        return not math.isnan(self.low)

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0; 0 where it doesn't, or there is none."""
        return int(self.low > 0) - int(self.high < 0)


def auc(score: F64, liked: NDArray[np.bool_]) -> float:
    """Return how often a liked picture beats another; equal ones count half."""
    return _share_right(score[liked][:, None] - score[~liked][None])


def pairs_right(score: F64, opinion: F64, contents: NDArray[np.int64] | None = None) -> float:
    """Return how often the better of two comes first, over pairs with different opinions; NaN without any.

    Args:
        contents: (N,); where given, only pairs of one content count.
    """
    better = opinion[:, None] > opinion[None]
    if contents is not None:
        better &= contents[:, None] == contents[None]
    return _share_right((score[:, None] - score[None])[better])


def _share_right(gap: F64) -> float:
    return float((gap > 0).mean() + (gap == 0).mean() / 2) if gap.size else math.nan


def estimate(values: ArrayLike) -> Estimate:
    """Return the mean of one value for each person with a bootstrap interval over people; NaNs are left out."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    positive = int((known > 0).sum())
    if len(known) < FEWEST:
        return Estimate(float(known.mean()) if len(known) else math.nan, math.nan, math.nan, len(known), positive)
    means = known[resampled(len(known))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(known.mean()), float(low), float(high), len(known), positive)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Return the mean of ours minus theirs, person by person."""
    return estimate(np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64))


def resampled(people: int) -> NDArray[np.int64]:
    """Return (SAMPLES, people): who is drawn, with repeats; always the same."""
    return np.random.default_rng(0).integers(0, people, (SAMPLES, people))


def tenths(said: F64, liked: NDArray[np.bool_]) -> F64:
    """Return (10, 3) for the tenths of P(like): how many fell there, the sum of P, and how many were liked."""
    place = np.minimum((said * TENTHS).astype(np.intp), TENTHS - 1)
    columns = (np.ones_like(said), said, liked.astype(np.float64))
    return np.stack([np.bincount(place, column, TENTHS) for column in columns], axis=1)


def calibration_error(counts: F64) -> F64:
    """Return the expected calibration error (...) of tenths (..., 10, 3): by how much P differs from what came true."""
    gap = np.abs(counts[..., 1] - counts[..., 2]).sum(axis=-1)
    return np.asarray(gap / counts[..., 0].sum(axis=-1))


def calibration(by_person: F64) -> Estimate:
    """Return the calibration error of all people together from their tenths (people, 10, 3); the interval over them."""
    error = float(calibration_error(by_person.sum(axis=0)))
    people = len(by_person)
    if people < FEWEST:
        return Estimate(error, math.nan, math.nan, people)
    drawn = [calibration_error(by_person[who].sum(axis=0)) for who in resampled(people)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Estimate(error, float(low), float(high), people)
