"""Pillow's filters by wide registers: one scorer's choice, several times as fast and a level off here and there.

The same kernels in the same order, but weights of 16 bits where Pillow has 22: of a hundred thousand bytes a few differ
by one level. Scores move by that, so a scorer that resizes so has a name of its own. The library is optional.
"""

import importlib
from functools import cache
from typing import Any

import numpy as np

from beholder.errors import ConfigError
from beholder.types import U8

FAST_FILTERS = {"bilinear": "bilinear", "bicubic": "catmull_rom", "lanczos": "lanczos3"}
"""Not the box: pixels that lie on its edge are counted on the other side than Pillow counts them."""


def check_fast(filter_: str) -> None:
    """Check that a filter can be had fast.

    Raises:
        ConfigError: the library is not installed, or has no such filter.
    """
    if filter_ not in FAST_FILTERS:
        raise ConfigError(f"fast: want one of the filters {', '.join(FAST_FILTERS)}, got {filter_!r}")
    try:
        _library()
    except ImportError as error:
        raise ConfigError(f"fast: needs `pip install 'beholder[fast]'`: {error}") from error


def stretch(pixels: U8, size_px: tuple[int, int], filter_: str, *, rows_first: bool = False) -> U8:
    """Stretch one image as Pillow does, but for a few levels; other threads run meanwhile.

    Args:
        pixels: shape (H, W, 3). Not modified.
        size_px: (height, width) wanted, each at least 1.
        filter_: one that `check_fast` accepts.
        rows_first: bring rows to their number before columns; `resize` does columns first.

    Returns:
        Shape (*size_px, 3), read-only where anything was stretched.
    """
    (height, width), (new_height, new_width) = pixels.shape[:2], size_px
    between = (new_height, width) if rows_first else (height, new_width)
    return _along_one(_along_one(pixels, between, filter_), size_px, filter_)


def _along_one(pixels: U8, size_px: tuple[int, int], filter_: str) -> U8:
    """Stretch one side: two at once would go rows first, and round once where Pillow rounds twice."""
    if pixels.shape[:2] == size_px:
        return pixels
    library = _library()
    source = library.ImageData(pixels.shape[1], pixels.shape[0], library.PixelType.U8x3, pixels.tobytes())
    target = library.ImageData(size_px[1], size_px[0], library.PixelType.U8x3)
    # A resizer of its own: one that threads share would let them wait for each other.
    library.Resizer().resize(source, target, _options(filter_))
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(*size_px, 3)


@cache
def _options(filter_: str) -> Any:
    library = _library()
    kernel = library.FilterType[FAST_FILTERS[filter_]]
    return library.ResizeOptions(library.ResizeAlg.convolution(kernel))


@cache
def _library() -> Any:
    return importlib.import_module("cykooz_resizer")
