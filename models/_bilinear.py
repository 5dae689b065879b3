"""Bilinear interpolation at places that whole numbers give: exact at any size, where float32 places would drift."""

import torch


def sample(planes: torch.Tensor, axis: int, numerators: torch.Tensor, denominator: int | torch.Tensor) -> torch.Tensor:
    """Interpolate planes along `axis` at `numerators / denominator` px from the first pixel; the ends go on beyond.

    Args:
        numerators: integers, one for each place wanted.
        denominator: a positive integer.
    """
    last = torch._shape_as_tensor(planes)[axis] - 1
    numerators = torch.minimum(numerators.clamp(min=0), last * denominator)
    lower = numerators // denominator
    fraction = (numerators - lower * denominator).to(planes.dtype) / denominator
    below = planes.index_select(axis, lower)
    above = planes.index_select(axis, torch.minimum(lower + 1, last))
    # A plane of one colour stays exactly that.
    return below + (above - below) * fraction.reshape([-1] + [1] * (planes.dim() - 1 - axis))
