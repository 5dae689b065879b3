"""An image fitted whole into a frame, on a plain colour or on its own blurred self.

Resizing and blur are libvips', on which the authors of `image-safety` run; what the image covers is never computed.
"""

import numpy as np
from numpy.typing import NDArray

from beholder.inputs.libvips import vips_blur_rows, vips_resize
from beholder.types import U8


def letterbox(pixels: U8, size_px: tuple[int, int], filter_: str, background: str, blur_sigma: float) -> U8:
    """Fit one image into a frame, centred.

    Args:
        pixels: shape (H, W, 3). Not modified.
        size_px: (height, width) of the frame.
        filter_: a name in `resize.FILTERS`.
        background: `#rrggbb`, or `blur` for the image stretched to the frame and blurred.
        blur_sigma: of the blur, in pixels of the frame.

    Returns:
        Shape (*size_px, 3).
    """
    (height, width), (frame_height, frame_width) = pixels.shape[:2], size_px
    scale = min(frame_height / height, frame_width / width)
    fitted_px = (_fitted(height * scale, frame_height), _fitted(width * scale, frame_width))
    fitted = vips_resize(pixels, fitted_px, filter_)
    if fitted_px == size_px:
        return fitted
    top, left = (frame_height - fitted_px[0]) // 2, (frame_width - fitted_px[1]) // 2
    bottom, right = top + fitted_px[0], left + fitted_px[1]
    frame = np.empty((*size_px, 3), np.uint8)
    if background == "blur":
        stretched = vips_resize(pixels, size_px, filter_)
        rows, columns = _outside(top, bottom, frame_height), _outside(left, right, frame_width)
        frame[rows] = vips_blur_rows(stretched, rows, blur_sigma)
        frame[:, columns] = vips_blur_rows(stretched.swapaxes(0, 1), columns, blur_sigma).swapaxes(0, 1)
    else:
        frame[:] = np.frombuffer(bytes.fromhex(background[1:]), np.uint8)
    frame[top:bottom, left:right] = fitted
    return frame


def _fitted(side: float, frame_side: int) -> int:
    return max(1, min(frame_side, round(side)))


def _outside(start: int, stop: int, side: int) -> NDArray[np.intp]:
    return np.concatenate((np.arange(start), np.arange(stop, side)))
