"""Natural scene statistics: pixels as deviations from their surroundings, and the distributions that fit them."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from _window import gaussian
from torch.nn.functional import pad

WINDOW = gaussian(7 / 6, taps=7)
"""Weights of the neighbourhood that a pixel is compared with, along rows and along columns."""
REACH = len(WINDOW) // 2
PAIRS = ((0, 1), (1, 0), (1, 1), (-1, 1))
"""How many rows and columns lie between neighbours: beside, below, and on both diagonals."""

_SIDE = 99
_LEAST_SHAPE, _STEP = 0.2, 0.001
_TINY = 1e-30
_ROUNDING = 2e-7
"""More than float32 rounds off a local mean, in local standard deviations."""


def normalise(planes: torch.Tensor, border: str) -> torch.Tensor:
    """Divide each pixel's difference from its local mean by 1 + the local standard deviation (N, C, H, W).

    Mean subtracted contrast normalised coefficients (Mittal, Moorthy and Bovik 2012, eq. 1). Only differences are
    summed, so that a pixel's level is not rounded; a pixel as bright as its neighbourhood gives exactly 0.

    Args:
        border: what stands around the planes: "zeros", or "replicate" for the nearest pixel.
    """
    edges = [REACH] * 4
    planes = pad(planes, edges) if border == "zeros" else pad(planes, edges, mode="replicate")
    rows = _places(planes, dim=2)
    rise, scatter = _moments(rows)
    # The means of columns that lie beside each other scatter too, on top of what scatters in each. They are left in
    # two parts, for a float32 of their sum would round off what neighbours differ by.
    shift, outer = _moments(_places(rows[REACH], dim=3), _places(rise, dim=3))
    inner = _places(scatter, dim=3)
    within = _weigh(inner[:REACH], inner[:REACH:-1]) + WINDOW[REACH] * inner[REACH]
    deviation = (within + outer).clamp(min=0).sqrt()
    difference = _places(rise, dim=3)[REACH] + shift
    # What is left where differences cancel has a sign by chance, and samples are counted by their signs.
    difference = torch.where(difference.abs() > _ROUNDING * deviation, difference, 0 * difference)
    return -difference / (1 + deviation)


def _places(planes: torch.Tensor, dim: int) -> list[torch.Tensor]:
    """Return what lies under each weight of the window, for every place along `dim` where it fits."""
    places = [slice(start, start - 2 * REACH or None) for start in range(len(WINDOW))]
    return [planes[:, :, place] if dim == 2 else planes[..., place] for place in places]


def _moments(*parts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return by how much the window's mean exceeds its centre, and its variance, of values that are sums of parts."""
    differences = [[place - places[REACH] for place in places] for places in parts]
    whole = [functools.reduce(torch.add, terms) for terms in zip(*differences, strict=True)]
    before, after = whole[:REACH], whole[:REACH:-1]
    mean = _weigh(before, after)
    return mean, _weigh([one * one for one in before], [one * one for one in after]) - mean * mean


