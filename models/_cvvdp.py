"""ColorVideoVDP 0.5.7 for still images (Mantiuk, Hanji, Ashraf, Asano, Chapiro 2024), on any display.

Its parameters, and the table of the eye's sensitivity, are those of the `cvvdp` package: MIT, Copyright (c) 2024
Graphics and Displays group.

Most steps of the authors' program are powers (x + e)^p - e^p, e = 1e-5, so that they can be differentiated at 0. Here
they are e^p ((1 + x/e)^p - 1), which is exactly 0 at 0, with the factors moved into tables, windows and weights.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from _cvvdp_display import Display, Emit
from _cvvdp_pyramid import Depth, Grow, Shrink, reflect
from _window import gaussian
from torch.nn.functional import conv2d

EPSILON = 1e-5
CSF = Path(__file__).with_name("_cvvdp_csf.json")
SENSITIVITY_DB = -0.2797423303127289
BASE_CPD = 0.1
"""Where the sensitivity to the base is looked up."""
CHANNEL_GAIN = (1.0, 1.45, 1.0)

MASK_EXPONENT = 2.264355182647705
MASK_GAIN = 10**-0.7954971194267273
MASKER_EXPONENTS = (1.302622675895691, 2.8885908126831055, 3.6807713508605957)
LOG2_MASKING = (
    (-0.18950104713439941, -5.962151050567627, -4.31834602355957),
    (2.5655593872070312, 0.34406712651252747, -2.719646453857422),
    (3.8118371963500977, -1.0051705837249756, -0.5193376541137695),
)
"""How much a channel (row) masks another (column)."""
BLUR_SIGMA, BLUR_TAPS = 3.0, 13
MOST = 10**2.5642454624176025
"""What differences are clamped to, softly."""

BASE_WEIGHTS = (0.0036334486212581396, 1.6627724170684814, 4.11874532699585)
STILL_WEIGHT = 0.577918291091919
JOD_SCALE, JOD_EXPONENT = 0.0439569391310215, 0.9302042722702026
JOD_LINEAR = 0.1
"""Below this a difference costs in proportion."""


class ColorVideoVdp(torch.nn.Module):
    """ColorVideoVDP for still images: 10 JOD (just-objectionable differences) less what can be seen."""

    base_weights: torch.Tensor

    def __init__(self, display: Display) -> None:
        super().__init__()
        peaks = display.bands_cpd()
        self.emit, self.depth = Emit(display), Depth(len(peaks))
        self.shrink, self.grow, self.grow_map = Shrink(3), Grow(3), Grow(1)
        # The authors double each band but the first, and say how masking wants channels weighed.
        gains = [[gain / EPSILON * (2 if level else 1) for gain in CHANNEL_GAIN] for level in range(len(peaks))]
        self.sensitivities = torch.nn.ModuleList(map(Sensitivity, peaks, gains))
        self.base_sensitivity = Sensitivity(BASE_CPD, [1.0, 1.0, 1.0])
        self.masking = Masking()
        self.register_buffer("base_weights", torch.tensor(BASE_WEIGHTS).view(3, 1, 1))

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 10 or less; sides of at least 2 px."""
        levels = self._levels(candidate, reference)
        has_band, is_base = self.depth(levels[0])
        return self._score(self._bands(levels), self._base(levels, is_base), has_band)

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and at each pixel the JOD lost, in tenths: the authors' "raw" heatmap."""
        levels = self._levels(candidate, reference)
        has_band, is_base = self.depth(levels[0])
        bands, base = self._bands(levels), self._base(levels, is_base)
        base_seen = _over_channels(base * self.base_weights).flatten(2)
        seen = _place(base_seen * is_base[-1], levels[-1])
        for level in reversed(range(len(bands))):
            band = _over_channels(bands[level]) / (2 if level else 1)
            seen = (self.grow_map(seen, band) + band) * has_band[level] + _place(base_seen * is_base[level], band)
        return self._score(bands, base, has_band), lost(seen)[:, 0] / 10

    def _levels(self, candidate: torch.Tensor, reference: torch.Tensor) -> list[torch.Tensor]:
        """Return the pyramid of candidates and references, (2N, 3, h, w) each."""
        levels = [self.emit(torch.cat([candidate, reference]))]
        for _ in self.sensitivities:
            levels.append(self.shrink(levels[-1]))
        return levels

    def _bands(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the difference seen at each pixel of each band, (N, 3, h, w) each."""
        bands, count = [], levels[0].shape[0] // 2
        for level, smaller, sensitivity in zip(levels, levels[1:], self.sensitivities, strict=False):
            around = self.grow(smaller, level)
            luminance = around[:, :1]
            contrast = (level - around) / luminance
            candidate, reference = contrast[:count], contrast[count:]
            weight = sensitivity(luminance[count:])
            common = torch.minimum(candidate.abs(), reference.abs())
            bands.append(self.masking((candidate - reference).abs() * weight, common * weight))
        return bands

    def _base(self, levels: list[torch.Tensor], is_base: torch.Tensor) -> torch.Tensor:
        """Return the difference seen at each pixel of the base, (N, 3, 1, pixels): all other levels give none."""
        flat = [level.flatten(2) for level in levels]
        pixels = [torch._shape_as_tensor(plane)[2] * here for plane, here in zip(flat, is_base.unbind(), strict=True)]
        base = torch.cat([plane[:, :, :count] for plane, count in zip(flat, pixels, strict=True)], dim=2)[:, :, None]
        # Apart, so that equal images are summed in the same order and differ by nothing.
        candidate, reference = base.chunk(2)
        light, luminance = (image[:, :1].mean(dim=3, keepdim=True) for image in (candidate, reference))
        return (candidate / light - reference / luminance).abs() * self.base_sensitivity(luminance)

    def _score(self, bands: list[torch.Tensor], base: torch.Tensor, has_band: torch.Tensor) -> torch.Tensor:
        """Pool over pixels, bands and channels: scores (N,)."""
        per_band = torch.cat([_over_pixels(band) for band in bands], dim=2) * has_band
        seen = torch.cat([per_band, _over_pixels(base) * self.base_weights[:, 0]], dim=2)
        seen = _root(_fourth(seen).sum(dim=2))
        return 10 - lost(_root(_fourth(seen).sum(dim=1)) * STILL_WEIGHT)


class Sensitivity(torch.nn.Module):
    """The eye's contrast sensitivity (castleCSF) at one frequency, times gains: luminance (N, 1, h, w) to (N, 3, h, w).

    Its logarithm is interpolated in a table over that of the luminance: values and steps to the next, one channel after
    the other.
    """

    values: torch.Tensor
    steps: torch.Tensor
    channels: torch.Tensor

    def __init__(self, cpd: float, gains: list[float]) -> None:
        super().__init__()
        table = json.loads(CSF.read_text(encoding="utf-8"))
        self.first, last = table["log10_luminance"]
        frequencies = np.log10(table["cycles_per_degree"])
        logs = np.array([[np.interp(np.log10(cpd), frequencies, row) for row in c] for c in table["log10_sensitivity"]])
        logs = (logs + SENSITIVITY_DB / 20) * math.log(10) + np.log(gains)[:, None]
        self.last = logs.shape[1] - 1
        self.per_log10 = self.last / (last - self.first)
        steps = np.diff(logs, append=logs[:, -1:])
        self.register_buffer("values", torch.tensor(logs.ravel(), dtype=torch.float32))
        self.register_buffer("steps", torch.tensor(steps.ravel(), dtype=torch.float32))
        starts = torch.arange(0, logs.size, logs.shape[1], dtype=torch.int32)
        self.register_buffer("channels", starts.view(3, 1, 1))

    def forward(self, luminance: torch.Tensor) -> torch.Tensor:
        position = luminance.log() * (self.per_log10 / math.log(10)) - self.first * self.per_log10
        position = position.clamp(0, self.last)
        entry = position.to(torch.int32)
        part = position - entry.to(torch.float32)
        entries = entry + self.channels
        flat = entries.reshape(-1)
        value, step = (table.gather(0, flat).view_as(entries) for table in (self.values, self.steps))
        return (value + step * part).exp()


class Masking(torch.nn.Module):
    """Weakens differences where both images hold contrast: two planes (N, 3, h, w), each over EPSILON, to one.

    Contrast masks what is near it; in images that are too short for the authors' mirror, only what is at its place.
    """

    blur: torch.Tensor
    spot: torch.Tensor
    exponents: torch.Tensor
    mix: torch.Tensor
    bias: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.radius = BLUR_TAPS // 2
        blur = torch.tensor(gaussian(BLUR_SIGMA, BLUR_TAPS)) * MASK_GAIN**0.5
        spot = torch.zeros(BLUR_TAPS)
        spot[self.radius] = MASK_GAIN**0.5
        self.register_buffer("blur", blur.repeat(3, 1, 1, 1))
        self.register_buffer("spot", spot.repeat(3, 1, 1, 1))
        exponents = np.array(MASKER_EXPONENTS)
        weights = 2.0 ** np.array(LOG2_MASKING).T * EPSILON**exponents
        unit = EPSILON**MASK_EXPONENT
        self.register_buffer("exponents", torch.tensor(exponents, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("mix", torch.tensor(weights / unit, dtype=torch.float32))
        self.register_buffer("bias", torch.tensor((1 - weights.sum(axis=1)) / unit, dtype=torch.float32).view(3, 1))

    def forward(self, difference: torch.Tensor, common: torch.Tensor) -> torch.Tensor:
        fits = torch._shape_as_tensor(common)[2:].min() > self.radius
        window = torch.where(fits, self.blur, self.spot)
        rows = conv2d(reflect(common, 2, self.radius), window.transpose(2, 3), groups=3)
        masker = conv2d(reflect(rows, 3, self.radius), window, groups=3)
        mask = torch.matmul(self.mix, _power(masker, self.exponents).flatten(2)) + self.bias
        raised = _power(difference, MASK_EXPONENT) - 1
        return raised / (mask.view_as(raised) + raised / MOST)


def lost(seen: torch.Tensor) -> torch.Tensor:
    """Turn a difference into JOD."""
    slope = JOD_SCALE * JOD_LINEAR ** (JOD_EXPONENT - 1)
    # Line and curve in one sum, as they meet at JOD_LINEAR.
    line = slope * seen.clamp(max=JOD_LINEAR)
    return line + JOD_SCALE * (seen.clamp(min=JOD_LINEAR) ** JOD_EXPONENT - JOD_LINEAR**JOD_EXPONENT)


def _power(x: torch.Tensor, exponent: torch.Tensor | float) -> torch.Tensor:
    """Return (1 + x)^exponent; ONNX Runtime's Pow takes twice as long."""
    return ((1 + x).log() * exponent).exp()


def _fourth(x: torch.Tensor) -> torch.Tensor:
    """Return (x + e)⁴ - e⁴."""
    return x * (x + 2 * EPSILON) * ((x + EPSILON) ** 2 + EPSILON**2)


def _root(x: torch.Tensor) -> torch.Tensor:
    """Return the fourth root of x + e, less that of e."""
    root, least = (x + EPSILON).sqrt(), EPSILON**0.5
    return x / ((root + least) * (root.sqrt() + least**0.5))


def _over_channels(band: torch.Tensor) -> torch.Tensor:
    """Pool (N, 3, h, w) over channels: (N, 1, h, w)."""
    return _root(_fourth(band * STILL_WEIGHT).sum(dim=1, keepdim=True))


def _over_pixels(band: torch.Tensor) -> torch.Tensor:
    """Pool (N, 3, h, w) over pixels, row by row: (N, 3, 1)."""
    square = (band * (band + 2 * EPSILON)).mean(dim=3).mean(dim=2, keepdim=True)
    return square / ((square + EPSILON).sqrt() + EPSILON**0.5)


def _place(pixels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Turn (N, 1, any number of pixels) into the image (N, 1, h, w) that they are, or into zeros if they are zeros."""
    height, width = torch._shape_as_tensor(like)[2:].unbind()
    zeros = (like[: pixels.shape[0], :1] * 0).flatten(2)
    return torch.cat([pixels, zeros], dim=2)[:, :, : height * width].reshape(-1, 1, height, width)
