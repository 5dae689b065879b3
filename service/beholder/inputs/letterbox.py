"""An image fitted whole into a frame, on a plain colour or on its own blurred self.

Resizing and blur are libvips', on which the authors of `image-safety` run; what the image covers is never computed.
"""

import numpy as np
from PIL import Image

from beholder.inputs.libvips import vips_blur_rows, vips_columns, vips_resize, vips_rows
from beholder.types import U8


def fitted(height: int, width: int, frame_px: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) that an image has in a frame, its aspect kept."""
    scale = min(frame_px[0] / height, frame_px[1] / width)
    return _inside(height * scale, frame_px[0]), _inside(width * scale, frame_px[1])


def letterbox(
    pixels: U8, size_px: tuple[int, int], filter_: str, background: str, blur_sigma: float, *, fast: bool = False
) -> U8:
    """Fit one image into a frame, centred.

    Args:
        pixels: shape (H, W, 3). Not modified.
        size_px: (height, width) of the frame.
        filter_: a name in `resize.FILTERS`.
        background: `#rrggbb`, or `blur` for the image stretched to the frame and blurred.
        blur_sigma: of the blur, in pixels of the frame.
        fast: as for `resize.resize`.

    Returns:
        Shape (*size_px, 3).
    """
    frame_height, frame_width = size_px
    fitted_px = fitted(pixels.shape[0], pixels.shape[1], size_px)
    if fitted_px == size_px:
        return vips_resize(pixels, size_px, filter_, fast=fast)
    top, left = (frame_height - fitted_px[0]) // 2, (frame_width - fitted_px[1]) // 2
    bottom, right = top + fitted_px[0], left + fitted_px[1]
    frame = np.empty((*size_px, 3), np.uint8)
    if background == "blur":
        image, stretched = _two_sizes(pixels, fitted_px, size_px, filter_, fast=fast)
        turned, turned_frame = stretched.swapaxes(0, 1), frame.swapaxes(0, 1)
        for start, stop in ((0, top), (bottom, frame_height)):
            if start < stop:
                frame[start:stop] = vips_blur_rows(stretched, start, stop, blur_sigma)
        for start, stop in ((0, left), (right, frame_width)):
            if start < stop:
                turned_frame[start:stop] = vips_blur_rows(turned, start, stop, blur_sigma)
    else:
        image = vips_resize(pixels, fitted_px, filter_, fast=fast)
        frame[:] = np.frombuffer(bytes.fromhex(background[1:]), np.uint8)
    frame[top:bottom, left:right] = image
    return frame


def _two_sizes(
    pixels: U8, one_px: tuple[int, int], other_px: tuple[int, int], filter_: str, *, fast: bool
) -> tuple[U8, U8]:
    """Resize one image twice; what both have in common, the way in and rows of the same height, is done once."""
    if fast or pixels.shape[:2] in (one_px, other_px):
        return vips_resize(pixels, one_px, filter_, fast=fast), vips_resize(pixels, other_px, filter_, fast=fast)
    image = Image.fromarray(pixels)
    rows = {height: vips_rows(image, height, filter_) for height in {one_px[0], other_px[0]}}
    return vips_columns(rows[one_px[0]], one_px, filter_), vips_columns(rows[other_px[0]], other_px, filter_)


def _inside(side: float, frame_side: int) -> int:
    return max(1, min(frame_side, round(side)))
