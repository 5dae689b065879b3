"""Steps up and down in pyramids of images: each level has half the rows and columns of the one before."""

from collections.abc import Sequence

import torch
from torch.nn.functional import conv2d, pixel_shuffle


def halve(padded: torch.Tensor, window: Sequence[float]) -> torch.Tensor:
    """Blur planes (N, C, H + taps - 1, W + taps - 1) and keep every second row and column: (N, C, ⌈H/2⌉, ⌈W/2⌉)."""
    channels = int(padded.shape[1])
    down = torch.tensor(window, dtype=padded.dtype).view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
    halved = conv2d(padded, down, stride=(2, 1), groups=channels)
    return conv2d(halved, down.transpose(2, 3), stride=(1, 2), groups=channels)


def double(padded: torch.Tensor, window: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    """Put zeros between the pixels of planes and blur with twice the window, five taps, along either axis.

    Args:
        padded: (N, C, h + 2, w + 2): planes and what lies one pixel beyond each border.
        like: has the height and width wanted, each twice that of the planes or one less.
    """
    # On a pixel fall the window's first, third and last tap, between two pixels its second and fourth.
    lines = ([2 * tap for tap in window[0::2]], [0.0, *(2 * tap for tap in window[1::2])])
    phases = [[[[a * b for b in columns] for a in rows]] for rows in lines for columns in lines]
    channels, size = int(padded.shape[1]), torch._shape_as_tensor(like)
    kernels = torch.tensor(phases, dtype=padded.dtype).repeat(channels, 1, 1, 1)
    return pixel_shuffle(conv2d(padded, kernels, groups=channels), 2)[:, :, : size[2], : size[3]]
