"""A taste as learned, and what it says of images: rows of many tastes are judged together."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, pi, sqrt

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

FLIP_SDS = 2.0
"""A verdict within so many standard deviations of what invisible changes do may flip by them."""
DOUBT = 0.1
"""The part of the variance that P(like) counts. The prior lets every direction matter as much, while tastes lie in few:
with all of it P(like) stays too near 0.5."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What tastes say of N images; every array is (N,).

    Attributes:
        mean, sd: of the latent opinion; a mean above 0 is "like".
        p_like: 0 to 1, with some of the doubt counted in.
        percentile: 0 to 100, the share of the background that is liked less.
        flips: whether a change that people can't see may turn the verdict.
        is_far: whether the image is far from the background and from all examples.
    """

    mean: F64
    sd: F64
    p_like: F64
    percentile: F64
    flips: NDArray[np.bool_]
    is_far: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A taste as learned: all that judging takes.

    Attributes:
        weights: (K,), and `bias`: the latent opinion's mean is weights·z + bias.
        weight_sd, bias_sd: of each weight and of the bias before anything was said; a bias of 0 is not learned.
        factor: (R, K + 1), R at most K + 1: what the evidence takes away from their variance.
        spread: standard deviation of the opinion over the background.
        wobble: by how much invisible changes move the opinion.
        far: the projected length above which an image that no example is near counts as far.
    """

    weights: F64
    bias: float
    weight_sd: float
    bias_sd: float
    factor: F64
    spread: float
    wobble: float
    far: float

    def judge(self, z: F64) -> Judgement:
        """Judge projected embeddings (N, K)."""
        return judge_many(z, [self], np.zeros(len(z), dtype=np.intp))


def judge_many(z: F64, heads: Sequence[Head], which: NDArray[np.intp]) -> Judgement:
    """Judge projected embeddings (N, K), row i by heads[which[i]]; each row as if it were alone.

    Raises:
        ValueError: a number is not finite.
    """
    if not np.isfinite(z).all():
        raise ValueError("an embedding has a number that is not finite")
    weights = np.stack([head.weights for head in heads])[which]
    sizes = [(head.bias, head.spread, head.wobble, head.far * head.weight_sd) for head in heads]
    bias, spread, wobble, far = np.array(sizes)[which].T
    seen = (z * weights).sum(axis=1)
    mean = seen + bias
    own, of_bias = np.array([_variances(row, heads[at]) for row, at in zip(z, which, strict=True)]).reshape(-1, 2).T
    place = np.divide(seen, spread * sqrt(2), out=np.zeros_like(mean), where=spread > 0)
    return Judgement(
        mean,
        np.sqrt(own + of_bias),
        _sigmoid(mean / np.sqrt(1 + DOUBT * pi * (own + of_bias) / 8)),
        np.array([50 * (1 + erf(value)) for value in place]),
        np.abs(mean) <= FLIP_SDS * wobble,
        np.sqrt(own) > far,
    )


def _variances(row: F64, head: Head) -> tuple[float, float]:
    """Return the variance of weights·z for one image, and what the bias adds to it."""
    scaled = row * head.weight_sd
    drawn = head.factor[:, :-1] @ scaled
    drawn_bias = head.factor[:, -1] * head.bias_sd
    own = max(float(scaled @ scaled - drawn @ drawn), 0.0)
    both = max(float(scaled @ scaled + head.bias_sd**2 - (drawn + drawn_bias) @ (drawn + drawn_bias)), 0.0)
    return own, both - own


def _sigmoid(value: F64) -> F64:
    return np.asarray(0.5 * (1 + np.tanh(value / 2)))
