"""Writes the graph of psnr-hvs: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _golden import Golden, Peer
from _psnr_hvs import ask_peer, export, to_decibels, visible_errors
from _window import average


class PsnrHvs(torch.nn.Module):
    """PSNR-HVS (Egiazarian et al. 2006): PSNR of 8 by 8 DCT coefficients of luma, weighted by contrast sensitivity."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map uint8 (N, H, W, 3) pairs to decibels (N,), -7 to 100, and uncapped; sides of at least 8 px."""
        return to_decibels(average(visible_errors(candidate, reference, is_masked=False)))


def peer() -> Peer:
    """Return the package's, in float64."""
    return lambda candidate, reference: ask_peer(candidate, reference)[0]


GOLDEN = Golden(
    __file__,
    peer="psnr_hvsm 0.3.0",
    how="psnr_hvs_hvsm(bt601ycbcr(reference)[0], bt601ycbcr(candidate)[0])[0] in float64, partial blocks cut off",
    tolerance=2e-5,
    reason="float32 rounding of a logarithm: 100 dB has steps of 8e-6",
    min_side_px=8,
)

if __name__ == "__main__":
    export(PsnrHvs, GOLDEN, peer)
