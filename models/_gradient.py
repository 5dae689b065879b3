"""Gradients, and how far two maps of anything are from alike: what GMSD, MDSI, VSI and FSIM share."""

import torch
from _window import slide
from torch.nn.functional import conv2d

PREWITT = (1 / 3, 1 / 3, 1 / 3)
SCHARR = (3 / 16, 10 / 16, 3 / 16)
STEP = (-1.0, 0.0, 1.0)


def magnitude(planes: torch.Tensor, across: tuple[float, float, float]) -> torch.Tensor:
    """Return how steep each pixel of (N, 1, H, W) is, with zeros beyond the border.

    The slope over two pixels, left to right and top to bottom, is averaged with the weights `across` of three lines.
    """
    along = torch.tensor(STEP, dtype=planes.dtype)
    weights = torch.tensor(across, dtype=planes.dtype)
    kernels = torch.stack([torch.outer(weights, along), torch.outer(along, weights)])[:, None]
    slopes = conv2d(planes, kernels, padding=1)
    return (slopes * slopes).sum(dim=1, keepdim=True).sqrt()


def magnitudes(planes: torch.Tensor, across: tuple[float, float, float]) -> torch.Tensor:
    """Return what `magnitude` does, for each plane of (N, C, H, W): with two or more at a time in half the time."""
    slopes = (slide(planes, *windows, border="zeros") for windows in ((across, STEP), (STEP, across)))
    return sum(slope * slope for slope in slopes).sqrt()


def dissimilarity(x: torch.Tensor, y: torch.Tensor, constant: float, masking: float = 0.0) -> torch.Tensor:
    """Return 1 - (2xy - m·xy + c) / (x² + y² - m·xy + c) in the form that keeps the digits of a small difference."""
    d = x - y
    return d * d / (x * x + y * y - masking * (x * y) + constant)
