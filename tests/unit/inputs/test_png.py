"""What Pillow leaves open about a PNG."""

import struct
import zlib

import numpy as np
import pytest
from image_files import PNG_MAGIC, chunk, encoded, picture, plain_pillow, png

from beholder.errors import InvalidSample
from beholder.inputs.image import Limits, decode
from beholder.types import EncodedImage

PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def decoded(data: bytes) -> np.ndarray:
    return decode(EncodedImage(data), Limits(10**6, 10**6), "")


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidSample) as caught:
        decoded(data)
    return caught.value.message


def interlaced(greys: np.ndarray, passes: int = 7) -> bytes:
    """A grey PNG with the first so many passes of Adam7; Pillow reads them but writes none."""
    parts = [greys[top::down, left::right] for left, top, right, down in PASSES[:passes]]
    rows = b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)
    head = struct.pack(">IIBBBBB", greys.shape[1], greys.shape[0], 8, 0, 0, 0, 1)
    return PNG_MAGIC + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")


@pytest.mark.parametrize("rows", [1, 7, 15])
def test_rows_that_are_missing_are_not_taken_for_black(rows: int) -> None:
    """The data is whole, only shorter than its header says: to Pillow that is no error."""
    data = png(10, 16, 8, 2, [b"\xff" * 30] * rows)
    assert plain_pillow(data).shape == (16, 10, 3)
    assert refusal(data) == (
        f"image can't be decoded as PNG: the header asks for 496 bytes of pixels, the data has {rows * 31}"
    )


@pytest.mark.parametrize(
    ("bits", "colour_type", "row_bytes"), [(1, 0, 3), (4, 0, 9), (8, 2, 51), (16, 4, 68), (16, 6, 136)]
)
def test_rows_that_are_black_are_taken_for_black(bits: int, colour_type: int, row_bytes: int) -> None:
    whole = png(17, 9, bits, colour_type, [bytes(row_bytes)] * 9)
    assert decoded(whole).max() in {0, 255}  # transparent black is white
    found = refusal(png(17, 9, bits, colour_type, [bytes(row_bytes)] * 8))
    assert f"asks for {9 * (row_bytes + 1):,} bytes of pixels, the data has {8 * (row_bytes + 1):,}" in found


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (8, 8), (17, 30), (3, 1)])
def test_interlaced_rows_are_counted_by_pass(shape: tuple[int, int]) -> None:
    for greys in (np.zeros(shape, np.uint8), np.arange(1, shape[0] * shape[1] + 1, dtype=np.uint8).reshape(shape)):
        assert (decoded(interlaced(greys))[..., 0] == greys).all()
        if shape[0] > 1:
            assert "the header asks for" in refusal(interlaced(greys, passes=6))


def test_a_picture_that_ends_in_black_is_decoded() -> None:
    image = picture(20, 20)
    image.paste((0, 0, 0), (0, 12, 20, 20))
    for mode in ("RGB", "L", "P", "1"):
        data = encoded(image.convert(mode), "PNG")
        assert (decoded(data) == plain_pillow(data)).all()


def test_a_palette_that_is_missing_is_named() -> None:
    without = png(4, 1, 8, 3, [b"\1\2\3\4"])
    assert refusal(without) == "image can't be decoded as PNG: its colours are in a palette, and there is none"
