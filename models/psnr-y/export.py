"""Writes the graph of psnr-y: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit

LUMA_PER_MILLE = (299.0, 587.0, 114.0)
"""BT.601's luma in whole numbers, so that float32 holds the luma of whole levels exactly."""
FLOOR = 1e-8
"""Added to the mean squared error, as piq 0.8 does: the same image twice has 80 dB, not infinity."""


class PsnrY(torch.nn.Module):
    """Peak signal-to-noise ratio over all pixels of the luma of RGB images, in [0, 1]."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to decibels (N,), 0 to 80."""
        levels = candidate.to(torch.float32) - reference.to(torch.float32)
        difference = levels @ torch.tensor(LUMA_PER_MILLE)[:, None]
        # Averaged row by row: a float32 sum over a whole image would lose digits as it grows.
        error = (difference * difference).mean(dim=(2, 3)).mean(dim=1) / 255e3**2
        return (-10 * torch.log10(error + FLOOR)).clamp(0, 80)


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(
        piq.psnr(to_unit(candidate), to_unit(reference), convert_to_greyscale=True)
    )


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.psnr(candidate, reference, data_range=1.0, convert_to_greyscale=True) in float64",
    tolerance=2e-5,
    reason="float32 rounding of a logarithm: 80 dB has steps of 8e-6",
)

if __name__ == "__main__":
    export_pair(PsnrY, GOLDEN, peer, side_px=16)
