"""Writes the graph of colourfulness: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import mix, to_level_planes
from _export import export_image
from _golden import U8, Golden, ImagePeer

OPPONENTS = ((1, -1, 0), (0.5, 0.5, -1))
"""Red against green, yellow against blue."""
MEAN_WEIGHT = 0.3
"""Of the distance from grey, beside the spread around it: the paper's fit to what people said."""
MOST = 297.7
"""No image has more: sqrt(1 + 0.3²) times 255 sqrt(1.25), how far from grey the two opponents get."""


class Colourfulness(torch.nn.Module):
    """Colourfulness (Hasler and Süsstrunk 2003), the metric that they call M(3), of sRGB in [0, 255]."""

    def forward(self, candidate: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) to scores (N,), 0 to 297.7."""
        opponents = mix(to_level_planes(candidate), OPPONENTS)
        # Axis by axis: a float32 sum over a whole image would lose digits as it grows.
        mean = opponents.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
        variance = ((opponents - mean) ** 2).mean(dim=3).mean(dim=2)
        spread, distance = variance.sum(dim=1).sqrt(), (mean * mean).sum(dim=(1, 2, 3)).sqrt()
        return spread + MEAN_WEIGHT * distance


def peer() -> ImagePeer:
    """Return the paper's formula in NumPy, in float64: its authors published no program."""
    import numpy as np

    def score(candidate: U8) -> float:
        red, green, blue = np.moveaxis(candidate.astype(np.float64), 2, 0)
        red_green, yellow_blue = red - green, (red + green) / 2 - blue
        spread = np.hypot(red_green.std(), yellow_blue.std())
        return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))

    return score


GOLDEN = Golden(
    __file__,
    peer="the paper's formula in NumPy 2",
    how="hypot(std(rg), std(yb)) + 0.3 hypot(mean(rg), mean(yb)), rg = R - G, yb = (R + G) / 2 - B, in float64",
    tolerance=1e-4,
    reason="float32 rounding, against float64",
)

if __name__ == "__main__":
    export_image(Colourfulness, GOLDEN, peer, side_px=16)
