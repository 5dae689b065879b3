"""Pictures that nobody took."""

import pytest

from beholder.inputs.image import Limits, decode
from beholder.inputs.made import FORMATS, encode, made_picture
from beholder.types import EncodedImage


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (33, 20), (256, 256)])
def test_a_made_picture_is_a_file_of_its_size(size: tuple[int, int], format_: str) -> None:
    pixels = made_picture(*size, seed=1)
    assert pixels.shape == (size[1], size[0], 3)
    data = encode(pixels, format_)
    assert decode(EncodedImage(data), Limits(2**24, 10**6), "").shape == pixels.shape


def test_a_made_jpeg_is_as_large_as_a_photograph() -> None:
    bits_per_pixel = 8 * len(encode(made_picture(512, 512, 1), "jpg")) / 512**2
    assert 1.2 < bits_per_pixel < 3.5  # photographs at quality 90


def test_the_seed_decides() -> None:
    assert (made_picture(64, 64, 1) == made_picture(64, 64, 1)).all()
    assert (made_picture(64, 64, 1) != made_picture(64, 64, 2)).any()
