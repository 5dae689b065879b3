"""Writes the graph of mdsi: constants only, no weights."""

import math
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import mix_levels
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _gradient import PREWITT, dissimilarity, magnitudes
from _shrink import block_side, shrink, spread
from _window import average

LHM = ((0.2989, 0.587, 0.114), (0.3, 0.04, -0.35), (0.34, -0.6, 0.17))
"""Luma and the two chroma axes of the authors, who take them from Geusebroek's colour model."""
C1, C2, C3 = 140.0, 55.0, 550.0
ALPHA = 0.6
"""The weight of gradients; colours have the rest."""
TURN = math.sqrt(0.5)
"""Real and imaginary part of (-1) ** 0.25."""


class Mdsi(torch.nn.Module):
    """Mean deviation similarity index (Nafchi, Shahkolaei, Hedjam, Cheriet 2016), gradients and colours summed.

    The similarity at a pixel may be negative, and its fourth root is then complex. Here its distance from 1 is worked
    with, 1 - root(1 - e) = e / ((1 + root) (1 + root²)), which keeps the digits of a small error: the score takes a
    fourth root once more, and would make 0.02 of an error of 1e-7.
    """

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 or more."""
        return _deviation(_errors(candidate, reference))

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and 1 - similarity of gradients and colours at each block of pixels."""
        errors, planes = _errors(candidate, reference), candidate.permute(0, 3, 1, 2)
        maps = spread(errors[:, 0].clamp(min=0), block_side(planes), "zeros", planes)
        return _deviation(errors), maps


def _errors(candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return 1 - similarity, (N, 1, h, w) with a shorter side of about 256 or less; above 1 where it is negative."""
    side = block_side(candidate.permute(0, 3, 1, 2))
    x, y = (shrink(mix_levels(pixels, LHM), side, "zeros") for pixels in (candidate, reference))
    luma = torch.cat([x[:, :1], y[:, :1], (x[:, :1] + y[:, :1]) / 2], dim=1)
    gx, gy, between = magnitudes(luma, PREWITT).split(1, dim=1)
    gradients = dissimilarity(gx, gy, C1) + dissimilarity(gx, between, C2) - dissimilarity(gy, between, C2)
    x, y = x[:, 1:], y[:, 1:]
    colours = (x - y).square().sum(dim=1, keepdim=True) / ((x * x + y * y).sum(dim=1, keepdim=True) + C3)
    return ALPHA * gradients + (1 - ALPHA) * colours


def _deviation(errors: torch.Tensor) -> torch.Tensor:
    """Return the fourth root of the mean distance of the similarities' complex fourth roots from their mean."""
    similarity = 1 - errors
    root = similarity.abs().sqrt().sqrt()
    is_negative = (similarity < 0).to(errors.dtype)
    positive = errors / ((1 + root) * (1 + root * root))
    real = torch.where(similarity < 0, 1 - TURN * root, positive)
    imaginary = TURN * root * is_negative
    real = real - average(real)[:, None, None, None]
    imaginary = imaginary - average(imaginary)[:, None, None, None]
    return average((real * real + imaginary * imaginary).sqrt()).sqrt().sqrt()


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.mdsi(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.mdsi(candidate, reference, data_range=1.0) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    is_symmetric=False,
)

if __name__ == "__main__":
    export_pair(Mdsi, GOLDEN, peer, side_px=32)
