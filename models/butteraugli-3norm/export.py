"""Writes the graph of butteraugli-3norm: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _butteraugli import MIN_SIDE_PX, Butteraugli
from _butteraugli_peer import PEER, ask
from _export import export_pair
from _golden import Golden, Peer
from _window import average

NORMS = (3, 6, 12)
LEAST = 1e-30


class Butteraugli3Norm(torch.nn.Module):
    """The mean of the 3-norm, 6-norm and 12-norm of the distances at all pixels, which libjxl calls the 3-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.butteraugli = Butteraugli()

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to distances (N,), 0 and more; sides of at least 8 px."""
        return self.map(candidate, reference)[0]

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the norm, and the distance at each pixel, (N, H, W)."""
        distances = self.butteraugli(candidate, reference)
        # Of the largest, so that no 12th power leaves what float32 can hold.
        largest = distances.amax(dim=(1, 2)).clamp(min=LEAST)
        cubes = (distances / largest[:, None, None])[:, None]
        cubes = cubes * cubes * cubes
        sixths = cubes * cubes
        means = (average(powers) for powers in (cubes, sixths, sixths * sixths))
        norms = sum(mean ** (1 / norm) for mean, norm in zip(means, NORMS, strict=True))
        return largest * norms / len(NORMS), distances


def peer() -> Peer:
    """Return libjxl's."""
    return lambda candidate, reference: ask(candidate, reference)[1]


GOLDEN = Golden(
    __file__,
    peer=PEER,
    how="butteraugli_main reference.ppm candidate.ppm, the number after `3-norm:`",
    tolerance=1e-3,
    reason="float32 on both sides, and libjxl's rational approximations of logarithm and sRGB",
    min_side_px=MIN_SIDE_PX,
    is_symmetric=False,
)

if __name__ == "__main__":
    export_pair(Butteraugli3Norm, GOLDEN, peer, side_px=32)
