"""Writes the graph of ciede2000: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _ciede2000 import colour_difference, peer_map
from _export import export_pair
from _golden import Golden, Peer


class Ciede2000(torch.nn.Module):
    """Mean colour difference CIEDE2000 (CIE 142-2001; Sharma, Wu and Dalal 2005) over the pixels of sRGB images."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to the mean ΔE00 (N,), 0 to 120."""
        return self.map(candidate, reference)[0]

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and ΔE00 at each pixel."""
        difference = colour_difference(candidate, reference)
        # Row by row: a float32 sum over a whole image would lose digits as it grows.
        return difference.mean(dim=2).mean(dim=1), difference


def peer() -> Peer:
    """Return the mean of scikit-image's, in float64."""
    return lambda candidate, reference: float(peer_map(candidate, reference).mean())


GOLDEN = Golden(
    __file__,
    peer="scikit-image 0.26.0",
    how="deltaE_ciede2000(rgb2lab(candidate), rgb2lab(reference)).mean() in float64",
    tolerance=1e-5,
    reason="float32 rounding, against float64",
)

if __name__ == "__main__":
    export_pair(Ciede2000, GOLDEN, peer, side_px=16)
