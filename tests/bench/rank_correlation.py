"""Rank correlation, and how far it would move with other contents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

Numbers = NDArray[np.float64]
RESAMPLES, SEED = 2000, 20
FEWEST_CONTENTS, FEWEST_IMAGES = 8, 5


@dataclass(frozen=True)
class Sample:
    """Scores beside what people said; NaN where there is no score.

    Attributes:
        contents: what each image shows.
    """

    values: Numbers
    people: Numbers
    contents: NDArray[np.str_]

    @property
    def count(self) -> int:
        """How many images have a score."""
        return int(np.isfinite(self.values).sum())

    def where(self, kept: NDArray[np.bool_] | NDArray[np.intp]) -> "Sample":
        """Return some of the images."""
        return Sample(self.values[kept], self.people[kept], self.contents[kept])


def spearman(a: Numbers, b: Numbers) -> float:
    """Correlate ranks, those of equal numbers averaged; NaN where all are equal."""
    x, y = (rankdata(one) - (len(one) + 1) / 2 for one in (a, b))
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / size if size else float("nan")


def kendall(a: Numbers, b: Numbers) -> float:
    """Count pairs in order less pairs out of order (tau-b)."""
    return float(kendalltau(a, b).statistic)


def correlation(sample: Sample, measure: Callable[[Numbers, Numbers], float] = spearman) -> float:
    """Correlate the scores that there are with people."""
    found = np.isfinite(sample.values)
    return measure(sample.values[found], sample.people[found])


def within(sample: Sample) -> float | None:
    """Average the correlation over the contents that have enough images; None where none has."""
    found = sample.where(np.isfinite(sample.values))
    names, counts = np.unique(found.contents, return_counts=True)
    values = [correlation(found.where(found.contents == name)) for name in names[counts >= FEWEST_IMAGES]]
    return float(np.nanmean(values)) if values else None


def interval(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return the middle 95 % of the correlation, or of the difference of two, when contents are drawn anew.

    Args:
        samples: one, or two of the same images. With fewer than eight contents there is no interval: NaN.
    """
    kept = [sample.where(np.isfinite(samples[0].values)) for sample in samples]
    names, content = np.unique(kept[0].contents, return_inverse=True)
    if len(names) < FEWEST_CONTENTS:
        return float("nan"), float("nan")
    members = [np.flatnonzero(content == index) for index in range(len(names))]
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([members[index] for index in rng.integers(0, len(names), len(names))])
        first, *second = (correlation(sample.where(drawn)) for sample in kept)
        found.append(first - second[0] if second else first)
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(low), float(high)
