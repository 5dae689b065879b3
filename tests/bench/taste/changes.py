"""What happens to an image on its way that its meaning survives: coding, resizing, noise; and cutting out a part."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Change = Callable[[Image.Image], Image.Image]


def coded(format_: str, **options: int | str) -> Change:
    """Return the change that a lossy file makes."""

    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, format_, **options)
        return Image.open(io.BytesIO(file.getvalue())).convert("RGB")

    return change


def shrunk(ratio: float, filter_: Image.Resampling = Image.Resampling.BICUBIC) -> Change:
    """Return the change that a smaller copy makes."""
    return lambda picture: picture.resize(
        (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))), filter_
    )


def half_chroma(picture: Image.Image) -> Image.Image:
    """Return the picture with chroma of half its size and nothing else lost."""
    light, *colours = picture.convert("YCbCr").split()
    small = ((picture.width + 1) // 2, (picture.height + 1) // 2)
    planes = [plane.resize(small, Image.Resampling.BOX).resize(picture.size) for plane in colours]
    return Image.merge("YCbCr", (light, *planes)).convert("RGB")


def noisy(picture: Image.Image) -> Image.Image:
    """Return the picture with noise of a deviation of 2 in each channel, always the same."""
    pixels = np.asarray(picture)
    noise = np.random.default_rng(7).normal(0, 2, pixels.shape)
    return Image.fromarray(np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8))


def part(left: float, top: float, share: float = 0.6) -> Change:
    """Return the change that cuts a part out."""
    return lambda picture: picture.crop(
        (
            round(left * picture.width),
            round(top * picture.height),
            round((left + share) * picture.width),
            round((top + share) * picture.height),
        )
    )


PARTS: dict[str, Change] = {f"part {left} {top}": part(left, top) for left in (0.0, 0.4) for top in (0.0, 0.4)}
"""More images for a background: 121 span fewer directions than are kept."""
TRIED: dict[str, Change] = {
    "JPEG 90": coded("JPEG", quality=90, subsampling=0),
    "JPEG 75": coded("JPEG", quality=75, subsampling=0),
    "JPEG 50": coded("JPEG", quality=50, subsampling=0),
    "JPEG 75, 4:2:0": coded("JPEG", quality=75, subsampling=2),
    "4:2:0 alone": half_chroma,
    "half size": shrunk(0.5),
    "WebP 75": coded("WEBP", quality=75),
}
"""What verdicts are tried under."""
NUISANCES: dict[str, Change] = {
    "jpeg 85": coded("JPEG", quality=85, subsampling=0),
    "jpeg 60 4:2:0": coded("JPEG", quality=60, subsampling=2),
    "jpeg 40 4:2:0": coded("JPEG", quality=40, subsampling=2),
    "4:2:0": half_chroma,
    "two thirds": shrunk(2 / 3, Image.Resampling.BILINEAR),
    "0.45": shrunk(0.45, Image.Resampling.LANCZOS),
    "noise": noisy,
    "soft": lambda picture: picture.filter(ImageFilter.GaussianBlur(0.5)),
}
"""What a background learns of invisible changes from; not what verdicts are tried under, but for 4:2:0."""
