"""The words that `scorer.toml` may use, and what each does to an image."""

import io

import numpy as np
import pytest
from image_files import picture
from PIL import Image

from beholder.errors import ConfigError, InvalidSample
from beholder.inputs.steps import MAX_ASPECT, apply, output_size, parse_steps

RESIZE = {"op": "resize", "size_px": [30, 40], "filter": "bicubic"}
SHORTER = {"op": "resize_shorter", "side_px": 30, "filter": "bilinear"}
SHRINK = {"op": "shrink", "max_mpx": 0.01, "filter": "box"}
CROP = {"op": "crop", "size_px": [20, 24]}
SQUARE = {"op": "crop_square", "ratio": 0.875}
JPEG = {"op": "jpeg", "quality": 75}
LETTERBOX = {"op": "letterbox", "size_px": [48, 32], "filter": "lanczos", "background": "blur", "blur_sigma": 10.0}


def prepared(pixels: np.ndarray, *tables: dict) -> np.ndarray:
    return apply(parse_steps(tables), pixels)


def pixels_of(width: int, height: int) -> np.ndarray:
    return np.asarray(picture(width, height))


def test_no_steps_leave_the_image_as_it_is() -> None:
    pixels = pixels_of(9, 7)
    assert prepared(pixels) is pixels
    assert output_size(()) is None


def test_resize_stretches() -> None:
    image = picture(90, 61)
    want = np.asarray(image.resize((40, 30), Image.Resampling.BICUBIC))
    assert (prepared(np.asarray(image), RESIZE) == want).all()


@pytest.mark.parametrize(("width", "height"), [(90, 61), (61, 90), (45, 45), (31, 30), (20, 999)])
def test_the_shorter_side_gets_its_length_and_the_longer_is_rounded_down(width: int, height: int) -> None:
    image = picture(width, height)
    short, long = 30, int(30 * max(width, height) / min(width, height))
    size = (long, short) if width > height else (short, long)
    want = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    assert (prepared(np.asarray(image), SHORTER) == want).all()


@pytest.mark.parametrize(("width", "height", "size"), [(100, 100, (100, 100)), (200, 100, (141, 70)), (9, 8, (9, 8))])
def test_only_an_image_of_too_many_pixels_shrinks(width: int, height: int, size: tuple[int, int]) -> None:
    image = picture(width, height)
    want = np.asarray(image.resize(size, Image.Resampling.BOX))
    assert (prepared(np.asarray(image), SHRINK) == want).all()


def test_a_sliver_is_refused_where_the_aspect_is_kept() -> None:
    assert prepared(np.zeros((2, 2 * MAX_ASPECT, 3), np.uint8), SHORTER).shape == (30, 30 * MAX_ASPECT, 3)
    with pytest.raises(InvalidSample, match=r"^image is 65000x1; the limit of its aspect is 64:1$"):
        prepared(np.zeros((1, 65_000, 3), np.uint8), SHORTER)
    with pytest.raises(InvalidSample, match=r"the limit of its aspect is 64:1$"):
        prepared(np.zeros((100, 6_500, 3), np.uint8), SHRINK)


@pytest.mark.parametrize(("width", "height", "top", "left"), [(24, 20, 0, 0), (25, 23, 1, 0), (60, 41, 10, 18)])
def test_crop_cuts_the_middle_out(width: int, height: int, top: int, left: int) -> None:
    pixels = pixels_of(width, height)
    assert (prepared(pixels, CROP) == pixels[top : top + 20, left : left + 24]).all()


@pytest.mark.parametrize(("width", "height"), [(23, 20), (24, 19)])
def test_an_image_smaller_than_its_crop_is_refused(width: int, height: int) -> None:
    with pytest.raises(InvalidSample, match=rf"^image is {width}x{height}; at least 24x20 is needed$"):
        prepared(pixels_of(width, height), CROP)


