"""Butteraugli (Alakuijala et al. 2017) as libjxl has it: how far each pixel is from one that looks the same.

Constants and formulas are those of libjxl 0.11.2 (lib/jxl/butteraugli/butteraugli.cc, BSD-3-Clause), with its defaults:
white of 80 cd/m², new detail as bad as lost detail, red against green as bad as it says.
"""

import math
from collections.abc import Sequence

import torch
from _butteraugli_bands import Bands, Blur, Eye
from _colour import linearise, to_unit_planes
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

MIN_SIDE_PX = 8
HALVED_FROM_PX = 15
"""The shorter side from which an image is also compared at half its size."""
HALF_ADDED, FULL_KEPT = 0.5, 0.85

Lines = Sequence[Sequence[tuple[int, int]]]
"""Lines through a pixel: what half of each holds, as (rows down, columns right); the other half is opposite."""
SPARSE_LINES: Lines = (
    ((0, 2), (0, 4)),
    ((2, 0), (4, 0)),
    ((2, 2), (3, 3)),
    ((2, -2), (3, -3)),
    ((2, -1), (4, -1)),
    ((2, 1), (4, 1)),
    ((1, 2), (1, 4)),
    ((1, -2), (1, -4)),
    ((2, 1), (3, 2)),
    ((2, -1), (3, -2)),
    ((1, 2), (2, 3)),
    ((1, -2), (2, -3)),
    ((1, 2), (2, 4)),
    ((1, -2), (2, -4)),
    ((2, 1), (4, 2)),
    ((2, -1), (4, -2)),
)
"""For coarser bands."""
DENSE_LINES: Lines = (
    ((0, 1), (0, 2), (0, 3), (0, 4)),
    ((1, 0), (2, 0), (3, 0), (4, 0)),
    ((1, 1), (2, 2), (3, 3)),
    ((1, -1), (2, -2), (3, -3)),
    ((1, 1), (2, 1), (3, 2)),
    ((1, -1), (2, -1), (3, -2)),
    ((1, 1), (1, 2), (2, 3)),
    ((1, -1), (1, -2), (2, -3)),
    *(((1, 0), (2, 1), (3, 1), (4, 1)),) * 2,
    *(((1, 0), (2, -1), (3, -1), (4, -1)),) * 2,
    *(((0, 1), (1, 2), (1, 3), (1, 4)),) * 2,
    *(((0, 1), (-1, 2), (-1, 3), (-1, 4)),) * 2,
)
"""For the finest band; four of them count twice."""
LINE_PX = 9
SPARSE_GAIN, DENSE_GAIN = 0.611612573796 / 8.5, 0.39905817637 / 8.5
SHARE_PLAIN, SHARE_BEYOND = 0.5, 0.33

LOW_X_WEIGHT = 29.2353797994 * 33.832837186260**2
LOW_Y_WEIGHT = 0.844626970982 * 14.458268100570**2
LOW_B_WEIGHT, LOW_B_FROM_Y = 0.703646627719 * 49.87984651440**2, -0.362267051518
MIDDLE_WEIGHTS = (2150.0, 10.6195433239, 16.2176043152)
HIGH_WEIGHTS = (400.0, 1.50815703118)
HIGH_SHARE = 0.8

ACTIVITY_X, ACTIVITY_Y = 2.5, 0.4
ACTIVITY_GAIN, ACTIVITY_BIAS, SIGMA_ACTIVITY = 6.19424080439, 12.61050594197, 2.7
ACTIVITY_CHANGED = 10.0
NEIGHBOURS_PX = 3
CALMEST = (0.45, 0.3, 0.25)
SCALE = 1 / (17.83 * 0.79079917404)
"""One over what libjxl calls good quality, at 80 cd/m²."""


