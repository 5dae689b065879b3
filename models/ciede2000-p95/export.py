"""Writes the graph of ciede2000-p95: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _ciede2000 import colour_difference, peer_map
from _export import export_pair
from _golden import Golden, Peer


class Ciede2000P95(torch.nn.Module):
    """95th percentile of the colour difference CIEDE2000 over the pixels of sRGB images."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to ΔE00 (N,), 0 to 120: 95 % of the pixels have this much or less.

        With n pixels in order and p = 0.95 (n - 1), the place from 0, it lies between the pixels at floor(p) and the
        next, where p lies: NumPy's percentile by default. Whole twentieths keep p exact at any size.
        """
        difference = colour_difference(candidate, reference).flatten(1)
        twentieths = 19 * (torch.tensor(difference.shape[1]) - 1)
        below = twentieths // 20
        largest = torch.topk(difference, difference.shape[1] - below, dim=1, sorted=True).values[:, -2:]
        share = (twentieths - 20 * below).to(torch.float32) / 20
        # A single pixel is both ends at once.
        return largest[:, -1] + share * (largest[:, 0] - largest[:, -1])


def peer() -> Peer:
    """Return the percentile of scikit-image's, in float64."""
    import numpy as np

    return lambda candidate, reference: float(np.percentile(peer_map(candidate, reference), 95))


GOLDEN = Golden(
    __file__,
    peer="scikit-image 0.26.0, NumPy 2",
    how="numpy.percentile(deltaE_ciede2000(rgb2lab(candidate), rgb2lab(reference)), 95) in float64",
    tolerance=1e-4,
    reason="float32 rounding, against float64",
)

if __name__ == "__main__":
    export_pair(Ciede2000P95, GOLDEN, peer, side_px=16)
