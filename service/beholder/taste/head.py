"""A taste as learned, and what it says of images.

An image is judged by few calls on small arrays, one image and one taste at a time: after an encoder's run nothing of
this is in the processor's caches, and what costs is what has to be fetched, not what is computed.
"""

from dataclasses import dataclass
from math import erf, pi, sqrt, tanh
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beholder.types import F32

F64 = NDArray[np.float64]

FLIP_SDS = 2.0
"""A verdict within so many standard deviations of what invisible changes do may flip by them."""
DOUBT = 0.1
"""The part of the variance that P(like) counts. The prior lets every direction matter as much, while tastes lie in few:
with all of it P(like) stays too near 0.5."""
_OBJECTS_BYTES = 700
"""What Python adds to the numbers of a head."""


class Said(NamedTuple):
    """What a taste says of an image.

    Attributes:
        mean, sd: of the latent opinion; a mean above 0 is "like".
        p_like: 0 to 1, with some of the doubt counted in.
        percentile: 0 to 100, the share of the background that is liked less.
        flips: whether a change that people can't see may turn the verdict.
        is_far: whether the image is far from the background and from all examples.
    """

    mean: float
    sd: float
    p_like: float
    percentile: float
    flips: bool
    is_far: bool


def counted_sd(sd: float) -> float:
    """Return the part of a standard deviation of the latent opinion that P(like) counts, which is what callers see."""
    return sqrt(DOUBT) * sd


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a taste says of N images, as `Said`; every array is (N,)."""

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

    def say(self, z: F64) -> Said:
        """Return what the taste says of one projected embedding (K,), which must be finite."""
        length = sqrt(float(z.dot(z)))
        unit = (z / length).astype(np.float32) if length else np.zeros(z.shape, np.float32)
        drawn = self.factor.dot(unit)
        seen = float(self.weights.dot(z))
        mean, size = seen + self.bias, self.weight_sd * length
        own = size * size * max(1.0 - float(drawn.dot(drawn)), 0.0)
        total = own
        if self.bias_variance:
            shared = float(self.bias_covariance.dot(unit))
            total = max(own + 2 * length * shared + self.bias_variance, 0.0)
        place = seen / (self.spread * sqrt(2)) if self.spread else 0.0
        return Said(
            mean,
            sqrt(total),
            0.5 + 0.5 * tanh(mean / sqrt(1 + DOUBT * pi * total / 8) / 2),
            50.0 * (1.0 + erf(place)),
            abs(mean) <= FLIP_SDS * self.wobble,
            sqrt(own) > self.far * self.weight_sd,
        )

    def judge(self, z: F64) -> Judgement:
        """Judge projected embeddings (N, K).

        Raises:
            ValueError: a number is not finite.
        """
        if not np.isfinite(z).all():
            raise ValueError("an embedding has a number that is not finite")
        rows = [self.say(row) for row in np.ascontiguousarray(z, dtype=np.float64)]
        mean, sd, p_like, percentile, flips, is_far = np.array(rows, dtype=np.float64).reshape(-1, 6).T
        return Judgement(mean, sd, p_like, percentile, flips > 0, is_far > 0)
