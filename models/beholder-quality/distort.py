"""Distortions of photographs, each with a strength of 0 (hardly seen) to 1 (ruined); all chance comes from `rng`."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Rng = np.random.Generator
Distort = Callable[[U8, float, Rng], U8]

By = Image.Resampling
UP = (By.NEAREST, By.BILINEAR, By.BICUBIC, By.LANCZOS)
TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
FROM_YCC = np.linalg.inv(TO_YCC).astype(np.float32)


def between(low: float, high: float, strength: float) -> float:
    """Return the value at `strength` on the geometric way from `low` to `high`."""
    return float(low * (high / low) ** strength)


def to_u8(values: NDArray[np.floating]) -> U8:
    """Round and clip to bytes."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def resize(image: U8, height: int, width: int, resample: Image.Resampling) -> U8:
    """Resize an image by Pillow."""
    return np.asarray(Image.fromarray(image).resize((max(1, width), max(1, height)), resample))


def encode(image: U8, form: str, **options: object) -> U8:
    """Encode and decode an image."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, form, **options)
    with Image.open(data) as decoded:
        return np.asarray(decoded.convert("RGB"))


def filtered(image: U8, by: ImageFilter.Filter | type[ImageFilter.Filter]) -> U8:
    """Run a Pillow filter."""
    return np.asarray(Image.fromarray(image).filter(by))


def convolve(image: U8, kernel: F32) -> U8:
    """Convolve each channel with a small kernel, borders repeated, by the Fourier transform."""
    side = len(kernel)
    padded = np.pad(image.astype(np.float32), ((side, side), (side, side), (0, 0)), mode="edge")
    shape = padded.shape[:2]
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * np.fft.rfft2(kernel / kernel.sum(), shape)[..., None]
    moved = side + side // 2
    return to_u8(
        np.fft.irfft2(spectrum, shape, axes=(0, 1))[moved : moved + len(image), moved : moved + image.shape[1]]
    )


def grains(image: U8, scale: float, rng: Rng) -> F32:
    """Return smooth noise of the image's height and width, deviation of about 1, grains of `scale` pixels."""
    height, width = image.shape[:2]
    small = rng.standard_normal((int(height / scale) + 1, int(width / scale) + 1), np.float32)
    return np.asarray(Image.fromarray(small).resize((width, height), By.BICUBIC))


def jpeg(image: U8, strength: float, rng: Rng) -> U8:
    """Encode as JPEG, with or without halved colour."""
    subsampling = ("4:2:0", "4:4:4")[rng.integers(2)]
    return encode(image, "JPEG", quality=round(between(92, 4, strength)), subsampling=subsampling)


def webp(image: U8, strength: float, rng: Rng) -> U8:
    """Encode as WebP."""
    return encode(image, "WEBP", quality=round(100 - between(8, 100, strength)), method=4)


def avif(image: U8, strength: float, rng: Rng) -> U8:
    """Encode as AVIF, the still pictures of AV1."""
    return encode(image, "AVIF", quality=round(100 - between(20, 99, strength)), speed=8, max_threads=1)


def jpeg2000(image: U8, strength: float, rng: Rng) -> U8:
    """Encode as JPEG 2000, which rings and smears instead of breaking into blocks."""
    return encode(
        image, "JPEG2000", quality_mode="rates", quality_layers=[between(8, 250, strength)], irreversible=True
    )


def gaussian_blur(image: U8, strength: float, rng: Rng) -> U8:
    """Blur by a Gaussian."""
    return filtered(image, ImageFilter.GaussianBlur(between(0.4, 8, strength)))


def lens_blur(image: U8, strength: float, rng: Rng) -> U8:
    """Blur by a disc, as a lens out of focus does."""
    radius = between(0.7, 9, strength)
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    return convolve(image, np.clip(radius + 0.5 - np.hypot(y, x), 0, 1).astype(np.float32))


def motion_blur(image: U8, strength: float, rng: Rng) -> U8:
    """Blur along a line of any direction."""
    length, angle = between(1.5, 24, strength), rng.uniform(0, np.pi)
    reach = int(np.ceil(length / 2))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return convolve(image, kernel.astype(np.float32))


def smear(image: U8, strength: float, rng: Rng) -> U8:
    """Replace each pixel by the median around it, again and again: paint without texture."""
    for _ in range(1 + int(strength * 3)):
        image = filtered(image, ImageFilter.MedianFilter(3 if strength < 0.5 else 5))
    return image


def white_noise(image: U8, strength: float, rng: Rng) -> U8:
    """Add Gaussian noise, to each channel or to all alike."""
    channels = (1, 3)[rng.integers(2)]
    return to_u8(image + rng.standard_normal((*image.shape[:2], channels), np.float32) * between(1.5, 60, strength))


