"""One resizer, and it is Pillow's."""

import numpy as np
import pytest
from image_files import picture
from PIL import Image

from beholder.inputs.resize import FILTERS, resize


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("size_px", [(224, 224), (1, 1), (70, 60), (77, 50)])
def test_resizing_equals_pillow(filter_: str, size_px: tuple[int, int]) -> None:
    image = picture(120, 80)
    want = image.resize(size_px[::-1], getattr(Image, filter_.upper()))
    assert (resize(np.asarray(image), size_px, filter_) == np.asarray(want)).all()


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("size_px", [(20, 90), (20, 60), (79, 3), (300, 100), (10, 200)])
def test_columns_come_before_rows_whatever_pillow_is_installed(filter_: str, size_px: tuple[int, int]) -> None:
    """Pillow 13 turns the order of all before it round where much is taken off the height."""
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (200, 80, 3), dtype=np.uint8))
    kernel = getattr(Image, filter_.upper())
    want = image.resize((size_px[1], 200), kernel).resize(size_px[::-1], kernel)
    assert (resize(np.asarray(image), size_px, filter_) == np.asarray(want)).all()


def test_shrinking_is_antialiased() -> None:
    """Clean-fid's lesson: a checkerboard shrunk without antialiasing is black or white, not grey."""
    board = np.indices((64, 64)).sum(0) % 2 * 255
    pixels = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    for filter_ in FILTERS:
        assert np.abs(resize(pixels, (8, 8), filter_).astype(int) - 127.5).max() < 8


def test_an_image_of_the_wanted_size_is_returned_as_it_is() -> None:
    pixels = np.asarray(picture(20, 10))
    assert resize(pixels, (10, 20), "lanczos") is pixels
