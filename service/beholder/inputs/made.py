"""Pictures that nobody took: noise that makes files as large as photographs do, and costs a decoder as much.

For measuring alone: no scorer's number of one means anything.
"""

import io

import numpy as np
import simplejpeg
from PIL import Image

from beholder.inputs.image import encode_png
from beholder.types import U8

FORMATS = ("jpg", "png", "webp")
QUALITY = 90
SLOPE = 1.5
"""Amplitude falls with this power of frequency. Photographs have 1, but edges too; noise has none, and with this slope
a JPEG of it has their size: 70 kB for 512x512, 220 kB for 1024x1024."""


def made_picture(width_px: int, height_px: int, seed: int) -> U8:
    """Return pixels (H, W, 3), the same for the same seed."""
    dice = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height_px)[:, None], np.fft.rfftfreq(width_px)[None, :]
    frequency = np.hypot(rows, columns) ** SLOPE
    frequency[0, 0] = np.inf  # the mean is set below
    grey = _noise(dice, frequency, (height_px, width_px))
    channels = [grey + 0.3 * _noise(dice, frequency * (1 + 8 * frequency), grey.shape) for _ in range(3)]
    pixels: U8 = np.clip(128 + 50 * np.stack(channels, axis=2), 0, 255).astype(np.uint8)
    return pixels


def _noise(
    dice: np.random.Generator, frequency: np.ndarray[tuple[int, ...], np.dtype[np.float64]], shape: tuple[int, ...]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    phases = np.exp(2j * np.pi * dice.random(frequency.shape))
    noise = np.fft.irfft2(phases / frequency, s=(shape[0], shape[1]))
    spread = float(noise.std())
    return noise / spread if spread else noise


def encode(pixels: U8, format_: str) -> bytes:
    """Return a file of one of `FORMATS`; JPEGs as cameras write them: quality 90, colours at half the resolution."""
    if format_ == "jpg":
        encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, colorsubsampling="420")
        return encoded
    if format_ == "png":
        return encode_png(pixels)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=2)
    return file.getvalue()
