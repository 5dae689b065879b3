"""Error maps as pictures: a grey one to send, a coloured one beside its images to look at."""

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from beholder.types import F32, U8

COLOURS = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))
"""From no error to the most, evenly spaced: brightness alone tells the order, also in print and to the colour-blind."""


def encode_map(errors: F32, high: float) -> bytes:
    """Return errors (H, W), 0 or more, as a grey PNG whose 255 is `high`."""
    levels = np.clip(errors, 0.0, high)
    levels *= 255.0 / high
    return _png(np.rint(levels, out=levels).astype(np.uint8))


def side_by_side(reference: U8, pairs: Iterable[tuple[U8, bytes]], count: int) -> bytes:
    """Return a PNG with a row of reference, candidate and map for each of `count` (candidate, grey PNG of its map).

    All are of one size; one pair is held at a time.
    """
    height, width = reference.shape[:2]
    canvas = np.empty((count * height, 3 * width, 3), np.uint8)
    for row, (candidate, grey) in zip(np.split(canvas, count), pairs, strict=True):
        row[:] = np.concatenate([reference, candidate, _coloured(grey)], axis=1)
    return _png(canvas)


def _coloured(grey_png: bytes) -> U8:
    with Image.open(io.BytesIO(grey_png), formats=["PNG"]) as image:
        grey = np.asarray(image)
    levels, places = np.arange(256), np.linspace(0, 255, len(COLOURS))
    channels = [np.interp(levels, places, channel) for channel in zip(*COLOURS, strict=True)]
    colours = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    drawn: U8 = colours[grey]
    return drawn


def _png(pixels: U8) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", compress_level=3)
    return data.getvalue()
