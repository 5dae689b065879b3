"""Writes the graph of ssim: constants only, no weights."""

import sys
from pathlib import Path

import torch
from torch.nn.functional import conv2d, pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _window import average, gaussian

SIGMA, TAPS = 1.5, 11
C1, C2 = 0.01**2, 0.03**2


class Ssim(torch.nn.Module):
    """Structural similarity (Wang et al. 2004) with the authors' Gaussian window, per channel of RGB in [0, 1].

    With d = x - y the two factors of the paper are

        luminance   (2 mx my + C1) / (mx² + my² + C1)  =  1 - md² / (mx² + my² + C1)
        structure   (2 sxy + C2) / (sxx + syy + C2)    =  1 - sdd / (sxx + syy + C2)

    The right-hand forms need one blur less, give exactly 1 for equal images, and don't lose the small differences
    between similar images to the rounding of sxy.
    """

    window: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.tensor(gaussian(SIGMA, TAPS))
        self.register_buffer("window", window.repeat(12, 1, 1, 1))

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), -1 to 1; sides of at least 11 px."""
        return average(self._similarity(candidate, reference)).clamp(-1, 1)

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and 1 - similarity at each pixel; where no window fits, that of the nearest that does."""
        similarity = self._similarity(candidate, reference)
        return average(similarity).clamp(-1, 1), pad(1 - similarity.mean(dim=1), [TAPS // 2] * 4, mode="replicate")

    def _similarity(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Compare each window, each channel: (N, 3, H - 10, W - 10)."""
        x, y = _centred(candidate), _centred(reference)
        d = x - y
        mx, my, mss, mdd = self._blur(torch.cat([x, y, x * x + y * y, d * d], dim=1)).split(3, dim=1)
        md = mx - my
        luminance = 1 - md * md / ((mx + 0.5) ** 2 + (my + 0.5) ** 2 + C1)
        structure = 1 - (mdd - md * md) / (mss - mx * mx - my * my + C2)
        return luminance * structure

    def _blur(self, planes: torch.Tensor) -> torch.Tensor:
        """Blur each of 12 planes where the whole window fits: (N, 12, H, W) to (N, 12, H - 10, W - 10)."""
        return conv2d(conv2d(planes, self.window, groups=12), self.window.transpose(2, 3), groups=12)


def _centred(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 (N, H, W, 3) into (N, 3, H, W) around 0, where a difference of squares keeps the most digits."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 255 - 0.5


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.ssim(to_unit(candidate), to_unit(reference), downsample=False))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.ssim(candidate, reference, data_range=1.0, downsample=False) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    min_side_px=TAPS,
)

if __name__ == "__main__":
    export_pair(Ssim, GOLDEN, peer, side_px=32)
