"""Averages over square blocks of pixels, where the side of a block depends on the size of the image, inside the graph.

MDSI, VSI and FSIM shrink large images to a shorter side of about 256 px first. Everything that depends on the size is
traced tensor arithmetic, so that one graph does for all sizes.
"""

import torch
from torch.nn.functional import avg_pool2d, pad

USUAL_SIDE_PX = 256
"""The shorter side that an image is brought near to."""


def block_side(planes: torch.Tensor) -> torch.Tensor:
    """Return the side of the blocks that bring the shorter side of (N, C, H, W) near 256 px: an integer, 1 or more.

    A half is rounded to the even neighbour, as Python, piq and ONNX do; MATLAB rounds it up.
    """
    shorter = torch._shape_as_tensor(planes)[2:].min()
    return (shorter.to(torch.float32) / USUAL_SIDE_PX).round().clamp(min=1).to(torch.int64)


def shrink(planes: torch.Tensor, side: torch.Tensor, border: str) -> torch.Tensor:
    """Average each block of `side` by `side` pixels: (N, C, H, W) to about (N, C, H / side, W / side).

    Args:
        side: the blocks' side, an integer tensor without axes.
        border: what the outer blocks hold, where the image does not end with a block:
            "zeros" as in MDSI: they stand (side - 1) // 2 px out at the top and left, and hold zeros there;
            "replicate" as in VSI: they stand side // 2 px out, and hold the nearest pixels;
            "cut" as in FSIM: none stand out; the last rows and columns are left out.
    """
    before = _before(side, border)
    after = 0 * side if border == "cut" else side - 1 - before
    edges = [before, after, before, after]
    if border == "zeros":
        planes = pad(planes, edges)
    elif border == "replicate":
        planes = pad(planes, edges, mode="replicate")
    batch, channels, height, width = torch._shape_as_tensor(planes).unbind()
    rows, columns = height // side, width // side
    planes = planes[:, :, : rows * side, : columns * side]
    # Rows first: the sum over neighbours in a column is the slower one, and has less to do then.
    planes = planes.reshape(batch, channels, rows, side, columns * side).mean(dim=3)
    return planes.reshape(batch, channels, rows, columns, side).mean(dim=4)


def spread(maps: torch.Tensor, side: torch.Tensor, border: str, planes: torch.Tensor) -> torch.Tensor:
    """Give each pixel of `planes` (N, C, H, W) its block's value: maps (N, h, w) that `shrink` led to, to (N, H, W)."""
    size, before = torch._shape_as_tensor(planes), _before(side, border)
    for axis in (1, 2):
        last = torch._shape_as_tensor(maps)[axis] - 1
        block = torch.minimum((torch.arange(size[axis + 1]) + before) // side, last)
        maps = maps.index_select(axis, block)
    return maps


def halve(planes: torch.Tensor) -> torch.Tensor:
    """Average 2 by 2 pixels, with zeros after an odd last row or column: (N, C, H, W) to (N, C, H / 2, W / 2)."""
    # An even side is padded too: the pool leaves its last row out again.
    return avg_pool2d(pad(planes, [0, 1, 0, 1]), kernel_size=2)


def spread_halves(maps: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """Give each pixel of `planes` (N, C, H, W) the value of its 2 by 2 block: maps (N, h, w) to (N, H, W)."""
    return spread(maps, torch.tensor(2), "cut", planes)


def _before(side: torch.Tensor, border: str) -> torch.Tensor:
    """Return how far the first block stands out of the image."""
    return {"zeros": (side - 1) // 2, "replicate": side // 2, "cut": 0 * side}[border]
