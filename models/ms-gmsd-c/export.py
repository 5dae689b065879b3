"""Writes the graph of ms-gmsd-c: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import YIQ, mix_levels
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _gradient import PREWITT, dissimilarity, magnitudes
from _shrink import halve
from _window import average

SCALE_WEIGHTS = (0.096, 0.596, 0.289, 0.019)
CONSTANT, MASKING = 170.0, 0.5
CHROMA_WEIGHT, BALANCE, STEEPNESS = 0.01, 0.32, 15.0
"""The paper's beta 1 to 3."""


class MsGmsdC(torch.nn.Module):
    """Gradient magnitude similarity deviation on four scales with colour (Zhang, Sander, Bermak 2017)."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 or more; sides of at least 17 px."""
        x, y = (mix_levels(pixels, YIQ) for pixels in (candidate, reference))
        variance = SCALE_WEIGHTS[0] * _variance(x, y)
        for weight in SCALE_WEIGHTS[1:]:
            x, y = halve(x), halve(y)
            variance = variance + weight * _variance(x, y)
        deviation = variance.sqrt()
        # As piq has it, colour is compared at the coarsest scale.
        chroma = (x[:, 1:] - y[:, 1:]).square().mean(dim=3).mean(dim=2).sum(dim=1).sqrt()
        gamma = 2 / (1 + BALANCE * torch.exp(-STEEPNESS * deviation)) - 1
        return gamma * deviation + (1 - gamma) * (CHROMA_WEIGHT * chroma)


def _variance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the variance (N,) of the gradients' similarity in the first planes of (N, 3, H, W)."""
    gradients = magnitudes(torch.cat([x[:, :1], y[:, :1]], dim=1), PREWITT)
    errors = dissimilarity(*gradients.split(1, dim=1), CONSTANT, MASKING)
    centred = errors - average(errors)[:, None, None, None]
    return average(centred * centred)


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(
        piq.multi_scale_gmsd(to_unit(candidate), to_unit(reference), chromatic=True)
    )


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.multi_scale_gmsd(candidate, reference, data_range=1.0, chromatic=True) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    min_side_px=17,
)

if __name__ == "__main__":
    export_pair(MsGmsdC, GOLDEN, peer, side_px=64)
