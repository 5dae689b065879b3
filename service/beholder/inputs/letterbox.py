"""An image fitted whole into a frame, on a plain colour or on its own blurred self.

The blurred form follows `image-safety`'s authors, whose code runs on libvips: `vips_resize`, then `vips_gaussblur`
with the tail of its kernel cut where it falls below a fifth of the peak.
"""

import math

import numpy as np
from numpy.typing import NDArray

from beholder.inputs.resize import resize_in_two
from beholder.types import U8

_TAIL = 0.2
"""The least weight, against the peak's 1, that a blur keeps; libvips' default."""


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
    fitted = resize_in_two(pixels, fitted_px, filter_)
    if fitted_px == size_px:
        return fitted
    top, left = (frame_height - fitted_px[0]) // 2, (frame_width - fitted_px[1]) // 2
    bottom, right = top + fitted_px[0], left + fitted_px[1]
    frame = np.empty((*size_px, 3), np.uint8)
    if background == "blur":
        stretched = resize_in_two(pixels, size_px, filter_)
        rows, columns = _outside(top, bottom, frame_height), _outside(left, right, frame_width)
        frame[rows] = _blur_rows(stretched, rows, blur_sigma)
        frame[:, columns] = _blur_rows(stretched.swapaxes(0, 1), columns, blur_sigma).swapaxes(0, 1)
    else:
        frame[:] = np.frombuffer(bytes.fromhex(background[1:]), np.uint8)
    frame[top:bottom, left:right] = fitted
    return frame


def _fitted(side: float, frame_side: int) -> int:
    return max(1, min(frame_side, round(side)))


def _outside(start: int, stop: int, side: int) -> NDArray[np.intp]:
    return np.concatenate((np.arange(start), np.arange(stop, side)))


def _blur_rows(pixels: U8, rows: NDArray[np.intp], sigma: float) -> U8:
    """Return the given rows of the blurred image: what the fitted image covers is never computed.

    Edges are extended by their last pixel. Not a matrix product, which would start BLAS threads beside the decoders.
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
