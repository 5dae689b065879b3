"""Writes the graph of piqe: constants only, no weights."""

import importlib
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import blend, to_level_planes
from _export import export_image
from _golden import U8, Golden, ImagePeer
from _nss import normalise

LUMA = (0.298936021293775, 0.587043074451121, 0.114020904255103)
"""Of R, G and B, as MATLAB's rgb2gray has it."""
SIDE_PX = 16
"""Of the blocks that an image is cut into."""
ACTIVE = 0.1
"""A block whose variance is more than that is looked at."""
EVEN = 0.1
"""A piece of a block's edge whose standard deviation is less than that shows that the block is impaired."""
PIECE_PX = 6
CENTRE = (7, 8)
SURROUND = tuple(column for column in range(SIDE_PX) if column not in (7, 9))
"""MATLAB takes out column 7 and then what has become column 8; an oversight that its numbers rest on."""


class Piqe(torch.nn.Module):
    """PIQE (Venkatanath, Praneeth, Bh, Channappayya and Medasani 2015) of sRGB images, as MATLAB's piqe."""

    def forward(self, candidate: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) to scores (N,)."""
        luma = _fill(_fill(blend(to_level_planes(candidate), LUMA).round(), dim=2), dim=3)
        rows, columns = luma.shape[2] // SIDE_PX, luma.shape[3] // SIDE_PX
        blocks = normalise(luma, border="replicate").reshape(-1, rows, SIDE_PX, columns, SIDE_PX)
        variance = _variance(blocks)
        is_active = (variance > ACTIVE).to(blocks.dtype)
        distortion = _is_impaired(blocks) * (1 - variance) + _is_noisy(blocks, variance) * variance
        # Blocks may be made that vary by more than 1; MATLAB promises 0 to 100.
        return (100 * (1 + _add(is_active * distortion)) / (1 + _add(is_active))).clamp(0, 100)


def _fill(planes: torch.Tensor, dim: int) -> torch.Tensor:
    """Repeat the last pixel along `dim` until blocks fill it."""
    side = torch._shape_as_tensor(planes)[dim]
    filled = (side + SIDE_PX - 1) // SIDE_PX * SIDE_PX
    return planes.index_select(dim, torch.minimum(torch.arange(filled), side - 1))


def _variance(blocks: torch.Tensor) -> torch.Tensor:
    """Return the variance of each block of samples (N, R, h, C, w): (N, R, C)."""
    difference = blocks - blocks.mean(dim=(2, 4), keepdim=True)
    return (difference * difference).sum(dim=(2, 4)) / (blocks.shape[2] * blocks.shape[4] - 1)


def _is_impaired(blocks: torch.Tensor) -> torch.Tensor:
    """Return 1 for blocks (N, R, h, C, w) where a piece of an edge is even, or else 0: (N, R, C)."""
    sides = [blocks[:, :, :, :, column].transpose(2, 3) for column in (0, -1)]
    edges = torch.stack([blocks[:, :, 0], blocks[:, :, -1], *sides], dim=-2)
    pieces = torch.stack([edges[..., start : start + SIDE_PX - PIECE_PX + 1] for start in range(PIECE_PX)])
    difference = pieces - pieces.mean(dim=0)
    variance = (difference * difference).sum(dim=0) / (PIECE_PX - 1)
    return (variance.amin(dim=(3, 4)) < EVEN * EVEN).to(blocks.dtype)


def _is_noisy(blocks: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Return 1 for blocks (N, R, h, C, w) that vary alike in the middle and around it, or else 0: (N, R, C)."""
    centre, surround = (
        _variance(blocks.index_select(4, torch.tensor(columns))).sqrt() for columns in (CENTRE, SURROUND)
    )
    deviation, ratio = variance.sqrt(), centre / surround.clamp(min=1e-9)
    beta = (deviation - ratio).abs() / torch.maximum(deviation, ratio).clamp(min=1e-9)
    return (deviation > 2 * beta).to(blocks.dtype)


def _add(blocks: torch.Tensor) -> torch.Tensor:
    return blocks.sum(dim=2).sum(dim=1)


def peer() -> ImagePeer:
    """Return pypiqe's own program, on what MATLAB gives its piqe: whole blocks of grey that are not stretched."""
    import numpy as np

    class Unstretched:
        """NumPy, where the brightest pixel is always white."""

        def __getattr__(self, name: str) -> object:
            return getattr(np, name)

        def max(self, _: U8) -> int:
            return 255

    program = importlib.import_module("pypiqe.piqe")
    program.np = Unstretched()

    def score(candidate: U8) -> float:
        grey = np.rint(candidate @ np.array(LUMA)).astype(np.uint8)
        missing = [(0, -side % SIDE_PX) for side in grey.shape]
        return float(program.piqe(np.pad(grey, missing, mode="edge"))[0])

    return score


GOLDEN = Golden(
    __file__,
    peer="pypiqe 1.2",
    how="pypiqe.piqe(grey)[0], grey as MATLAB's rgb2gray, edge pixels repeated to whole blocks, not stretched to white",
    tolerance=1e-3,
    reason="float32 rounding, against float64; a block near a threshold would differ by more",
    min_side_px=16,
)

if __name__ == "__main__":
    export_image(Piqe, GOLDEN, peer, side_px=32)