def coarse_noise(image: U8, strength: float, rng: Rng) -> U8:
    """Add noise of two to four pixels a grain, as film and enlarged sensors' pictures have."""
    return to_u8(image + grains(image, rng.uniform(1.5, 4), rng)[..., None] * between(2, 50, strength))


def shot_noise(image: U8, strength: float, rng: Rng) -> U8:
    """Add noise that grows with the light."""
    noise = rng.standard_normal(image.shape, np.float32) * np.sqrt(image / 255)
    return to_u8(image + noise * between(2, 70, strength))


def impulse_noise(image: U8, strength: float, rng: Rng) -> U8:
    """Turn a share of the pixels black or white."""
    share = between(0.0005, 0.15, strength)
    chance = rng.random(image.shape[:2])[..., None]
    return np.where(chance < share / 2, 0, np.where(chance > 1 - share / 2, 255, image)).astype(np.uint8)


def colour_noise(image: U8, strength: float, rng: Rng) -> U8:
    """Add noise to the colour alone, fine or coarse."""
    scale = rng.uniform(1, 5)
    noise = [grains(image, scale, rng) for _ in range(2)]
    ycc = np.stack([np.zeros_like(noise[0]), *noise], axis=-1) * between(4, 60, strength)
    return to_u8(image + ycc @ FROM_YCC.T)


def posterise(image: U8, strength: float, rng: Rng) -> U8:
    """Keep a few levels of each channel, with or without a little noise before."""
    levels = round(between(64, 3, strength))
    dither = rng.uniform(-0.5, 0.5, image.shape) * rng.integers(2) if strength < 0.7 else 0
    level = np.clip(np.rint(image / 255 * (levels - 1) + dither), 0, levels - 1)
    return to_u8(level * (255 / (levels - 1)))


def palette(image: U8, strength: float, rng: Rng) -> U8:
    """Keep the few colours that fit best."""
    colours = round(between(200, 4, strength))
    reduced = Image.fromarray(image).quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return np.asarray(reduced.convert("RGB"))


def sharpen(image: U8, strength: float, rng: Rng) -> U8:
    """Sharpen too much, with halos of any width."""
    return filtered(image, ImageFilter.UnsharpMask(rng.uniform(0.7, 4), round(between(40, 700, strength)), 0))


def ring(image: U8, strength: float, rng: Rng) -> U8:
    """Cut off the fine frequencies abruptly, so that edges echo."""
    padded = np.pad(image.astype(np.float32), ((32, 32), (32, 32), (0, 0)), mode="reflect")
    height, width = padded.shape[:2]
    cutoff = between(0.4, 0.04, strength)
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    keep = (np.maximum(np.abs(y), np.abs(x)) if rng.integers(2) else np.hypot(y, x)) <= cutoff
    spectrum = np.fft.rfft2(padded, axes=(0, 1)) * keep[..., None]
    return to_u8(np.fft.irfft2(spectrum, (height, width), axes=(0, 1))[32:-32, 32:-32])


def shrink(image: U8, factor: float, rng: Rng) -> U8:
    """Shrink an image, by any of four filters."""
    height, width = image.shape[:2]
    down = (By.BOX, By.BILINEAR, By.BICUBIC, By.LANCZOS)[rng.integers(4)]
    return resize(image, round(height / factor), round(width / factor), down)


def upscale(image: U8, strength: float, rng: Rng) -> U8:
    """Shrink and enlarge again by the same factor, any of four filters."""
    small = shrink(image, between(1.3, 16, strength), rng)
    return resize(small, *image.shape[:2], UP[rng.integers(4)])


def upscale_nearest(image: U8, strength: float, rng: Rng) -> U8:
    """Shrink and enlarge by repeating pixels, 2 to 8 times: blocks or teeth."""
    small = shrink(
        image, float(rng.permutation([2, 3, 4, 6, 8])[0]) if strength > 0.9 else 2 + round(strength * 5), rng
    )
    return resize(small, *image.shape[:2], By.NEAREST)


def upscale_sharp(image: U8, strength: float, rng: Rng) -> U8:
    """Shrink, enlarge and sharpen: what a network for super-resolution invents at its plainest."""
    factor = between(1.5, 8, strength)
    large = resize(shrink(image, factor, rng), *image.shape[:2], By.BICUBIC)
    return filtered(large, ImageFilter.UnsharpMask(factor * rng.uniform(0.4, 0.8), round(rng.uniform(60, 250)), 0))


