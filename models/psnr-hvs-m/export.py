"""Writes the graph of psnr-hvs-m: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _golden import Golden, Peer
from _psnr_hvs import SIDE, ask_peer, export, to_decibels, visible_errors
from _window import average


class PsnrHvsM(torch.nn.Module):
    """PSNR-HVS-M (Ponomarenko et al. 2007): PSNR-HVS less the errors that stronger coefficients of the block mask."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map uint8 (N, H, W, 3) pairs to decibels (N,), -7 to 100, and uncapped; sides of at least 8 px."""
        return to_decibels(average(visible_errors(candidate, reference, is_masked=True)))

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and the root of each block's error; where none fits, that of the nearest block."""
        errors = visible_errors(candidate, reference, is_masked=True)
        drawn = errors[:, 0].sqrt()
        for axis in (1, 2):
            blocks = torch.arange(candidate.shape[axis]) // SIDE
            drawn = torch.index_select(drawn, axis, blocks.clamp(max=torch.tensor(drawn.shape[axis]) - 1))
        return to_decibels(average(errors))[0], drawn


def peer() -> Peer:
    """Return the package's, in float64."""
    return lambda candidate, reference: ask_peer(candidate, reference)[1]


GOLDEN = Golden(
    __file__,
    peer="psnr_hvsm 0.3.0",
    how="psnr_hvs_hvsm(bt601ycbcr(reference)[0], bt601ycbcr(candidate)[0])[1] in float64, partial blocks cut off",
    tolerance=2e-5,
    reason="float32 rounding of a logarithm: 100 dB has steps of 8e-6",
    min_side_px=8,
)

if __name__ == "__main__":
    export(PsnrHvsM, GOLDEN, peer)
