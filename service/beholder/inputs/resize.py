"""The one resizer, equal to Pillow's antialiased filters.

Resizing is part of a scorer. Another library's "bicubic" shrinks without antialiasing, or with another kernel, and
moves scores by more than the differences they are asked for (clean-fid: Parmar et al., CVPR 2022). Steps that name a
filter mean Pillow's, which widens its kernel as it shrinks and rounds to 8 bits after each axis: along the rows, then
along the columns. Pillow 13 turns that round where much is taken off the height, so it is told one axis at a time.
"""

import numpy as np
from PIL import Image

from beholder.inputs.fast import stretch
from beholder.types import U8

FILTERS = {name: Image.Resampling[name.upper()] for name in ("box", "bilinear", "hamming", "bicubic", "lanczos")}

MAX_SIDE_PX = 65_535
"""The longest side of any image, JPEG's own limit: a filter's tables grow with the side, whatever the pixels."""


def resize(pixels: U8, size_px: tuple[int, int], filter_: str, *, fast: bool = False) -> U8:
    """Stretch one image to a size.

    Args:
        pixels: shape (H, W, 3). Not modified.
        size_px: (height, width) wanted, each at least 1.
        filter_: a name in `FILTERS`.
        fast: a level off here and there, for a filter that `check_fast` accepts.

    Returns:
        Shape (*size_px, 3); `pixels` itself where it has the size already.
    """
    if pixels.shape[:2] == size_px:
        return pixels
    if fast:
        return stretch(pixels, size_px, filter_)
    height, width = size_px
    along_rows = Image.fromarray(pixels).resize((width, pixels.shape[0]), FILTERS[filter_])
    return np.asarray(along_rows.resize((width, height), FILTERS[filter_]))
