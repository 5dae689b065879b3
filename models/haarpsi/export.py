"""Writes the graph of haarpsi: constants only, no weights."""

import math
import sys
from pathlib import Path

import torch
from torch.nn.functional import avg_pool2d, pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import YIQ, mix_levels
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _gradient import dissimilarity
from _shrink import halve, spread_halves
from _window import average, slide

CONSTANT, ALPHA = 30.0, 4.2
BEST = 1 / (1 + math.exp(-ALPHA))
"""The logistic function of alpha: what a place without error counts."""
TINY = 1e-12
"""Keeps two black images, where all weights are 0, from being 0 / 0."""


class HaarPsi(torch.nn.Module):
    """Haar wavelet-based perceptual similarity index (Reisenhofer, Bosse, Kutyniok, Wiegand 2018), in colour.

    The paper averages the logistic of each similarity s, with weights, and takes the logit of that. Here the loss
        logistic(a) - logistic(a s)  =  logistic(a) (1 - logistic(a s)) (1 - exp(-a (1 - s)))
    is averaged, which keeps the digits of a small one and gives exactly 1 for equal images.
    """

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 to 1; sides of at least 16 px."""
        weights, errors = _compare(candidate, reference)
        return _index(average(weights * _loss(errors)), average(weights)).clamp(0, 1)

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and 1 minus what the index would be if each 2 by 2 pixels were all there is."""
        weights, errors = _compare(candidate, reference)
        weighted = weights * _loss(errors)
        local = 1 - _index(weighted.mean(dim=1), weights.mean(dim=1)).clamp(0, 1)
        scores = _index(average(weighted), average(weights)).clamp(0, 1)
        return scores, spread_halves(local, candidate.permute(0, 3, 1, 2))


def _compare(candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights and 1 - similarities of edges across, edges along and colours: (N, 3, H / 2, W / 2) each."""
    x, y = (halve(mix_levels(pixels, YIQ)) for pixels in (candidate, reference))
    fine, middle, coarse = (_steps(torch.cat([x[:, :1], y[:, :1]], dim=1), side) for side in (2, 4, 8))
    errors = [(_differ(fine[axis]) + _differ(middle[axis])) / 2 for axis in (0, 1)]
    weights = [coarse[axis].amax(dim=1, keepdim=True) for axis in (0, 1)]
    colours = (avg_pool2d(pad(planes[:, 1:], [0, 1, 0, 1]), kernel_size=2, stride=1).abs() for planes in (x, y))
    errors.append(dissimilarity(*colours, CONSTANT).mean(dim=1, keepdim=True))
    weights.append((weights[0] + weights[1]) / 2)
    return torch.cat(weights, dim=1), torch.cat(errors, dim=1)


def _steps(planes: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how large the step of brightness is across the middle of each block, top to bottom and left to right.

    Both are (N, C, H, W); blocks of `side` px stand half a pixel down and right of the centre; zeros lie beyond.
    """
    flat, step = [1.0] * side, [1 / side] * (side // 2) + [-1 / side] * (side // 2)
    planes = pad(planes, [side // 2 - 1, side // 2] * 2)
    return slide(planes, step, flat).abs(), slide(planes, flat, step).abs()


def _differ(pair: torch.Tensor) -> torch.Tensor:
    """Compare the two planes of (N, 2, H, W): (N, 1, H, W)."""
    return dissimilarity(pair[:, :1], pair[:, 1:], CONSTANT)


def _loss(errors: torch.Tensor) -> torch.Tensor:
    """Return logistic(alpha) - logistic(alpha (1 - error)), from 0 to 0.49."""
    return BEST * torch.sigmoid(ALPHA * (errors - 1)) * (1 - torch.exp(-ALPHA * errors))


def _index(weighted: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Take the logit of a weighted average of losses: (logit(BEST - loss) / alpha)²."""
    loss = weighted / (weights + TINY)
    logit = ALPHA + torch.log(1 - loss / BEST) - torch.log(1 + loss / (1 - BEST))
    return (logit / ALPHA).square()


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.haarpsi(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.haarpsi(candidate, reference, data_range=1.0) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    min_side_px=16,
)

if __name__ == "__main__":
    export_pair(HaarPsi, GOLDEN, peer, side_px=32)
