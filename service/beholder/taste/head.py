"""A taste as learned, and what it says of images: rows of many tastes are judged together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import erf, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.types import F32

F64 = NDArray[np.float64]

FLIP_SDS = 2.0
"""A verdict within so many standard deviations of what invisible changes do may flip by them."""
DOUBT = 0.1
"""The part of the variance that P(like) counts. The prior lets every direction matter as much, while tastes lie in few:
with all of it P(like) stays too near 0.5."""
_AT_ONCE = 1024
"""So many rows are copied at a time, however many are asked for."""
_MOMENTS = 7
_OBJECTS_BYTES = 700
"""What Python adds to the numbers of a head."""


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

    What evidence takes away is kept as float32: it moves a variance by less than a millionth of what it was before
    anything was said.

    Attributes:
        weights: (K,), and `bias`: the latent opinion's mean is weights·z + bias.
        weight_sd, bias_sd: of each weight and of the bias before anything was said; a bias of 0 is not learned.
        factor: (R, K) float32, R at most K + 1: the weights' covariance is weight_sd² (I - factor' factor).
        bias_covariance: (K,) float32, of each weight with the bias, and `bias_variance`, both after what was said.
        spread: standard deviation of the opinion over the background.
        wobble: by how much invisible changes move the opinion.
        far: the projected length above which an image that no example is near counts as far.
    """

    weights: F64
    bias: float
    weight_sd: float
    bias_sd: float
    factor: F32
    bias_covariance: F32
    bias_variance: float
    spread: float
    wobble: float
    far: float

    @property
    def size_bytes(self) -> int:
        """What it takes of memory."""
        return self.weights.nbytes + self.factor.nbytes + self.bias_covariance.nbytes + _OBJECTS_BYTES

    def judge(self, z: F64) -> Judgement:
        """Judge projected embeddings (N, K)."""
        return judge_many(z, [self], np.zeros(len(z), dtype=np.intp))


def judge_many(
    z: F64, heads: Sequence[Head], which: NDArray[np.intp], rows: NDArray[np.intp] | None = None
) -> Judgement:
    """Judge projected embeddings (N, K): answer i is of z[rows[i]] by heads[which[i]], each as if it were alone.

    Args:
        rows: (M,) as `which`; absent, answer i is of z[i]. An image that many judge is held once.

    Raises:
        ValueError: a number is not finite, or `which` and the images are not of one length.
    """
    z = np.ascontiguousarray(z, dtype=np.float64)
    if not np.isfinite(z).all():
        raise ValueError("an embedding has a number that is not finite")
    rows = np.arange(len(z)) if rows is None else rows
    if len(rows) != len(which):
        raise ValueError(f"{len(rows)} images are to be judged by {len(which)} heads")
    length = np.sqrt(_dots(z, z))
    unit = np.divide(z, length[:, None], out=np.zeros(z.shape), where=length[:, None] > 0).astype(np.float32)
    order = np.argsort(which, kind="stable")
    found = np.empty((_MOMENTS, len(order)))
    for start in range(0, len(order), _AT_ONCE):
        pairs = order[start : start + _AT_ONCE]
        at = rows[pairs]
        found[:, pairs] = _moments(z[at], length[at], unit[at], heads, which[pairs])
    return _judgement(*found)


def _moments(z: F64, length: F64, unit: F32, heads: Sequence[Head], which: NDArray[np.intp]) -> F64:
    """Return (_MOMENTS, N): what `_judgement` takes; rows of one head lie together.

    Every sum is over one row and one head, in an order that nothing else has a part in.
    """
    firsts = [0, *(np.flatnonzero(which[1:] != which[:-1]) + 1).tolist()]
    counts = [stop - start for start, stop in pairwise([*firsts, len(which)])]
    asked = [heads[at] for at in which[firsts].tolist()]
    group = np.arange(len(asked)).repeat(counts)
    bias, weight_sd, bias_variance, spread, wobble, far = np.array([_numbers(head) for head in asked])[group].T
    seen = _dots(z, np.array([head.weights for head in asked])[group])
    size = weight_sd * length
    own = size * size * np.maximum(1 - _taken(unit, asked, firsts, counts), 0)
    total = own
    if bias_variance.any():
        shared = _dots(unit, np.array([head.bias_covariance for head in asked])[group])
        total = np.maximum(own + 2 * length * shared + bias_variance, 0)
    return np.array((seen, bias, own, total, spread, wobble, far))


def _numbers(head: Head) -> tuple[float, ...]:
    return head.bias, head.weight_sd, head.bias_variance, head.spread, head.wobble, head.far * head.weight_sd


def _taken(unit: F32, asked: Sequence[Head], firsts: Sequence[int], counts: Sequence[int]) -> F64:
    """Return the part (N,) of the weights' variance in each row's direction that evidence takes away."""
    sizes = np.array([len(head.factor) for head in asked]).repeat(counts)
    bounds = np.zeros(len(sizes) + 1, dtype=np.intp)
    sizes.cumsum(out=bounds[1:])
    drawn = np.zeros(bounds[-1] + 1, dtype=np.float32)  # one more, so that the last sum ends where it should
    stop = 0
    for head, first, count in zip(asked, firsts, counts, strict=True):
        start, stop = stop, stop + count * len(head.factor)
        if start < stop:
            out = drawn[start:stop].reshape(count, len(head.factor), 1)
            np.matmul(head.factor, unit[first : first + count, :, None], out=out)
    sums = np.add.reduceat(np.square(drawn, dtype=np.float64), bounds)[:-1]
    sums[sizes == 0] = 0
    return np.asarray(sums)


def _dots(one: NDArray[Any], other: NDArray[Any]) -> F64:
    """Return the products (N,) of two (N, K), row by row."""
    return np.asarray(np.matmul(one[:, None, :], other[:, :, None])[:, 0, 0], dtype=np.float64)


def _judgement(seen: F64, bias: F64, own: F64, total: F64, spread: F64, wobble: F64, far: F64) -> Judgement:
    mean = seen + bias
    place = np.divide(seen, spread * sqrt(2), out=np.zeros_like(mean), where=spread > 0)
    return Judgement(
        mean,
        np.sqrt(total),
        _sigmoid(mean / np.sqrt(1 + DOUBT * pi * total / 8)),
        50 * (1 + np.fromiter(map(erf, place.tolist()), dtype=np.float64, count=len(place))),
        np.abs(mean) <= FLIP_SDS * wobble,
        np.sqrt(own) > far,
    )


def _sigmoid(value: F64) -> F64:
    return np.asarray(0.5 * (1 + np.tanh(value / 2)))
