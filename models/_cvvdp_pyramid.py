"""The pyramid of ColorVideoVDP (Mantiuk et al. 2024), as deep as the image's size wants it, without a branch.

The authors stop where the shorter side has fewer than four pixels. Here every image goes all the way down, to one
pixel if need be, and `Depth` tells which levels count.
"""

import torch
from torch.nn.functional import conv2d, pad

BLUR = (0.05, 0.25, 0.4, 0.25, 0.05)
"""Burt and Adelson's kernel, a = 0.4."""
FIRST_PX = 4
"""A level has a band where its shorter side, on the image's scale, is this many of its pixels or more."""


class Depth(torch.nn.Module):
    """Tells which of `levels` bands an image has; the level after the last is the base, what remains of the image."""

    shortest_px: torch.Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.register_buffer("shortest_px", FIRST_PX * 2 ** torch.arange(levels))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take (N, C, H, W); return for each level whether it has a band (L,), and whether it is the base (L + 1,)."""
        sides = torch._shape_as_tensor(image)[2:]
        has_band = (sides.min() >= self.shortest_px).to(torch.int64)
        none = torch.zeros(1, dtype=torch.int64)
        return has_band, torch.cat([1 - none, has_band]) - torch.cat([has_band, none])


class Shrink(torch.nn.Module):
    """Blurs and keeps every second row and column: (N, C, H, W) to (N, C, ⌈H/2⌉, ⌈W/2⌉), as the authors' program does.

    Borders are mirrored, border pixels repeated. But the authors end rows by whether the number of rows is odd, not of
    columns: where only one of them is odd, the last column gets 1.25 or 0.75 times its light.
    """

    ends: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor(BLUR).repeat(channels, 1, 1, 1)
        self.channels = channels
        self.register_buffer("down", taps.transpose(2, 3).contiguous())
        self.register_buffer("along", taps)
        # From the last column and the one before it to the two beyond, of which an even width uses the first.
        mirror, too_little, too_much = torch.eye(2), torch.tensor([[0.0, 1], [0, 0]]), torch.tensor([[5.0, 0], [1, 0]])
        self.register_buffer("ends", torch.stack([mirror, too_little, too_much, mirror]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Halve both sides."""
        last = torch._shape_as_tensor(image)[2:] - 1
        is_odd = 1 - last % 2
        end = self.ends.index_select(0, (2 * is_odd[0] + is_odd[1]).view(1))
        rows = conv2d(_mirror(image, 2, last[0]), self.down, stride=(2, 1), groups=self.channels)
        first, final = _borders(rows, 3, last[1])
        return conv2d(torch.cat([first, rows, final @ end], dim=3), self.along, stride=(1, 2), groups=self.channels)


class Grow(torch.nn.Module):
    """Doubles both sides, less one pixel where `like` has an odd side: zeros between the pixels, twice the kernel.

    The four pixels that each pixel becomes are four channels of one convolution.
    """

    phases: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # On a pixel fall the first, third and last tap, between two pixels the second and fourth.
        lines = torch.tensor([[2 * BLUR[0], 2 * BLUR[2], 2 * BLUR[4]], [0, 2 * BLUR[1], 2 * BLUR[3]]])
        phases = lines[:, None, :, None] * lines[None, :, None, :]
        self.channels = channels
        self.register_buffer("phases", phases.reshape(4, 1, 3, 3).repeat(channels, 1, 1, 1))

    def forward(self, image: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Take (N, C, h, w) and any image of H by W pixels; return (N, C, H, W)."""
        phases = conv2d(pad(image, [1, 1, 1, 1], mode="replicate"), self.phases, groups=self.channels)
        height, width = torch._shape_as_tensor(image)[2:].unbind()
        columns = phases.reshape(-1, 2, height * width).transpose(1, 2)
        rows = columns.reshape(-1, 2, height, 2 * width).transpose(1, 2)
        size = torch._shape_as_tensor(like)
        return rows.reshape(-1, self.channels, 2 * height, 2 * width)[:, :, : size[2], : size[3]]


def reflect(planes: torch.Tensor, axis: int, by_px: int) -> torch.Tensor:
    """Mirror planes (N, C, H, W) at both ends of an axis, border pixels not repeated; a short axis repeats its ends."""
    last = torch._shape_as_tensor(planes)[axis] - 1
    away = torch.arange(by_px) + 1
    before = torch.minimum(away.flip(0), last)
    after = (last - away).clamp(min=0)
    return torch.cat([planes.index_select(axis, before), planes, planes.index_select(axis, after)], dim=axis)


def _borders(planes: torch.Tensor, axis: int, last: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the second and first line of an axis, and its last and last but one: what lies beyond, mirrored."""
    first = torch.minimum(torch.tensor([1, 0]), last)
    final = (last - torch.tensor([0, 1])).clamp(min=0)
    return planes.index_select(axis, first), planes.index_select(axis, final)


def _mirror(planes: torch.Tensor, axis: int, last: torch.Tensor) -> torch.Tensor:
    """Mirror two lines beyond both ends of an axis, border pixels repeated."""
    first, final = _borders(planes, axis, last)
    return torch.cat([first, planes, final], dim=axis)
