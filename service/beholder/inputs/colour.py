"""Pixels of any mode and profile become 8-bit sRGB over white.

An embedded profile is honoured; one that is broken or doesn't fit the pixels is ignored, as viewers do. What shows
through is white. 16-bit samples keep their high byte, grey as well as colour, so that one picture gets the same score
in either form.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_LATTICE_STEP = 15
"""Every 15th level of each channel, 18 x 18 x 18 colours, decides whether a profile differs from sRGB."""


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a decoded image to mode RGB.

    Args:
        image: any mode that JPEG, PNG and WebP decode to. Not modified.
        profile: the ICC profile that its numbers are in; empty means sRGB.
    """
    opaque, alpha = _split_alpha(image)
    transform = _transform(profile, opaque.mode) if profile else None
    rgb = opaque.convert("RGB") if transform is None else transform.apply(opaque)
    if alpha is None:
        return rgb
    page = Image.new("RGB", rgb.size, "white")
    page.paste(rgb, mask=alpha)
    return page


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the image in mode L, RGB or CMYK, and its opacity in mode L where it has any."""
    if image.mode == "I;16":
        image = _high_bytes(image)
    if image.has_transparency_data:
        is_grey = image.mode in ("1", "L", "LA")
        with_alpha = image.convert("LA" if is_grey else "RGBA")
        return with_alpha.convert("L" if is_grey else "RGB"), with_alpha.getchannel("A")
    if image.mode in ("L", "RGB", "CMYK"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _high_bytes(image: Image.Image) -> Image.Image:
    """Return a 16-bit grey image as L; Pillow's own conversion clips at 255 instead of scaling."""
    grey = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if (key := image.info.get("transparency")) is not None:
        grey.info["transparency"] = key
    return grey


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the way from a profile to sRGB; None where there is nothing to do: it is sRGB, broken, or of another mode.

    The perceptual intent fits a press's colours into sRGB where the others clip them; for camera and display profiles,
    which are matrices, the intents are equal. Remembered by profile, since building takes longer than a small image;
    without lcms's one-pixel cache a transform may serve all threads at once.
    """
    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.PERCEPTUAL,
            flags=ImageCms.Flags.NOCACHE,
        )
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
    return None if mode == "RGB" and _is_identity(transform) else transform


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Tell whether no colour moves by more than one level, which is what two makers' sRGB profiles differ by."""
    levels = np.arange(0, 256, _LATTICE_STEP, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
    moved = np.asarray(transform.apply(Image.fromarray(lattice))).astype(np.int16) - lattice
    return int(np.abs(moved).max()) <= 1
