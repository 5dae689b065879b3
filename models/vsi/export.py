"""Writes the graph of vsi: constants only, no weights."""

import math
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bilinear import sample
from _colour import linearise, mix, to_level_planes
from _dft import basis
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _gradient import SCHARR, dissimilarity, magnitude
from _shrink import block_side, shrink, spread
from _window import average

LMN = ((0.06, 0.63, 0.27), (0.30, 0.04, -0.35), (0.34, -0.6, 0.17))
"""Brightness and two axes of colour (Geusebroek et al. 2001)."""
XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""From linear sRGB, with its own white."""
WHITE = (0.9642119944211994, 1.0, 0.8251882845188288)
"""That of D50, which the authors divide by all the same."""
SALIENCY, GRADIENT, COLOUR = 1.27, 386.0, 130.0
"""What keeps each similarity from 0 / 0, on levels of 0 to 255."""
ALPHA, BETA = 0.4, 0.02
"""Exponents of gradients and colours."""
SIDE_PX = 256
"""Saliency is found in an image of that width and height, whatever its shape."""
FREQUENCY, BANDWIDTH, CENTRE, WARMTH = 0.021, 1.34, 145.0, 0.001
"""Of SDSP: middle and width of the band of frequencies, widths of the biases to the centre and to warm colours."""
EVEN = 1e-3
"""Colours, or saliencies, that differ by no more are the same: one level makes 0.007, rounding 0.0001."""


class Vsi(torch.nn.Module):
    """Visual saliency-induced index (Zhang, Shen, Li 2014): saliency, gradients and colours, weighted by saliency.

    Saliency is SDSP's (Zhang, Gu, Li 2013): a band of frequencies of CIE Lab, times a bias to the centre of the image,
    times one to warm colours.
    """

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 to 1."""
        return (1 - average(_shares(candidate, reference))).clamp(0, 1)

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and 1 - similarity times saliency over its mean, at each block of pixels."""
        shares, planes = _shares(candidate, reference), candidate.permute(0, 3, 1, 2)
        return (1 - average(shares)).clamp(0, 1), spread(shares[:, 0], block_side(planes), "replicate", planes)


def _shares(candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return what each place takes off the score, (N, 1, h, w) with a shorter side of about 256 or less."""
    # One batch of candidate, reference, next candidate, …
    planes = to_level_planes(torch.stack([candidate, reference], dim=1).flatten(0, 1))
    side = block_side(planes)
    colours = mix(shrink(planes, side, "replicate"), LMN)
    saliencies = shrink(_saliency(planes), side, "replicate")
    x, y, vx, vy = colours[0::2], colours[1::2], saliencies[0::2], saliencies[1::2]
    errors = _errors(x, y, dissimilarity(vx, vy, SALIENCY))
    weights = torch.maximum(vx, vy)
    return errors * weights / average(weights).clamp(min=1e-30)[:, None, None, None]


def _errors(x: torch.Tensor, y: torch.Tensor, saliency: torch.Tensor) -> torch.Tensor:
    """Return 1 - similarity of two images in LMN, whose saliency is unlike by as much as told."""
    gradients = dissimilarity(magnitude(x[:, :1], SCHARR), magnitude(y[:, :1], SCHARR), GRADIENT)
    colours = (1 - dissimilarity(x[:, 1:2], y[:, 1:2], COLOUR)) * (1 - dissimilarity(x[:, 2:], y[:, 2:], COLOUR))
    # The real part of a complex power, where colours are opposite.
    turn = torch.where(colours < 0, math.cos(math.pi * BETA), 1.0)
    return 1 - (1 - saliency) * (1 - gradients) ** ALPHA * colours.abs() ** BETA * turn


def _saliency(planes: torch.Tensor) -> torch.Tensor:
    """Find what draws the eye in levels (N, 3, H, W): 0 to 1, (N, 1, H, W)."""
    height, width = (torch._shape_as_tensor(planes)[axis] for axis in (2, 3))
    # Zero, but not for the exporter: tables of this size are made when the graph runs, on the machine that runs it.
    places, small = torch.arange(SIDE_PX + 0 * height), planes
    for axis, length in ((2, height), (3, width)):
        small = sample(small, axis, (2 * places + 1) * length - SIDE_PX, 2 * SIDE_PX)
    lab = _lab(small)
    saliency = _band(lab, places) * _bias(places) * _warmth(lab[:, 1:])
    for axis, length in ((2, height), (3, width)):
        saliency = sample(saliency, axis, torch.arange(length) * (SIDE_PX - 1), (length - 1).clamp(min=1))
    return _stretch(saliency)


def _lab(planes: torch.Tensor) -> torch.Tensor:
    """Turn levels into CIE Lab as piq and the authors do: (N, 3, H, W)."""
    white = torch.tensor(WHITE).view(-1, 1, 1)
    x = mix(linearise(planes / 255), XYZ) / white
    root = torch.where(x > 0.008856, x.clamp(min=0.008856) ** (1 / 3), (903.3 * x + 16) / 116)
    return mix(root, ((0, 116, 0), (500, -500, 0), (0, 200, -200))) - torch.tensor([16.0, 0, 0]).view(-1, 1, 1)


def _band(lab: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the strength of a log-Gabor band of frequencies at each place: (N, 1, 256, 256)."""
    lines = basis(torch._shape_as_tensor(places)[0])
    frequencies = places[: SIDE_PX // 2 + 1].to(torch.float32) / SIDE_PX
    radius = (frequencies[:, None] ** 2 + frequencies**2).sqrt()
    filter_ = (-((radius.clamp(min=1e-9) / FREQUENCY).log() ** 2) / (2 * BANDWIDTH**2)).exp()
    filter_ = torch.where((radius > 0) & (radius <= 0.5), filter_, 0.0).repeat(2, 2)
    # The mean, which the filter takes away, would cost digits.
    lab = lab - lab.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
    band = lines.T @ ((lines @ lab @ lines.T) * filter_) @ lines
    return (band * band).sum(dim=1, keepdim=True).sqrt()


def _bias(places: torch.Tensor) -> torch.Tensor:
    """Return how near each place is to the centre: (256, 256)."""
    near = (-(((places - (SIDE_PX // 2 - 1)).to(torch.float32) / CENTRE) ** 2)).exp()
    return near[:, None] * near


def _warmth(chroma: torch.Tensor) -> torch.Tensor:
    """Return how warm each place is, beside the image's coldest: (N, 1, 256, 256)."""
    return 1 - (-_stretch(chroma).square().sum(dim=1, keepdim=True) / WARMTH**2).exp()


def _stretch(planes: torch.Tensor) -> torch.Tensor:
    """Bring each plane to 0 to 1."""
    least = planes.amin(dim=(2, 3), keepdim=True)
    span = planes.amax(dim=(2, 3), keepdim=True) - least
    return torch.where(span > EVEN, (planes - least) / span.clamp(min=EVEN), 0.0)


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.vsi(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.vsi(candidate, reference, data_range=1.0) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
)

if __name__ == "__main__":
    export_pair(Vsi, GOLDEN, peer, side_px=32)
