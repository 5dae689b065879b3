"""What verdicts are tried under: what files and web pages do to images. A background learns from other changes."""

import io
from collections.abc import Mapping
from functools import partial

import numpy as np
from PIL import Image

from beholder.inputs.invisible import Change, half_chroma, jpeg, smaller
from beholder.types import U8


def webp(pixels: U8, quality: int) -> U8:
    """Return the image as a WebP file would show it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality)
    return np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))


TRIED: Mapping[str, Change] = {
    "JPEG 90": partial(jpeg, quality=90, chroma="4:4:4"),
    "JPEG 75": partial(jpeg, quality=75, chroma="4:4:4"),
    "JPEG 50": partial(jpeg, quality=50, chroma="4:4:4"),
    "JPEG 75, 4:2:0": partial(jpeg, quality=75, chroma="4:2:0"),
    "4:2:0 alone": half_chroma,
    "half size": partial(smaller, ratio=0.5, filter_="bicubic"),
    "WebP 75": partial(webp, quality=75),
}
