"""Where two tastes agree, and how sure one is."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from beholder.taste.background import Background
from beholder.taste.head import Head

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What two tastes say of N candidates.

    Attributes:
        order: (N,), rows of the candidates, from where P(like) differs most; of equals the lowest first.
        first, second: (N,), P(like) of both tastes, by row.
        rank_correlation: Spearman's of the two, -1 to 1; 0 where either likes all candidates the same.
    """

    order: NDArray[np.intp]
    first: F64
    second: F64
    rank_correlation: float


def correlation(one: Head, other: Head, background: Background) -> float:
    """Return how much two tastes agree on images in general, -1 to 1.

    It is the correlation of their mean latent opinions over the background: what both like by how much more, not how
    much of it they like, and not how sure they are. 0 where either says nothing, for then there is nothing to agree on.

    Raises:
        ValueError: a taste was not learned in this background's space.
    """
    first, second = _weights(one, background), _weights(other, background)
    spreads = background.spread(first) * background.spread(second)
    shared = float(first * background.variance @ second)
    return max(-1.0, min(1.0, shared / spreads)) if spreads > 0 else 0.0


def compare(one: Head, other: Head, z: F64) -> Comparison:
    """Return what two tastes say of projected candidates (N, K), and where they differ.

    Raises:
        ValueError: a number is not finite.
    """
    first, second = one.judge(z).p_like, other.judge(z).p_like
    order = np.argsort(-np.abs(first - second), kind="stable")
    return Comparison(order, first, second, rank_correlation(first, second))


def rank_correlation(one: F64, other: F64) -> float:
    """Return Spearman's correlation of two (N,), equals sharing their middle rank; 0 where either is constant."""
    first, second = _centred_ranks(one), _centred_ranks(other)
    sizes = sqrt(float(first @ first)) * sqrt(float(second @ second))
    return max(-1.0, min(1.0, float(first @ second) / sizes)) if sizes > 0 else 0.0


def certainty(head: Head, background: Background) -> tuple[float, float]:
    """Return the standard deviation of the latent opinion after what was said, and before anything was.

    Root mean square over the background. Their ratio tells how much is still unknown: 1 of a taste that was told
    nothing.

    Raises:
        ValueError: the taste was not learned in this background's space.
    """
    _weights(head, background)
    images, bias = float(background.variance.sum()), head.bias_sd**2
    known = float(np.square(head.factor, dtype=np.float64).sum(axis=0) @ background.variance)
    after = head.weight_sd**2 * max(images - known, 0.0) + head.bias_variance
    return sqrt(after), sqrt(head.weight_sd**2 * images + bias)


def _weights(head: Head, background: Background) -> F64:
    if head.weights.shape != (background.dimensions,):
        raise ValueError(
            f"a taste with {head.weights.size} weights is not of this background, which has {background.dimensions}"
        )
    return head.weights


def _centred_ranks(values: F64) -> F64:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(middle[place] - (len(values) - 1) / 2)
