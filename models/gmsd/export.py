"""Writes the graph of gmsd: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import LUMA, mix_levels
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _gradient import PREWITT, dissimilarity, magnitudes
from _shrink import halve, spread_halves
from _window import average

CONSTANT = 170.0


class Gmsd(torch.nn.Module):
    """Gradient magnitude similarity deviation (Xue, Zhang, Mou, Bovik 2013) of luma at half size."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 to 0.5."""
        return _deviation(_errors(candidate, reference))

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and 1 - similarity of the gradients at each 2 by 2 pixels."""
        errors = _errors(candidate, reference)
        return _deviation(errors), spread_halves(errors[:, 0], candidate.permute(0, 3, 1, 2))


def _errors(candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Compare the gradients of uint8 (N, H, W, 3) pairs at half size: (N, 1, H / 2, W / 2), 0 to 1."""
    luma = torch.cat([mix_levels(pixels, [LUMA]) for pixels in (candidate, reference)], dim=1)
    return dissimilarity(*magnitudes(halve(luma), PREWITT).split(1, dim=1), CONSTANT)


def _deviation(errors: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of each of N planes (N, 1, H, W)."""
    centred = errors - average(errors)[:, None, None, None]
    return average(centred * centred).sqrt()


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.gmsd(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.gmsd(candidate, reference, data_range=1.0) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
)

if __name__ == "__main__":
    export_pair(Gmsd, GOLDEN, peer, side_px=32)
