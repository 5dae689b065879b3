"""Writes the graph of fsim-c: constants only, no weights."""

import math
import sys
from pathlib import Path
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import YIQ, mix, to_level_planes
from _dft import basis
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _gradient import SCHARR, dissimilarity, magnitude
from _shrink import block_side, shrink, spread
from _window import average

WAVELENGTHS = (6, 12, 24, 48)
"""Of the log-Gabor filters, in pixels."""
ORIENTATIONS = 4
BANDWIDTH = math.log(0.55)
SPREAD = math.pi / ORIENTATIONS / 1.2
"""Standard deviation of a filter's angles."""
CUTOFF, ORDER = 0.45, 15
"""Of the low-pass filter that rounds off the corners of the frequency plane."""
NOISE = (math.sqrt(math.pi / 2) + 2 * math.sqrt(2 - math.pi / 2)) / 1.7
"""Two deviations above the mean of Rayleigh noise of strength 1, and an empirical correction."""
CONGRUENCY, GRADIENT, COLOUR = 0.85, 160.0, 200.0
"""What keeps each similarity from 0 / 0, on levels of 0 to 255."""
LAMBDA = 0.03
"""Exponent of the colours."""
NOTHING = 2.2e-16
"""The amplitude of an image without any; there everything is in phase."""


class FsimC(torch.nn.Module):
    """Feature similarity with colour (Zhang, Zhang, Mou, Zhang 2011): phase congruency, gradients and chroma.

    Phase congruency is Kovesi's, of 4 scales and 4 orientations of log-Gabor filters over the whole image.
    """

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 to 1."""
        return (1 - average(_shares(candidate, reference))).clamp(0, 1)

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and 1 - similarity times phase congruency over its mean, at each block of pixels."""
        shares, planes = _shares(candidate, reference), candidate.permute(0, 3, 1, 2)
        return (1 - average(shares)).clamp(0, 1), spread(shares[:, 0], block_side(planes), "cut", planes)


class _Filter(NamedTuple):
    """The filters of one orientation, at all scales, for the planes of a real Fourier basis (`_dft.basis`).

    Attributes:
        even: what the real part of the answer takes of a coefficient, and of its partner, (1, 4, 2 F, 2 F') each.
        odd: the same for the imaginary part.
        noise: the threshold below which energy may be noise, where the median energy at the smallest scale is 1.
    """

    even: tuple[torch.Tensor, torch.Tensor]
    odd: tuple[torch.Tensor, torch.Tensor]
    noise: torch.Tensor