class Contours(torch.nn.Module):
    """Compare a plane of two images along short lines in 16 directions ("Malta"): a difference in line counts most."""

    lines: torch.Tensor

    def __init__(self, lines: Lines, gain: float, weight: float, norm: float) -> None:
        super().__init__()
        self.plain, self.beyond = (gain * math.sqrt(share * weight) for share in (SHARE_PLAIN, SHARE_BEYOND))
        self.per_value = 0.5 / norm
        kernels = torch.zeros(len(lines), 1, LINE_PX, LINE_PX)
        centre = LINE_PX // 2
        for kernel, line in zip(kernels[:, 0], lines, strict=True):
            kernel[centre, centre] = 1
            for down, right in line:
                kernel[centre + down, centre + right] = kernel[centre - down, centre - right] = 1
        self.register_buffer("lines", kernels)
        self.register_buffer("ones", torch.ones(1, len(lines), 1, 1))

    def forward(self, reference: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
        """Add the squares of the differences summed over each line: two of (N, 1, H, W) to (N, H, W)."""
        beyond = _beyond(reference, candidate, 0.55, 1.05)
        difference = (reference - candidate) * self.plain + beyond * self.beyond
        difference = difference / (1 + (reference.abs() + candidate.abs()) * self.per_value)
        sums = conv2d(difference, self.lines, padding=LINE_PX // 2)
        # Without the squeeze ONNX Runtime would go on with sums of 16 channels, 15 of them empty.
        return conv2d(sums * sums, self.ones).squeeze(1)


class Resolution(torch.nn.Module):
    """Compare two images at one resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = Eye()
        self.activity = Blur(SIGMA_ACTIVITY)
        self.finest_x = Contours(DENSE_LINES, DENSE_GAIN, 173.5, 5.0)
        self.finest_y = Contours(DENSE_LINES, DENSE_GAIN, 1.10039032555, 71.7800275169)
        self.high_x = Contours(SPARSE_LINES, SPARSE_GAIN, 6923.99476109, 8051.15833247)
        self.high_y = Contours(SPARSE_LINES, SPARSE_GAIN, 18.7237414387, 4498534.45232)
        self.middle_x = Contours(SPARSE_LINES, SPARSE_GAIN, 8246.75321353, 1009002.70582)
        self.middle_y = Contours(SPARSE_LINES, SPARSE_GAIN, 37.0819870399, 130262059.556)

    def forward(self, reference: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
        """Map light (N, 3, H, W) of two images to the distance at each pixel, (N, 1, H, W)."""
        both = self.eye(reference, candidate)
        first, second = slice(reference.shape[0]), slice(reference.shape[0], None)
        bands, others = (Bands(*(plane[image] for plane in both)) for image in (first, second))
        activity, other = (self._activity(both)[image] for image in (first, second))
        fine = self._fine(bands, others) + (activity - other) ** 2 * ACTIVITY_CHANGED
        coarse = _coarse(bands.low - others.low)
        calm = _calmest(activity)
        fine_gain = SCALE * (1 + 2.5485944793 / (calm * 0.451936922203 + 0.829591754942))
        coarse_gain = SCALE * (1 + 0.505054525019 / (calm * 3.87449418804 + 0.20025578522))
        return torch.sqrt(coarse * coarse_gain * coarse_gain + fine * fine_gain * fine_gain)

    def _fine(self, bands: Bands, others: Bands) -> torch.Tensor:
        """Add up the squared differences of all bands but the lowest: (N, 1, H, W)."""
        total = self.finest_x(bands.finest_x, others.finest_x) + self.finest_y(bands.finest_y, others.finest_y)
        total = total + self.high_x(bands.high_x, others.high_x) + self.high_y(bands.high_y, others.high_y)
        total = total + self.middle_x(bands.middle_x, others.middle_x) + self.middle_y(bands.middle_y, others.middle_y)
        total = total[:, None]
        for name, weight in zip(("middle_x", "middle_y", "middle_b"), MIDDLE_WEIGHTS, strict=True):
            total = total + (getattr(bands, name) - getattr(others, name)) ** 2 * weight
        for name, weight in zip(("high_x", "high_y"), HIGH_WEIGHTS, strict=True):
            plane, other = getattr(bands, name), getattr(others, name)
            total = total + ((plane - other) ** 2 + _beyond(plane, other, 0.4, 1.0) ** 2) * (weight * HIGH_SHARE)
        return total

    def _activity(self, bands: Bands) -> torch.Tensor:
        """Tell how much fine detail is around each pixel, which hides differences: (N, 1, H, W)."""
        x = (bands.finest_x + bands.high_x) * ACTIVITY_X
        y = (bands.finest_y + bands.high_y) * ACTIVITY_Y
        bias = ACTIVITY_GAIN * ACTIVITY_BIAS
        return self.activity(torch.sqrt(torch.sqrt(x * x + y * y) * ACTIVITY_GAIN + bias) - math.sqrt(bias))


class Butteraugli(torch.nn.Module):
    """Compare two images at their size and at half of it."""

    def __init__(self) -> None:
        super().__init__()
        self.resolution = Resolution()

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs, sides of at least 8 px, to the distance at each pixel, (N, H, W)."""
        seen, light = (linearise(to_unit_planes(pixels)) for pixels in (candidate, reference))
        full = self.resolution(light, seen)
        half = interpolate(self.resolution(_halve(light), _halve(seen)), scale_factor=2.0, mode="nearest")
        height, width = full.shape[2:]
        is_halved = (torch._shape_as_tensor(full)[2:].min() >= HALVED_FROM_PX).to(torch.float32)
        full = full * (1 - (1 - FULL_KEPT) * is_halved)
        return (full + half[:, :, :height, :width] * (HALF_ADDED * is_halved))[:, 0]


def _beyond(reference: torch.Tensor, candidate: torch.Tensor, least: float, most: float) -> torch.Tensor:
    """Tell how far a value lies from the span of `least` to `most` times the reference: what would bring it there."""
    one, other = reference * least, reference * most
    span = torch.minimum(one, other), torch.maximum(one, other)
    return torch.minimum(torch.maximum(candidate, span[0]), span[1]) - candidate


def _coarse(change: torch.Tensor) -> torch.Tensor:
    """Add up the squared differences of the lowest band's X, Y and B: (N, 3, H, W) to (N, 1, H, W)."""
    x, y, b = change.split(1, dim=1)
    b = b + y * LOW_B_FROM_Y
    return x * x * LOW_X_WEIGHT + y * y * LOW_Y_WEIGHT + b * b * LOW_B_WEIGHT


def _calmest(activity: torch.Tensor) -> torch.Tensor:
    """Mix the three lowest of a pixel, its eight neighbours 3 px away, and twice itself two times: (N, 1, H, W)."""
    around = pad(activity, [NEIGHBOURS_PX] * 4, value=torch.finfo(torch.float32).max)
    lowest, second = activity, activity * 2
    third = second
    places = [
        slice(start, start - 2 * NEIGHBOURS_PX or None) for start in range(0, 2 * NEIGHBOURS_PX + 1, NEIGHBOURS_PX)
    ]
    for rows in places:
        for columns in places:
            if rows == columns == places[1]:
                continue
            neighbour = around[:, :, rows, columns]
            third = torch.minimum(third, torch.maximum(second, neighbour))
            second = torch.minimum(second, torch.maximum(lowest, neighbour))
            lowest = torch.minimum(lowest, neighbour)
    return lowest * CALMEST[0] + second * CALMEST[1] + third * CALMEST[2]


def _halve(light: torch.Tensor) -> torch.Tensor:
    """Average 2 by 2 pixels; an odd last row or column counts twice: (N, C, H, W) to (N, C, H / 2, W / 2)."""
    # An even side is padded too: the pool leaves its last row out again.
    return avg_pool2d(pad(light, [0, 1, 0, 1], mode="replicate"), 2)
