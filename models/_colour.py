"""Colour for the graphs of scorers: from sRGB bytes to what a paper computes on."""

from collections.abc import Sequence

import torch

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in BT.601's luma, on [0, 1] without an offset."""
YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""NTSC's luma and two chroma axes, with the digits that MATLAB and piq use."""

_LEVELS = [level / 255 for level in range(256)]


def to_unit_planes(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 (N, H, W, 3) into float32 (N, 3, H, W) of 0 to 1."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 255


def to_level_planes(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 (N, H, W, 3) into float32 (N, 3, H, W) of 0 to 255."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32)


def luma_pair(candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return the luma of uint8 (N, H, W, 3) pairs as the two channels of float32 (N, 2, H, W) of 0 to 255."""
    planes = torch.cat([candidate, reference], dim=3).permute(0, 3, 1, 2).to(torch.float32)
    # In two groups: ONNX Runtime would fill one output channel up to sixteen.
    return torch.nn.functional.conv2d(planes, torch.tensor([LUMA, LUMA])[:, :, None, None], groups=2)


def mix(planes: torch.Tensor, matrix: Sequence[Sequence[float]]) -> torch.Tensor:
    """Multiply the channels at each pixel by a matrix (K, C): (N, C, H, W) to (N, K, H, W)."""
    weights = torch.tensor(matrix, dtype=planes.dtype)
    return torch.nn.functional.conv2d(planes, weights[:, :, None, None])


def blend(planes: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Add up the channels at each pixel, weighted: (N, C, H, W) to (N, 1, H, W).

    Far quicker than `mix`: ONNX Runtime would fill one output channel up to sixteen.
    """
    total = weights[0] * planes[:, :1]
    for channel, weight in enumerate(weights[1:], start=1):
        total = total + weight * planes[:, channel : channel + 1]
    return total


def mix_levels(pixels: torch.Tensor, matrix: Sequence[Sequence[float]]) -> torch.Tensor:
    """Multiply uint8 (N, H, W, 3) by a matrix (K, 3), in levels of 0 to 255: float32 (N, K, H, W).

    A product of matrices takes a fifth of the time that the convolution in `mix` takes.
    """
    planes = to_level_planes(pixels)
    batch, _, height, width = planes.shape
    return (torch.tensor(matrix) @ planes.flatten(2)).reshape(batch, len(matrix), height, width)


def linearise(planes: torch.Tensor) -> torch.Tensor:
    """Turn sRGB values of 0 to 1 into light of 0 to 1 (IEC 61966-2-1)."""
    dark = planes / 12.92
    # The power's base is kept above 0 where it is not chosen, so that no branch is ever NaN.
    bright = ((planes.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(planes <= 0.04045, dark, bright)


def to_light_planes(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 sRGB (N, H, W, 3) into float32 light (N, 3, H, W) of 0 to 1.

    The 256 values stand in a table: nothing is rounded but the last digit, and it takes a sixth of `linearise`'s time.
    """
    table = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in _LEVELS]
    light = torch.index_select(torch.tensor(table), 0, pixels.to(torch.int32).reshape(-1))
    return light.reshape(pixels.shape).permute(0, 3, 1, 2)
