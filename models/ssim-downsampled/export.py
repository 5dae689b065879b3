"""Writes the graph of ssim-downsampled: constants only, no weights."""

import sys
from pathlib import Path

import torch
from torch.nn.functional import pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import to_unit_planes
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _shrink import block_side, shrink, spread
from _ssim import WINDOW, compare
from _window import average


class SsimDownsampled(torch.nn.Module):
    """Structural similarity (Wang et al. 2004) with the downsampling of the authors' ssim.m, per channel of RGB."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), -1 to 1; sides of at least 11 px."""
        return average(_similarity(candidate, reference)).clamp(-1, 1)

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and 1 - similarity at each block; where no window fits, that of the nearest that does."""
        similarity, planes = _similarity(candidate, reference), candidate.permute(0, 3, 1, 2)
        errors = pad(1 - similarity.mean(dim=1, keepdim=True), [len(WINDOW) // 2] * 4, mode="replicate")
        return average(similarity).clamp(-1, 1), spread(errors[:, 0], block_side(planes), "cut", planes)


def _similarity(candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Compare each window of the smaller images, each channel: (N, 3, h - 10, w - 10)."""
    planes = torch.cat([to_unit_planes(candidate), to_unit_planes(reference)], dim=1) - 0.5
    luminance, structure = compare(shrink(planes, block_side(planes), "cut"))
    return luminance * structure


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.ssim(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.ssim(candidate, reference, data_range=1.0) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    min_side_px=len(WINDOW),
)

if __name__ == "__main__":
    export_pair(SsimDownsampled, GOLDEN, peer, side_px=32)
