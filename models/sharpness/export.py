"""Writes the graph of sharpness: constants only, no weights."""

import sys
from pathlib import Path

import torch
from torch.nn.functional import pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import blend, to_level_planes
from _export import export_image
from _golden import U8, Golden, ImagePeer

GREY, GREY_SCALE = (9798, 19235, 3735), 2**15
"""BT.601's luma in the whole numbers that OpenCV computes its 8-bit grey with."""


class Sharpness(torch.nn.Module):
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) of 8-bit grey, as OpenCV users compute it."""

    def forward(self, candidate: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) to scores (N,), 0 to 1040400; sides of at least 2 px."""
        # float32 holds every sum of 32768ths exactly: the grey is OpenCV's, bit for bit.
        grey = torch.floor(blend(to_level_planes(candidate), [share / GREY_SCALE for share in GREY]) + 0.5)
        wide = pad(grey, [1] * 4, mode="reflect")
        beside = wide[:, :, 1:-1, :-2] + wide[:, :, 1:-1, 2:]
        laplacian = wide[:, :, :-2, 1:-1] + wide[:, :, 2:, 1:-1] + beside - 4 * grey
        # Axis by axis: a float32 sum over a whole image would lose digits as it grows.
        mean = laplacian.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
        return ((laplacian - mean) ** 2).mean(dim=3).mean(dim=2)[:, 0]


def peer() -> ImagePeer:
    """Return OpenCV's."""
    import cv2

    def score(candidate: U8) -> float:
        return float(cv2.Laplacian(cv2.cvtColor(candidate, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())

    return score


GOLDEN = Golden(
    __file__,
    peer="opencv-python-headless 5.0.0",
    how="cv2.Laplacian(cv2.cvtColor(candidate, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()",
    tolerance=0.01,
    reason="float32 rounding, against float64: scores of 10,000 have steps of 0.001",
)

if __name__ == "__main__":
    export_image(Sharpness, GOLDEN, peer, side_px=16)