def _weigh(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> torch.Tensor:
    """Add up what lies at equal distances from the centre, outermost first, weighted by the window."""
    total = WINDOW[0] * (before[0] + after[0])
    for weight, one, other in zip(WINDOW[1:], before[1:], after[1:], strict=False):
        total = total + weight * (one + other)
    return total


class Moments(NamedTuple):
    """Moments of K kinds of samples around 0, for each block (K, N, R, C).

    Attributes:
        size: the mean of their absolute values.
        square: the mean square.
        left: the root mean square of the samples below 0; 0 where there is none.
        right: the same above 0.
        has_left: 1 where there is a sample below 0, or else 0.
        has_right: the same above 0.
    """

    size: torch.Tensor
    square: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    has_left: torch.Tensor
    has_right: torch.Tensor

    def symmetric_ratio(self) -> torch.Tensor:
        """Return what tells the shape of a generalised Gaussian: the squared mean size over the mean square."""
        return self.size * self.size / self.square.clamp(min=_TINY)

    def asymmetric_ratio(self) -> torch.Tensor:
        """Return the same with a spread for each side (Lasmar, Stitou, Berthoumieu 2009); 0 where a side is missing."""
        both = (self.left + self.right).clamp(min=_TINY)
        product = (self.left / both) * (self.right / both)
        ratio = self.symmetric_ratio() * (1 - 3 * product) / ((1 - 2 * product) * (1 - 2 * product))
        return ratio * self.has_left * self.has_right


def measure(kinds: Sequence[torch.Tensor], count: torch.Tensor | int) -> Moments:
    """Take the moments of each block of samples of several kinds, (N, R, h, C, w) each: R by C blocks of h by w.

    Args:
        count: how many samples a block has; others are 0.
    """
    lines = [_sum_lines(samples[None]) for samples in kinds]
    # Added up together: ONNX Runtime adds a single column in another order than one of many.
    sums = torch.cat([line for part in zip(*lines, strict=True) for line in part]).sum(dim=3)
    below_count, above_count, below, above, below_square, above_square = sums.split(len(kinds))
    return Moments(
        size=(above - below) / count,
        square=(below_square + above_square) / count,
        left=(below_square / below_count.clamp(min=1)).sqrt(),
        right=(above_square / above_count.clamp(min=1)).sqrt(),
        has_left=below_count.clamp(max=1),
        has_right=above_count.clamp(max=1),
    )


def _sum_lines(samples: torch.Tensor) -> list[torch.Tensor]:
    """Count, add up and square along the last axis those below 0 and those above."""
    below, above = samples.clamp(max=0), samples.clamp(min=0)
    are_below, are_above = (samples < 0).to(samples.dtype), (samples > 0).to(samples.dtype)
    return [one.sum(dim=-1) for one in (are_below, are_above, below, above, below * below, above * above)]


def products(samples: torch.Tensor) -> list[torch.Tensor]:
    """Multiply each sample of a block (N, R, h, C, w) with its neighbour, for each of `PAIRS`; blocks are rings."""
    return [samples * samples.roll((rows, columns), (2, 4)) for rows, columns in PAIRS]


class Shapes(torch.nn.Module):
    """The table that the shape of a generalised Gaussian is looked up in: 0.2 to 10 in steps of 0.001."""

    bounds: torch.Tensor
    skews: torch.Tensor
    widths: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        shapes = [_LEAST_SHAPE + _STEP * step for step in range(_SIDE**2)]
        logs = [[math.lgamma(order / shape) for order in (1, 2, 3)] for shape in shapes]
        ratios = [math.exp(2 * second - first - third) for first, second, third in logs]
        bounds = [(ratio + following) / 2 for ratio, following in itertools.pairwise(ratios)]
        self.register_buffer("bounds", torch.tensor([*bounds, math.inf]).view(_SIDE, _SIDE))
        self.register_buffer("skews", torch.tensor([math.sqrt(ratio) for ratio in ratios]))
        self.register_buffer("widths", torch.tensor([math.exp((first - third) / 2) for first, _, third in logs]))

    def forward(self, ratios: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the shape whose ratio is nearest to each of `ratios`, with its skew and its width.

        The difference of two spreads times the skew is a mean; a spread times the width is a scale parameter.
        """
        # How many bounds lie below: first among every 99th, then among the 99 up to the next.
        row = (ratios[..., None] > self.bounds[:-1, -1]).to(torch.int64).sum(dim=-1)
        step = _SIDE * row + (ratios[..., None] > self.bounds[row]).to(torch.int64).sum(dim=-1)
        return _LEAST_SHAPE + _STEP * step.to(ratios.dtype), self.skews[step], self.widths[step]


def halve(planes: torch.Tensor) -> torch.Tensor:
    """Shrink (N, C, H, W) to (N, C, H // 2, W // 2) by a cubic that averages over 8 px, as MATLAB's imresize does.

    Outside, planes go on as in a mirror. An odd side shrinks by a little more than 2, as in piq 0.8.
    """
    return _halve(_halve(planes, dim=2), dim=3)


def _halve(planes: torch.Tensor, dim: int) -> torch.Tensor:
    side = torch._shape_as_tensor(planes)[dim]
    half = side // 2
    places, taps = torch.arange(half), torch.arange(-3, 6)[:, None]
    # A new pixel lies between the old ones 2 n and 2 n + 1, or up to one further where an odd side has one more.
    drift = (side - 2 * half).to(planes.dtype) * (places.to(planes.dtype) + 0.5) / half.to(planes.dtype)
    step = side.to(planes.dtype) / half.to(planes.dtype)
    weights = _cubic((0.5 + drift - taps.to(planes.dtype)) / step)
    weights = weights / weights.sum(dim=0)
    index = 2 * places + taps
    mirrored = torch.minimum(torch.maximum(index, -1 - index), 2 * side - 1 - index)
    centre = planes.index_select(dim, 2 * places)
    total = centre
    for weight, place in zip((weights[..., None] if dim == 2 else weights).unbind(), mirrored.unbind(), strict=True):
        total = total + weight * (planes.index_select(dim, place) - centre)
    return total


def _cubic(distance: torch.Tensor) -> torch.Tensor:
    """Return Keys' cubic (1981, a = -0.5): 1 at 0, and 0 from 2 on."""
    distance = distance.abs()
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0 * distance))
