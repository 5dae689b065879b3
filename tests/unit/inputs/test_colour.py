"""Every mode and profile becomes sRGB over white."""

import numpy as np
import pytest
from image_files import SRGB_COLUMNS, grey_profile, matrix_profile, picture, press_profile, rgb
from PIL import Image, ImageCms

from beholder.inputs.colour import to_srgb

RED, GREEN, BLUE = SRGB_COLUMNS
SWAPPED = matrix_profile((BLUE, GREEN, RED))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def srgb(image: Image.Image, profile: bytes = b"") -> np.ndarray:
    out = to_srgb(image, profile)
    assert out.mode == "RGB"
    return np.asarray(out)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "RGBA", "LA", "RGBX", "PA"])
def test_an_opaque_image_without_a_profile_is_what_pillow_says(mode: str) -> None:
    image = picture(16, 12).convert(mode)
    assert (srgb(image) == rgb(image)).all()


def test_a_profile_moves_the_colours() -> None:
    image = picture(32, 32)
    moved = srgb(image, SWAPPED).astype(int)
    assert np.abs(moved - rgb(image)[..., ::-1]).max() < 12  # gamma 2.2 is not quite sRGB's curve
    assert np.abs(moved - rgb(image)).max() > 100


def test_a_profile_of_srgb_leaves_every_bit() -> None:
    image = picture(32, 32)
    assert (srgb(image, SRGB) == rgb(image)).all()


def test_a_profile_moves_the_colours_under_alpha_and_in_palettes() -> None:
    image = picture(32, 32)
    see_through = image.copy()
    see_through.putalpha(128)
    half_white = (srgb(image, SWAPPED).astype(float) * 128 + 255 * 127) / 255
    assert np.abs(srgb(see_through, SWAPPED) - half_white).max() <= 1
    palette = image.quantize(64)
    assert (srgb(palette, SWAPPED) == srgb(palette.convert("RGB"), SWAPPED)).all()


def test_a_grey_profile_moves_greys() -> None:
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    linear = (np.arange(256) / 255) ** 1.8
    want = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    got = srgb(levels, grey_profile(1.8))
    assert np.abs(got[0, :, 0] - want).max() < 2
    assert (got == got[..., :1]).all()


def test_a_press_profile_moves_inks() -> None:
    image = picture(16, 16).convert("CMYK")
    greys = srgb(image, press_profile()).astype(int)
    assert np.ptp(greys, axis=-1).max() <= 1
    assert np.ptp(greys) > 50
    assert np.ptp(srgb(image).astype(int), axis=-1).max() > 50


@pytest.mark.parametrize("profile", [b"nonsense", SWAPPED[:100], SWAPPED[:200], grey_profile(1.0), press_profile()])
def test_a_profile_that_is_broken_or_of_another_mode_is_ignored(profile: bytes) -> None:
    image = picture(16, 16)
    assert (srgb(image, profile) == rgb(image)).all()


@pytest.mark.parametrize("alpha", [0, 1, 77, 128, 254, 255])
def test_what_shows_through_is_white(alpha: int) -> None:
    image = picture(16, 16)
    want = (rgb(image).astype(float) * alpha + 255.0 * (255 - alpha)) / 255
    image.putalpha(alpha)
    assert np.abs(srgb(image) - want).max() <= 0.5
    grey = image.convert("LA")
    want = (np.asarray(grey)[..., :1] * float(alpha) + 255.0 * (255 - alpha)) / 255
    assert np.abs(srgb(grey) - want).max() <= 0.5


def test_a_transparent_palette_colour_is_white() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.info["transparency"] = 1
    assert srgb(image).tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]
    image.info["transparency"] = bytes((255, 255, 0))
    assert srgb(image).tolist() == [[[10, 20, 30], [40, 50, 60], [255, 255, 255]]]


def test_sixteen_bit_greys_are_scaled_and_not_clipped() -> None:
    levels = np.arange(0, 65536, 257, dtype=np.uint16)
    assert srgb(Image.fromarray(levels[None]))[0, :, 0].tolist() == list(range(256))
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.abs(srgb(Image.fromarray(every))[..., 0] - every / 257).max() < 1
