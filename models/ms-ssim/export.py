"""Writes the graph of ms-ssim: constants only, no weights."""

import sys
from pathlib import Path

import torch
from torch.nn.functional import avg_pool2d, pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import to_unit_planes
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _ssim import WINDOW, compare

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MIN_SIDE_PX = (len(WINDOW) - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1


class MsSsim(torch.nn.Module):
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003), per channel of RGB in [0, 1]."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 to 1; sides of at least 161 px."""
        planes = torch.cat([to_unit_planes(candidate), to_unit_planes(reference)], dim=1) - 0.5
        score = torch.ones(1, 1)
        for weight in SCALE_WEIGHTS[:-1]:
            score = score * _pool(compare(planes)[1], weight)
            planes = _halve(planes)
        luminance, structure = compare(planes)
        return (score * _pool(luminance * structure, SCALE_WEIGHTS[-1])).mean(dim=1).clamp(0, 1)


def _pool(similarity: torch.Tensor, weight: float) -> torch.Tensor:
    """Average (N, C, H, W) to (N, C), and weigh it; a negative average counts 0."""
    return similarity.mean(dim=3).mean(dim=2).clamp(min=0) ** weight


def _halve(planes: torch.Tensor) -> torch.Tensor:
    """Average 2 by 2 pixels, as piq does: if a side is odd, the first row and column of both are doubled before."""
    start = 1 - (torch._shape_as_tensor(planes)[2:] % 2).max()
    return avg_pool2d(pad(planes, [1, 0, 1, 0], mode="replicate")[:, :, start:, start:], kernel_size=2)


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.multi_scale_ssim(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.multi_scale_ssim(candidate, reference, data_range=1.0) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    min_side_px=MIN_SIDE_PX,
)

if __name__ == "__main__":
    export_pair(MsSsim, GOLDEN, peer, side_px=192)
