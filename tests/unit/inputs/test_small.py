"""A JPEG that is decoded small is what libjpeg makes of it, for steps that say so and where that leaves enough."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import encoded, picture, rgb, with_orientation
from PIL import Image

from beholder.errors import ConfigError, InvalidSample
from beholder.inputs.image import Limits, decode
from beholder.inputs.small import check_small, eighths
from beholder.inputs.steps import Step, apply, parse_steps
from beholder.types import U8, EncodedImage, RawImage

LIMITS = Limits(max_bytes=2**24, max_pixels=10**7)
SMALL = {"op": "decode_small"}
SQUARE = {"op": "crop_square", "ratio": 0.875}
RESIZE = {"op": "resize", "size_px": [28, 28], "filter": "bicubic"}
LETTERBOX = {"op": "letterbox", "size_px": [28, 28], "filter": "lanczos"}


def steps(*tables: dict) -> tuple[Step, ...]:
    found = parse_steps(tables)
    check_small(found)
    return found


def small(data: bytes, *tables: dict, limits: Limits = LIMITS) -> U8:
    return decode(EncodedImage(data), limits, "candidate", steps(SMALL, *tables))


def drafted(data: bytes, part: int) -> np.ndarray:
    """Return what Pillow decodes at so many eighths."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, (max(1, image.width * part // 8), max(1, image.height * part // 8)))
        return rgb(image)


@pytest.mark.parametrize(
    ("size_px", "part"),
    [
        ((448, 448), 1),
        ((440, 448), 2),
        ((448, 4000), 1),
        ((224, 224), 2),
        ((112, 112), 4),
        ((110, 110), 8),
        ((9, 9), 8),
    ],
)
def test_a_jpeg_stays_twice_as_large_as_it_will_be(size_px: tuple[int, int], part: int) -> None:
    assert eighths(steps(SMALL, RESIZE), size_px) == part


def test_what_is_cut_off_first_does_not_count() -> None:
    assert eighths(steps(SMALL, SQUARE, RESIZE), (512, 600)) == 1
    assert eighths(steps(SMALL, SQUARE, RESIZE), (500, 600)) == 2


def test_what_is_fitted_may_be_smaller() -> None:
    assert eighths(steps(SMALL, LETTERBOX), (1000, 448)) == 1
    assert eighths(steps(SMALL, RESIZE), (1000, 440)) == 2


def test_room_is_what_the_scorer_says() -> None:
    assert [eighths(steps(SMALL | {"room": room}, RESIZE), (224, 224)) for room in (1, 2, 4, 8)] == [1, 2, 4, 8]


def test_without_the_step_all_is_decoded() -> None:
    assert eighths(steps(RESIZE), (4000, 4000)) == 8
    assert eighths((), (4000, 4000)) == 8


@given(
    size=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    subsampling=st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    progressive=st.booleans(),
    table=st.sampled_from([RESIZE, LETTERBOX]),
)
@settings(max_examples=60, deadline=None)
def test_the_pixels_are_pillows_draft(
    size: tuple[int, int], mode: str, subsampling: str, progressive: bool, table: dict
) -> None:
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    data = encoded(picture(*size).convert(mode), "JPEG", progressive=progressive, **options)
    part = eighths(steps(SMALL, table), size[::-1])
    want = (-(-size[1] * part // 8), -(-size[0] * part // 8), 3)
    got = small(data, table)
    assert got.shape == want
    assert got.flags.c_contiguous
    draft = drafted(data, part)
    if draft.shape == want:  # Pillow draws another line where a side is not a multiple of eight
        assert (got == draft).all()
    assert apply(steps(SMALL, table), got).shape == (28, 28, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_steps_see_it_upright(orientation: int) -> None:
    """A frame of 20 x 80 leaves a lying image another size than a standing one."""
    data = with_orientation(picture(400, 160), "JPEG", orientation)
    table = {"op": "resize", "size_px": [20, 80], "filter": "box"}
    whole = decode(EncodedImage(data), LIMITS, "candidate")
    part = eighths(steps(SMALL, table), whole.shape[:2])
    assert part == (8 if orientation >= 5 else 4)
    got = small(data, table)
    assert got.shape[:2] == tuple(side * part // 8 for side in whole.shape[:2])
    halves = np.asarray(Image.fromarray(whole).resize(got.shape[1::-1], Image.Resampling.BOX))
    assert np.abs(got.astype(int) - halves).mean() < 3


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_other_formats_are_decoded_whole(format_: str) -> None:
    data = encoded(picture(300, 300), format_)
    assert (small(data, RESIZE) == decode(EncodedImage(data), LIMITS, "candidate")).all()


def test_raw_pixels_stay_as_they_are() -> None:
    pixels = np.asarray(picture(300, 300))
    assert decode(RawImage(pixels), LIMITS, "candidate", steps(SMALL, RESIZE)) is pixels
    assert (apply(steps(SMALL, RESIZE), pixels) == apply(steps(RESIZE), pixels)).all()


def test_an_image_too_small_for_it_is_the_same_as_without() -> None:
    data = encoded(picture(110, 110), "JPEG")
    assert (small(data, RESIZE) == decode(EncodedImage(data), LIMITS, "candidate")).all()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_a_cut_off_file_is_refused_small_too(kept: float, progressive: bool) -> None:
    data = encoded(picture(600, 500), "JPEG", progressive=progressive)
    with pytest.raises(InvalidSample, match=r"^image (is cut off|can't be decoded as JPEG)"):
        small(data[: int(len(data) * kept)], RESIZE)


def test_damage_is_refused_small_too() -> None:
    data = bytearray(encoded(picture(600, 500), "JPEG"))
    start = data.index(b"\xff\xda") + 2000
    data[start : start + 2000] = b"\xff\xd9" + bytes(1998)
    with pytest.raises(InvalidSample, match="can't be decoded as JPEG"):
        small(bytes(data), RESIZE)


def test_limits_are_of_the_file_and_of_the_whole_image() -> None:
    data = encoded(picture(600, 500), "JPEG")
    for limits, message in (
        (Limits(10**7, 299_999), "the limit is 0.299999"),
        (Limits(len(data) - 1, 10**7), "bytes; the limit is"),
    ):
        with pytest.raises(InvalidSample, match=message):
            small(data, RESIZE, limits=limits)


def test_a_header_that_lies_gets_no_more_room() -> None:
    data = bytearray(encoded(picture(160, 160), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (1600).to_bytes(2) * 2
    with pytest.raises(InvalidSample):
        small(bytes(data), RESIZE)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([RESIZE, SMALL], "decode_small comes first"),
        ([SMALL, SMALL, RESIZE], "decode_small comes first"),
        ([SMALL], "want resize or letterbox next"),
        ([SMALL, {"op": "crop", "size_px": [8, 8]}, RESIZE], "want resize or letterbox next"),
        ([SMALL, {"op": "resize_shorter", "side_px": 9, "filter": "box"}], "want resize or letterbox next"),
        ([SMALL, {"op": "jpeg"}, RESIZE], "want resize or letterbox next"),
    ],
)
def test_it_stands_first_and_before_a_known_size(tables: list[dict], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        steps(*tables)
