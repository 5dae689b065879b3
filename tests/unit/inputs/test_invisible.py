"""Changes that people hardly see, and parts of images."""

import numpy as np
import pytest
from image_files import encoded, picture, plain_pillow
from PIL import Image

from beholder.inputs.invisible import CHANGES, CORNERS, NOISE_SD, half_chroma, jpeg, noisy
from beholder.inputs.resize import resize
from beholder.types import U8

PIXELS = np.asarray(picture(97, 64))
SMALLER = {"two thirds": 2 / 3, "0.45": 0.45}


def grey(pixels: U8) -> np.ndarray:
    return pixels.astype(np.float64) @ (0.299, 0.587, 0.114)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_changes_a_little(name: str) -> None:
    before = PIXELS.copy()
    changed = CHANGES[name](PIXELS)
    assert changed.dtype == np.uint8
    assert np.array_equal(PIXELS, before)
    assert np.array_equal(changed, CHANGES[name](PIXELS))
    ratio = SMALLER.get(name, 1)
    assert changed.shape == (round(64 * ratio), round(97 * ratio), 3)
    again = resize(changed, PIXELS.shape[:2], "bicubic")
    assert 0 < np.abs(again.astype(float) - PIXELS).mean() < 12


@pytest.mark.parametrize("name", [*CHANGES, *CORNERS])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_the_smallest_images_can_be_changed(name: str, size: tuple[int, int]) -> None:
    changed = {**CHANGES, **CORNERS}[name](np.full((*size, 3), 77, np.uint8))
    assert changed.size
    assert changed.ndim == 3


@pytest.mark.parametrize("name", CHANGES)
def test_an_image_that_is_cut_out_of_another_can_be_changed(name: str) -> None:
    cut = PIXELS[5:50, 7:70]
    assert np.array_equal(CHANGES[name](cut), CHANGES[name](np.ascontiguousarray(cut)))


@pytest.mark.parametrize(("chroma", "subsampling"), [("4:4:4", 0), ("4:2:0", 2)])
@pytest.mark.parametrize("quality", [85, 60, 40])
def test_a_jpeg_is_what_pillow_would_write(quality: int, chroma: str, subsampling: int) -> None:
    file = encoded(Image.fromarray(PIXELS), "JPEG", quality=quality, subsampling=subsampling)
    assert np.array_equal(jpeg(PIXELS, quality, chroma), plain_pillow(file))


def test_half_chroma_leaves_the_light() -> None:
    changed = half_chroma(PIXELS)
    assert np.abs(grey(changed) - grey(PIXELS)).mean() < 1.5
    assert np.abs(changed.astype(float) - PIXELS).mean() > 2 * np.abs(grey(changed) - grey(PIXELS)).mean()


def test_noise_has_the_deviation_that_it_says() -> None:
    flat = np.full((200, 200, 3), 128, np.uint8)
    noise = noisy(flat).astype(float) - 128
    assert noise.std() == pytest.approx(NOISE_SD, rel=0.03)
    assert abs(noise.mean()) < 0.05


def test_corners_are_60_percent_of_each_side_and_hold_the_corner() -> None:
    parts = [change(PIXELS) for change in CORNERS.values()]
    assert {part.shape for part in parts} == {(38, 58, 3)}
    ends = [part[row, column] for part, (row, column) in zip(parts, [(0, 0), (0, -1), (-1, 0), (-1, -1)], strict=True)]
    assert np.array_equal(ends, [PIXELS[0, 0], PIXELS[0, -1], PIXELS[-1, 0], PIXELS[-1, -1]])
    assert list(CORNERS) == ["upper left", "upper right", "lower left", "lower right"]