@pytest.mark.parametrize(("width", "height", "side"), [(80, 64, 56), (64, 80, 56), (9, 50, 7), (1, 1, 1)])
def test_crop_square_keeps_a_part_of_the_shorter_side(width: int, height: int, side: int) -> None:
    pixels = np.arange(width * height * 3).reshape(height, width, 3).astype(np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    assert (prepared(pixels, SQUARE) == pixels[top : top + side, left : left + side]).all()


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_jpeg_round_trip_equals_pillows(quality: int) -> None:
    image = picture(37, 50)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    want = np.asarray(Image.open(file))
    assert (prepared(np.asarray(image), JPEG | {"quality": quality}) == want).all()


@pytest.mark.parametrize(("width", "height"), [(512, 512), (300, 200), (90, 400)])
def test_the_steps_of_open_nsfw_equal_its_authors(width: int, height: int) -> None:
    """Resize to 256 with the bilinear filter (columns first, as their Pillow), a JPEG round trip, the middle 224."""
    image = picture(width, height)
    file = io.BytesIO()
    columns = image.resize((256, height), resample=Image.Resampling.BILINEAR)
    columns.resize((256, 256), resample=Image.Resampling.BILINEAR).save(file, format="JPEG")
    want = np.asarray(Image.open(file).convert("RGB"))[16:240, 16:240]
    resize = {"op": "resize", "size_px": [256, 256], "filter": "bilinear"}
    crop = {"op": "crop", "size_px": [224, 224]}
    assert (prepared(np.asarray(image), resize, {"op": "jpeg"}, crop) == want).all()


@pytest.mark.parametrize(
    ("tables", "size_px"),
    [
        ([], None),
        ([JPEG], None),
        ([SHORTER], None),
        ([SHRINK], None),
        ([SQUARE], None),
        ([LETTERBOX, SHRINK], (48, 32)),
        ([{**RESIZE, "size_px": [200, 100]}, SHRINK], (141, 70)),
        ([RESIZE], (30, 40)),
        ([RESIZE, JPEG], (30, 40)),
        ([RESIZE, SQUARE], (26, 26)),
        ([CROP, SHORTER], (30, 36)),
        ([SHORTER, CROP], (20, 24)),
        ([SQUARE, RESIZE, CROP, JPEG], (20, 24)),
        ([LETTERBOX], (48, 32)),
    ],
)
def test_the_size_is_known_beforehand_where_images_do_not_matter(
    tables: list[dict[str, object]], size_px: tuple[int, int]
) -> None:
    assert output_size(parse_steps(tables)) == size_px
    out = prepared(pixels_of(61, 90), *tables)
    assert out.flags.c_contiguous
    assert out.dtype == np.uint8
    if size_px:
        assert out.shape == (*size_px, 3)


def test_equal_steps_are_equal_keys() -> None:
    assert hash(parse_steps([RESIZE, LETTERBOX])) == hash(parse_steps([dict(RESIZE), dict(LETTERBOX)]))


def test_what_a_step_leaves_unsaid_has_a_default() -> None:
    assert parse_steps([{"op": "jpeg"}]) == parse_steps([JPEG])
    assert parse_steps([{key: LETTERBOX[key] for key in ("op", "size_px", "filter")}]) == parse_steps([LETTERBOX])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {},
            "steps[1]: op: want one of decode_small, resize, resize_shorter, shrink, crop, crop_square, jpeg",
        ),
        ({"op": "decode_small", "room": 0.5}, "steps[1] (decode_small): room: want a number from 1 to 8, got 0.5"),
        ({"op": "resise"}, "got 'resise'; did you mean resize?"),
        ({"op": []}, "steps[1]: op: want one of"),
        (
            RESIZE | {"filtre": "box"},
            "steps[1] (resize): key: want one of size_px, filter, fast, got 'filtre'; did you mean",
        ),
        ({"op": "resize", "filter": "box"}, "steps[1] (resize): size_px is missing"),
        (RESIZE | {"filter": "bicubik"}, "steps[1] (resize): filter: want one of box, bilinear, hamming, bicubic, lan"),
        (RESIZE | {"filter": "bicubik"}, "got 'bicubik'; did you mean bicubic?"),
        (RESIZE | {"size_px": 224}, "steps[1] (resize): size_px: want [height, width], got 224"),
        (RESIZE | {"size_px": [224]}, "size_px: want [height, width], got (224,)"),
        (RESIZE | {"size_px": [0, 4]}, "size_px: want a whole number from 1 to 65535, got 0"),
        (RESIZE | {"size_px": [4, 4.0]}, "size_px: want a whole number from 1 to 65535, got 4.0"),
        (
            SHORTER | {"side_px": True},
            "steps[1] (resize_shorter): side_px: want a whole number from 1 to 65535, got Tr",
        ),
        (SHORTER | {"filter": "nearest"}, "filter: want one of"),
        (CROP | {"size_px": "224"}, "steps[1] (crop): size_px: want [height, width], got '224'"),
        (SQUARE | {"ratio": 1.1}, "steps[1] (crop_square): ratio: want a number from 0.01 to 1, got 1.1"),
        (SQUARE | {"ratio": float("nan")}, "ratio: want a number from 0.01 to 1, got nan"),
        (JPEG | {"quality": 0}, "steps[1] (jpeg): quality: want a whole number from 1 to 100, got 0"),
        (LETTERBOX | {"background": "blue"}, "steps[1] (letterbox): background: want blur or #rrggbb, got 'blue'"),
        (LETTERBOX | {"background": 7}, "background: want blur or #rrggbb, got 7"),
        (LETTERBOX | {"blur_sigma": 0}, "blur_sigma: want a number from 0.1 to 100, got 0"),
    ],
)
def test_a_step_that_cannot_be_is_told_with_its_place_and_key(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_steps([JPEG, table])
    assert message in caught.value.message
