"""Writes the graph of butteraugli: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _butteraugli import MIN_SIDE_PX, Butteraugli
from _butteraugli_peer import PEER, ask
from _export import export_pair
from _golden import Golden, Peer


class ButteraugliMax(torch.nn.Module):
    """The largest distance at any pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.butteraugli = Butteraugli()

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to distances (N,), 0 and more; sides of at least 8 px."""
        return self.map(candidate, reference)[0]

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the largest distance, and that at each pixel, (N, H, W)."""
        distances = self.butteraugli(candidate, reference)
        return distances.amax(dim=(1, 2)), distances


def peer() -> Peer:
    """Return libjxl's."""
    return lambda candidate, reference: ask(candidate, reference)[0]


GOLDEN = Golden(
    __file__,
    peer=PEER,
    how="butteraugli_main reference.ppm candidate.ppm, the first number",
    tolerance=1e-3,
    reason="float32 on both sides, and libjxl's rational approximations of logarithm and sRGB",
    min_side_px=MIN_SIDE_PX,
    is_symmetric=False,
)

if __name__ == "__main__":
    export_pair(ButteraugliMax, GOLDEN, peer, side_px=32)
