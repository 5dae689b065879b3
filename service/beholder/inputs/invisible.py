"""Changes to an image that people hardly see: what a verdict on it must not hang on. And parts of it.

The changes are what files, chats and web pages do to images on their way: they are coded, made smaller, or lose a
little of their sharpness. A change answers the same pixels always with the same.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import simplejpeg
from PIL import Image, ImageFilter

from beholder.inputs.resize import resize
from beholder.types import U8

Change = Callable[[U8], U8]
NOISE_SD = 2.0
"""In levels of 255."""
SOFTNESS_PX = 0.5
"""The standard deviation of the Gaussian."""
PART = 0.6
"""The share of each side that a corner crop keeps."""
_SEED = 7


def jpeg(pixels: U8, quality: int, chroma: str) -> U8:
    """Return the image as a JPEG file would show it.

    Args:
        quality: 1 to 100, as in libjpeg.
        chroma: "4:4:4" for all of the colour, "4:2:0" for half of it in each direction.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=chroma)  # simplejpeg's is a coarser DCT
    decoded: U8 = simplejpeg.decode_jpeg(file.getvalue(), "RGB")
    return decoded


def half_chroma(pixels: U8) -> U8:
    """Return the image with its colour at half size, as 4:2:0 has it, and nothing else lost."""
    picture = Image.fromarray(pixels)
    light, *colours = picture.convert("YCbCr").split()
    small = ((picture.width + 1) // 2, (picture.height + 1) // 2)
    planes = [plane.resize(small, Image.Resampling.BOX).resize(picture.size) for plane in colours]
    return np.asarray(Image.merge("YCbCr", (light, *planes)).convert("RGB"))


def smaller(pixels: U8, ratio: float, filter_: str) -> U8:
    """Return a copy of `ratio` times the size, at least 1x1."""
    height, width = (max(1, round(ratio * side)) for side in pixels.shape[:2])
    return resize(pixels, (height, width), filter_)


def noisy(pixels: U8) -> U8:
    """Return the image with normal noise in each channel, the same for images of the same size."""
    noise = np.random.default_rng(_SEED).standard_normal(pixels.shape, dtype=np.float32) * np.float32(NOISE_SD)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def soft(pixels: U8) -> U8:
    """Return the image a little out of focus."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(SOFTNESS_PX)))


def corner(pixels: U8, is_right: bool, is_low: bool) -> U8:
    """Return the part of an image that lies in one of its corners, `PART` of each side."""
    height, width = (max(1, round(PART * side)) for side in pixels.shape[:2])
    top = pixels.shape[0] - height if is_low else 0
    left = pixels.shape[1] - width if is_right else 0
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


CHANGES: Mapping[str, Change] = {
    **{
        f"jpeg {quality} {chroma}": partial(jpeg, quality=quality, chroma=chroma)
        for quality in (85, 60, 40)
        for chroma in ("4:4:4", "4:2:0")
    },
    "half chroma": half_chroma,
    "two thirds": partial(smaller, ratio=2 / 3, filter_="bilinear"),
    "0.45": partial(smaller, ratio=0.45, filter_="lanczos"),
    "noise": noisy,
    "soft": soft,
}
"""Name -> U8 (H, W, 3) -> the changed image, of the same size but for those that are smaller; none is modified."""

CORNERS: Mapping[str, Change] = {
    f"{'lower' if is_low else 'upper'} {'right' if is_right else 'left'}": partial(
        corner, is_right=is_right, is_low=is_low
    )
    for is_low in (False, True)
    for is_right in (False, True)
}
"""Name -> a part of the image: more images, where there are few."""
