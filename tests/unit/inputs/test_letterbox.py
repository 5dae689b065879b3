"""A whole image in a frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import picture

from beholder.inputs import letterbox as module
from beholder.inputs.letterbox import letterbox
from beholder.inputs.libvips import vips_blur_rows, vips_resize

FRAME = (64, 64)


def boxed(pixels: np.ndarray, background: str = "blur", sigma: float = 10.0) -> np.ndarray:
    return letterbox(pixels, FRAME, "lanczos", background, sigma)


def pixels_of(width: int, height: int) -> np.ndarray:
    return np.asarray(picture(width, height))


@pytest.mark.parametrize("side", [64, 100, 20])
def test_a_square_image_fills_a_square_frame(side: int) -> None:
    pixels = pixels_of(side, side)
    assert (boxed(pixels) == vips_resize(pixels, FRAME, "lanczos")).all()


@pytest.mark.parametrize(("width", "height", "fitted"), [(128, 64, (32, 64)), (50, 150, (64, 21)), (70, 61, (56, 64))])
def test_an_image_is_fitted_and_centred(width: int, height: int, fitted: tuple[int, int]) -> None:
    pixels = pixels_of(width, height)
    top, left = (64 - fitted[0]) // 2, (64 - fitted[1]) // 2
    middle = np.s_[top : top + fitted[0], left : left + fitted[1]]
    for background in ("blur", "#102030"):
        assert (boxed(pixels, background)[middle] == vips_resize(pixels, fitted, "lanczos")).all()


def test_a_sliver_keeps_one_pixel() -> None:
    assert (boxed(np.zeros((2, 5000, 3), np.uint8), "#ffffff") == 0).sum() == 64 * 3


@pytest.mark.parametrize(("width", "height"), [(128, 64), (64, 128)])
def test_a_colour_fills_the_rest(width: int, height: int) -> None:
    out = boxed(np.zeros((height, width, 3), np.uint8), "#102030")
    assert (np.unique(out.reshape(-1, 3), axis=0) == [(0, 0, 0), (0x10, 0x20, 0x30)]).all()
    assert (out == 0).all(axis=-1).sum() == 64 * 32


@pytest.mark.parametrize(("width", "height"), [(128, 60), (60, 128), (65, 64)])
@pytest.mark.parametrize("sigma", [0.5, 3.0, 10.0])
def test_the_background_is_the_stretched_image_under_a_gaussian(width: int, height: int, sigma: float) -> None:
    """Against a plain convolution of the whole frame with the kernel that `libvips` documents."""
    pixels = pixels_of(width, height)
    weights = np.exp(-0.5 * (np.arange(-99, 100) / sigma) ** 2)
    weights[weights < 0.2] = 0
    stretched = vips_resize(pixels, FRAME, "lanczos").astype(float)
    want = np.apply_along_axis(_convolve, 0, np.apply_along_axis(_convolve, 1, stretched, weights), weights)
    got = boxed(pixels, sigma=sigma)
    is_bar = (boxed(pixels, "#000000") != boxed(pixels, "#ffffff")).all(axis=-1)
    assert is_bar.any()
    assert np.abs(got[is_bar] - want[is_bar]).max() <= 0.51


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from(["lanczos", "bicubic", "box"]), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_what_two_sizes_share_is_computed_once_to_the_same_bits(
    width: int, height: int, filter_: str, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    scale = min(64 / height, 64 / width)
    fitted = max(1, min(64, round(height * scale))), max(1, min(64, round(width * scale)))
    top, left = (64 - fitted[0]) // 2, (64 - fitted[1]) // 2
    stretched = vips_resize(pixels, FRAME, filter_)
    if fitted[0] < 64:
        want = vips_blur_rows(stretched, 0, 64, 3.0)
    else:
        want = vips_blur_rows(stretched.swapaxes(0, 1), 0, 64, 3.0).swapaxes(0, 1)
    want[top : top + fitted[0], left : left + fitted[1]] = vips_resize(pixels, fitted, filter_)
    assert (letterbox(pixels, FRAME, filter_, "blur", 3.0) == want).all()


def test_a_covered_background_is_never_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "vips_blur_rows")
    boxed(pixels_of(100, 100))
    with pytest.raises(NameError):
        boxed(pixels_of(100, 50))


def test_the_image_is_not_modified() -> None:
    pixels = pixels_of(90, 40)
    before = pixels.copy()
    boxed(pixels)
    assert (pixels == before).all()


def _convolve(line: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.convolve(np.pad(line, len(weights) // 2, mode="edge"), weights / weights.sum(), "valid")
