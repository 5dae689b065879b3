"""Draws the images of this folder: three small scenes made of formulas, and worse versions of them.

The files are committed, since encoders of other versions write other bytes; run this only to change a scene.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

HERE = Path(__file__).parent
Plane = NDArray[np.float64]


def grid(height: int, width: int) -> tuple[Plane, Plane]:
    """Return y from 0 (top) to 1 and x from 0 (left) to width / height."""
    y, x = np.mgrid[0:height, 0:width]
    return y / height, x / height


def mix(low: tuple[float, ...], high: tuple[float, ...], amount: Plane) -> Plane:
    """Blend two colours by `amount`, 0 to 1 for each pixel."""
    return np.asarray(low) + (np.asarray(high) - np.asarray(low)) * np.clip(amount, 0, 1)[..., None]


def to_image(pixels: Plane) -> Image.Image:
    """Round colours of 0 to 1 to eight bits."""
    return Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def landscape() -> Image.Image:
    """A sunset over three ranges of hills, with grass in front."""
    rng = np.random.default_rng(1)
    y, x = grid(144, 192)
    pixels = mix((0.15, 0.3, 0.65), (1.0, 0.75, 0.45), y * 1.6)
    sun = np.hypot(x - 0.95, y - 0.38)
    pixels = pixels + mix((0, 0, 0), (1.0, 0.85, 0.5), np.exp(-((sun / 0.16) ** 2)) + (sun < 0.09))
    for base, colour in ((0.5, (0.45, 0.4, 0.55)), (0.62, (0.25, 0.33, 0.35)), (0.78, (0.1, 0.22, 0.08))):
        crest = base + sum(0.09 / k * np.sin(k * 4.1 * x + rng.uniform(0, 6.3)) for k in range(1, 9))
        pixels = np.where((y > crest)[..., None], mix(colour, (0, 0, 0), (y - crest) * 1.5), pixels)
    grass = rng.normal(0, 1, (144, 192)) * (y > 0.8)
    return to_image(pixels + 0.12 * grass[..., None] * (0.4, 1.0, 0.3))


def still_life() -> Image.Image:
    """Three shaded balls on a chequered table."""
    y, x = grid(160, 160)
    depth = np.maximum(y - 0.45, 1e-3)
    chequer = (np.floor((x - 0.5) / depth * 1.6) + np.floor(0.9 / depth)) % 2
    pixels = mix((0.75, 0.72, 0.68), (0.2, 0.12, 0.1), chequer) * (0.5 + y[..., None] * 0.5)
    pixels = np.where((y < 0.52)[..., None], mix((0.3, 0.32, 0.4), (0.7, 0.7, 0.66), x), pixels)
    for cx, cy, radius, colour in (
        (0.3, 0.55, 0.2, (0.9, 0.15, 0.1)),
        (0.7, 0.6, 0.17, (0.95, 0.75, 0.1)),
        (0.5, 0.78, 0.14, (0.15, 0.4, 0.85)),
    ):
        u, v = (x - cx) / radius, (y - cy) / radius
        inside = np.clip((1 - np.hypot(u, v)) * radius * 160, 0, 1)
        height = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        light = np.clip((-0.5 * u - 0.6 * v + 0.65 * height), 0, 1)
        ball = 0.15 * np.asarray(colour) + light[..., None] * colour + (light**30)[..., None] * 0.7
        pixels = pixels * (1 - inside[..., None]) + ball * inside[..., None]
    return to_image(pixels)


def poster() -> Image.Image:
    """Flat colours, hard edges, rings and rows of strokes that stand like type."""
    y, x = grid(224, 224)
    pixels = np.where(((x + y) % 0.25 < 0.125)[..., None], (0.95, 0.9, 0.8), (0.9, 0.3, 0.25))
    ring = np.hypot(x - 0.5, y - 0.38)
    pixels = np.where((ring < 0.32)[..., None], (0.05, 0.1, 0.3), pixels)
    pixels = np.where(((ring < 0.27) & (np.sin(ring * 120) > 0))[..., None], (0.2, 0.85, 0.7), pixels)
    strokes = (np.random.default_rng(3).random((6, 40)) > 0.45)[(y * 30).astype(int) % 6, (x * 40).astype(int)]
    return to_image(np.where(((y > 0.78) & (y < 0.95) & strokes)[..., None], (0.02, 0.02, 0.02), pixels))


def as_jpeg(image: Image.Image, quality: int) -> bytes:
    """Encode as Pillow does by default: 4:2:0."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def main() -> None:
    """Write every file of this folder."""
    hills, balls, sheet = landscape(), still_life(), poster()
    hills.save(HERE / "landscape.png", optimize=True)
    balls.save(HERE / "still-life.webp", lossless=True, method=6)
    sheet.save(HERE / "poster.png", optimize=True)
    for quality in (75, 30):
        (HERE / f"landscape-q{quality}.jpg").write_bytes(as_jpeg(hills, quality))
    balls.filter(ImageFilter.GaussianBlur(2)).save(HERE / "still-life-blur2.png", optimize=True)
    noise = np.random.default_rng(4).normal(0, 12, (160, 160, 3))
    to_image((np.asarray(balls) + noise) / 255).save(HERE / "still-life-noise12.webp", lossless=True, method=6)
    shifted = np.roll(np.asarray(sheet), 1, axis=1)
    Image.fromarray(shifted).save(HERE / "poster-shift1.png", optimize=True)
    sheet.save(HERE / "poster-q50.webp", quality=50, method=6)


if __name__ == "__main__":
    main()
