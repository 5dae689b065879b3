"""What libvips makes of pixels, by other means: for a scorer whose authors prepare its images with it.

Measured against libvips 8.18.7 on photographs, in levels of 255: shrinking differs by 0.1 to 0.16 on average, enlarging
by 0.06, a blurred background by 0.4.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.inputs.resize import FILTERS
from beholder.types import U8

_TAIL = 0.2
"""The least weight, against the peak's 1, that a blur keeps."""

_MARGIN_PX = 2
"""How far a bicubic kernel reaches beyond the image."""


def vips_resize(pixels: U8, size_px: tuple[int, int], filter_: str) -> U8:
    """Stretch one image as `vips_resize` does.

    It shrinks rows before columns, behind a box filter where the reduction is strong. It enlarges with a bicubic kernel
    whatever the filter, and half an output pixel off centre; scores move if that is put right.

    Args and Returns: as `resize.resize`.
    """
    if pixels.shape[:2] == size_px:
        return pixels
    image, kernel, (height, width) = Image.fromarray(pixels), FILTERS[filter_], size_px
    image = image.resize((image.width, min(image.height, height)), kernel, reducing_gap=2.0)
    image = image.resize((min(image.width, width), image.height), kernel, reducing_gap=2.0)
    return np.asarray(image if image.size == (width, height) else _enlarge(image, width, height))


def _enlarge(image: Image.Image, width: int, height: int) -> Image.Image:
    margins = ((_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0))
    padded = Image.fromarray(np.pad(np.asarray(image), margins, mode="edge"))
    left = _MARGIN_PX - (image.width / width / 2 if width > image.width else 0)
    top = _MARGIN_PX - (image.height / height / 2 if height > image.height else 0)
    box = (left, top, left + image.width, top + image.height)
    return padded.resize((width, height), Image.Resampling.BICUBIC, box=box)


def vips_blur_rows(pixels: U8, rows: NDArray[np.intp], sigma: float) -> U8:
    """Blur one image as `vips_gaussblur` does, and compute the given rows only.

    A Gaussian cut off where it falls below a fifth of its peak, which is far from a Gaussian: Pillow's is 2.4 levels
    away on average. Beyond the edges the last pixel goes on. Not a matrix product: that would start BLAS threads beside
    the decoders.

    Args:
        pixels: shape (H, W, 3). Not modified.
        rows: indices below H.
        sigma: in pixels.

    Returns:
        Shape (len(rows), W, 3).
    """
    reach = math.floor(sigma * math.sqrt(-2 * math.log(_TAIL)))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    sharp = pixels.astype(np.float32, order="C")
    height, width = pixels.shape[:2]
    down = np.zeros((len(rows), width, 3), np.float32)
    for offset, weight in zip(offsets, weights, strict=True):
        down += weight * sharp[np.clip(rows + offset, 0, height - 1)]
    padded = np.pad(down, ((0, 0), (reach, reach), (0, 0)), mode="edge")
    both = np.zeros_like(down)
    for start, weight in enumerate(weights):
        both += weight * padded[:, start : start + width]
    return np.rint(both).astype(np.uint8)