def codec_at_low_height(image: U8, strength: float, rng: Rng) -> U8:
    """Shrink, encode, enlarge: a stream of few lines on a large screen."""
    small = shrink(image, between(1.3, 10, min(1, max(0, strength + rng.uniform(-0.2, 0.2)))), rng)
    codec = (avif, jpeg, webp)[min(2, rng.integers(4))]
    return resize(codec(small, rng.uniform(0, 0.8), rng), *image.shape[:2], UP[1 + rng.integers(3)])


def halve_colour(image: U8, strength: float, rng: Rng) -> U8:
    """Keep the colour at a fraction of the size."""
    height, width = image.shape[:2]
    factor = between(2, 24, strength)
    ycc = image @ TO_YCC.T
    planes = [Image.fromarray(np.ascontiguousarray(ycc[..., index])) for index in (1, 2)]
    for index, plane in enumerate(planes):
        small = plane.resize((max(1, round(width / factor)), max(1, round(height / factor))), By.BOX)
        ycc[..., 1 + index] = np.asarray(small.resize((width, height), By.BILINEAR))
    return to_u8(ycc @ FROM_YCC.T)


def cast(image: U8, strength: float, rng: Rng) -> U8:
    """Multiply the channels by unlike factors."""
    direction = rng.standard_normal(3)
    return to_u8(image * np.exp(direction / np.abs(direction).max() * between(0.03, 0.7, strength)))


def saturate(image: U8, strength: float, rng: Rng) -> U8:
    """Take colour away, or add too much."""
    factor = between(0.85, 0.02, strength) if rng.integers(2) else between(1.2, 4, strength)
    ycc = image @ TO_YCC.T
    ycc[..., 1:] *= factor
    return to_u8(ycc @ FROM_YCC.T)


def contrast(image: U8, strength: float, rng: Rng) -> U8:
    """Flatten the contrast around the mean, or stretch it until tones are lost."""
    factor = between(0.9, 0.2, strength) if rng.integers(2) else between(1.1, 4, strength)
    mean = image.mean()
    return to_u8((image - mean) * factor + mean)


def expose(image: U8, strength: float, rng: Rng) -> U8:
    """Darken or brighten by a power curve or by a factor."""
    amount = between(1.1, 3.5, strength) ** (1 if rng.integers(2) else -1)
    return to_u8(255 * (image / 255.0) ** amount if rng.integers(2) else image * amount)


def patch_over(image: U8, strength: float, rng: Rng) -> U8:
    """Paint squares over: their mean colour, pixels from elsewhere, or a blur."""
    height, width = image.shape[:2]
    side = int(rng.integers(8, 49))
    out, blurred = image.copy(), filtered(image, ImageFilter.GaussianBlur(6))
    for _ in range(max(1, round(between(0.004, 0.35, strength) * height * width / side**2))):
        y, x = rng.integers(0, height - side), rng.integers(0, width - side)
        here = np.s_[y : y + side, x : x + side]
        v, u = rng.integers(0, height - side), rng.integers(0, width - side)
        fills = (image[here].mean(axis=(0, 1)), image[v : v + side, u : u + side], blurred[here])
        out[here] = fills[rng.integers(3)]
    return out


def checkerboard(image: U8, strength: float, rng: Rng) -> U8:
    """Lay a regular grid over the image, as transposed convolutions leave it."""
    period = int(rng.integers(2, 9))
    tile = rng.standard_normal((period, period, (1, 3)[rng.integers(2)]))
    height, width = image.shape[:2]
    grid = np.tile(tile - tile.mean(), (height // period + 1, width // period + 1, 1))[:height, :width]
    return to_u8(image + grid * between(1.5, 40, strength))


def jitter(image: U8, strength: float, rng: Rng) -> U8:
    """Take each pixel from a place near by: frosted glass, crumbled outlines."""
    height, width = image.shape[:2]
    scale = rng.uniform(1, 6)
    down, across = (grains(image, scale, rng) * between(0.4, 5, strength) for _ in range(2))
    y, x = np.mgrid[:height, :width]
    y, x = np.rint(y + down).astype(int), np.rint(x + across).astype(int)
    return image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]


DISTORTIONS: dict[str, Distort] = {
    made.__name__: made
    for made in (
        *(jpeg, webp, avif, jpeg2000, gaussian_blur, lens_blur, motion_blur, smear),
        *(white_noise, coarse_noise, shot_noise, impulse_noise, colour_noise, posterise, palette, sharpen, ring),
        *(upscale, upscale_nearest, upscale_sharp, codec_at_low_height, halve_colour, cast, saturate, contrast),
        *(expose, patch_over, checkerboard, jitter),
    )
}
"""Name -> distortion."""