def _shares(candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return what each place takes off the score, (N, 1, h, w) with a shorter side of about 256 or less."""
    # One batch of candidate, reference, next candidate, …
    planes = to_level_planes(torch.stack([candidate, reference], dim=1).flatten(0, 1))
    yiq = mix(shrink(planes, block_side(planes), "cut"), YIQ)
    luma = yiq[:, :1]
    congruency, gradients = _congruency(luma), magnitude(luma, SCHARR)
    x, y = yiq[0::2], yiq[1::2]
    alike = (1 - dissimilarity(x[:, 1:2], y[:, 1:2], COLOUR)) * (1 - dissimilarity(x[:, 2:], y[:, 2:], COLOUR))
    alike = alike.abs() ** LAMBDA
    alike = alike * (1 - dissimilarity(gradients[0::2], gradients[1::2], GRADIENT))
    alike = alike * (1 - dissimilarity(congruency[0::2], congruency[1::2], CONGRUENCY))
    weights = torch.maximum(congruency[0::2], congruency[1::2])
    return (1 - alike) * weights / average(weights).clamp(min=1e-30)[:, None, None, None]


def _congruency(luma: torch.Tensor) -> torch.Tensor:
    """Measure how far the waves at each place of (N, 1, H, W) are in phase: 0 to 1."""
    height, width = (torch._shape_as_tensor(luma)[axis] for axis in (2, 3))
    columns, rows = basis(height), basis(width)
    # No filter answers to the mean, which would cost digits; a flat image becomes exactly 0 in the first step.
    luma = luma - luma[:, :, :1, :1]
    luma = luma - luma.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
    planes = _partners(columns @ luma @ rows.T, height // 2 + 1, width // 2 + 1)
    energy, amplitude = NOTHING, NOTHING
    for filters in _filters(height, width):
        own, partner = filters.even
        even = columns.T @ (own * planes[0] + partner * planes[1]) @ rows
        own, partner = filters.odd
        odd = columns.T @ (own * planes[2] + partner * planes[3]) @ rows
        squares = even * even + odd * odd
        amplitude = amplitude + squares.sqrt().sum(dim=1, keepdim=True)
        energy = energy + (_energy(even, odd) - filters.noise * _median(squares[:, 0]).sqrt()).clamp(min=0)
    return energy / amplitude


def _energy(even: torch.Tensor, odd: torch.Tensor) -> torch.Tensor:
    """Return Σ (cosine of the phase's deviation from the mean less its sine) times amplitude: (N, 1, H, W)."""
    mean_even, mean_odd = even.sum(dim=1, keepdim=True), odd.sum(dim=1, keepdim=True)
    square = mean_even * mean_even + mean_odd * mean_odd
    across = (even * mean_odd - odd * mean_even).abs().sum(dim=1, keepdim=True)
    return (square - across) / square.clamp(min=1e-30).sqrt()


def _median(planes: torch.Tensor) -> torch.Tensor:
    """Return the lower median of (N, H, W): (N, 1, 1, 1)."""
    values = planes.flatten(1)
    half = torch._shape_as_tensor(values)[1] // 2 + 1
    return values.topk(half, dim=1, sorted=False).values.amin(dim=1)[:, None, None, None]


def _partners(coefficients: torch.Tensor, count: torch.Tensor, other: torch.Tensor) -> list[torch.Tensor]:
    """Return coefficients (N, 1, 2 F, 2 F'), and the three others that a filter mixes them with.

    With C and S for cosines and sines along either axis, and G₁ … G₄ the filter at (u, v), (-u, -v), (u, -v), (-u, v),

        cos cos of the real part = (ΣG / 4) CC + ((G₃ + G₄ - G₁ - G₂) / 4) SS

    and so on: the list holds what stands in the places of CC and SS there, then the same for the imaginary part.
    """
    upper, lower = coefficients[:, :, :count], coefficients[:, :, count:]
    cc, cs, sc, ss = upper[..., :other], upper[..., other:], lower[..., :other], lower[..., other:]
    rows = [((cc, cs), (sc, ss)), ((ss, -sc), (-cs, cc)), ((-sc, -ss), (cc, cs)), ((cs, -cc), (ss, -sc))]
    return [torch.cat([torch.cat(line, dim=3) for line in lines], dim=2) for lines in rows]


def _filters(height: torch.Tensor, width: torch.Tensor) -> list[_Filter]:
    """Make the filters of each orientation for planes of a size."""
    (u, has_partner, is_last), (v, *across) = _frequencies(height), _frequencies(width)
    u, has_partner, is_last = u[:, None], has_partner[:, None], is_last[:, None]
    square = u * u + v * v
    low_pass = 1 / (1 + (square / CUTOFF**2) ** ORDER)
    logs = [((square.clamp(min=1e-12).log() / 2 + math.log(length)) / BANDWIDTH) for length in WAVELENGTHS]
    radial = torch.where(square > 0, torch.stack([(-log * log / 2).exp() for log in logs]) * low_pass, 0.0)
    counts = (1 + has_partner) * (1 + across[0]) / 4
    smallest, all_scales = counts * radial[0].square(), counts * radial.sum(dim=0).square()
    angle = _angle(u, v)
    middles = torch.tensor([[[math.pi * orientation / ORIENTATIONS]] for orientation in range(ORIENTATIONS)])
    g = _angular(angle, middles, is_last, across[1])
    diagonal, other = g[0] + g[1], g[2] + g[3]  # both signs of one diagonal answer the real part alike
    turned, other_turned = g[0] - g[1], g[2] - g[3]
    mixes = (diagonal + other, other - diagonal, turned + other_turned, other_turned - turned)
    planes = [_repeat(radial * mix_[:, None] / 4).split([1] * ORIENTATIONS) for mix_ in mixes]
    one = (smallest * sum(part * part for part in g)).sum(dim=(1, 2))
    together = (all_scales * (diagonal.square() + other.square()) / 2).sum(dim=(1, 2))
    noise = NOISE * (together / (math.log(2) * one)).sqrt()
    parts = zip(*planes, noise.split([1] * ORIENTATIONS), strict=True)
    return [_Filter((own, partner), (odd, odd_partner), least) for own, partner, odd, odd_partner, least in parts]


def _repeat(planes: torch.Tensor) -> torch.Tensor:
    """Repeat (..., F, F') for cosines and sines: (..., 2 F, 2 F')."""
    planes = torch.cat([planes, planes], dim=-1)
    return torch.cat([planes, planes], dim=-2)


def _frequencies(size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the frequencies 0 to 0.5 of a side, where there are two of a kind, and which is half an even side.

    An odd side has its frequencies over the side less one, as the authors have it.
    """
    places = torch.arange(size // 2 + 1)
    frequencies = places.to(torch.float32) / (size - size % 2).clamp(min=1)
    return frequencies, (2 * places % size != 0).to(torch.float32), 2 * places == size


def _angle(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return the angle from the axis of u, 0 to π / 2, for frequencies of 0 or more; 0 at the origin.

    ONNX Runtime has no arc tangent on CUDA: halved twice, it is a short series.
    """
    ratio = torch.minimum(u, v) / torch.maximum(u, v).clamp(min=1e-12)
    for _ in range(2):
        ratio = ratio / (1 + (1 + ratio * ratio).sqrt())
    square = ratio * ratio
    angle = 4 * ratio * (1 - square * (1 / 3 - square * (1 / 5 - square * (1 / 7 - square / 9))))
    return torch.where(v > u, math.pi / 2 - angle, angle)


def _angular(
    angle: torch.Tensor, middles: torch.Tensor, is_last: torch.Tensor, is_last_across: torch.Tensor
) -> list[torch.Tensor]:
    """Return how much filters let through of (u, v), which stands at minus `angle`, (-u, -v), (u, -v) and (-u, v).

    Four of (O, F, F'), for O filters around angles `middles` (O, 1, 1).
    """
    near, far = (angle - middles).abs(), (math.pi - angle - middles).abs()
    distances = (math.pi - far, far, near, math.pi - near)
    plus, minus, right, left = ((-(distance * distance) / (2 * SPREAD**2)).exp() for distance in distances)
    # Half an even side stands for the negative frequency alone.
    plus, right = torch.where(is_last, left, plus), torch.where(is_last, minus, right)
    plus, left = torch.where(is_last_across, right, plus), torch.where(is_last_across, minus, left)
    return [plus, minus, right, left]


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.fsim(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.fsim(candidate, reference, data_range=1.0, chromatic=True) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
)

if __name__ == "__main__":
    export_pair(FsimC, GOLDEN, peer, side_px=32)
