"""Images in every form that callers hold become what is sent."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beholder import types
from beholder.client.samples import ImageLike, Sample, is_image, offer, read_image, samples_of
from beholder.errors import InvalidSample
from beholder.types import U8, EncodedImage, RawImage

PIXELS = np.random.default_rng(7).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def pixels_of(image: ImageLike) -> U8:
    read = read_image(image, "candidate")
    assert isinstance(read, RawImage)
    return read.pixels


@pytest.mark.parametrize("file", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_are_a_file(file: ImageLike) -> None:
    read = read_image(file, "candidate")
    assert isinstance(read, EncodedImage)
    assert read.data == b"abc"


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_path_is_read(tmp_path: Path, as_path: type[str] | type[Path]) -> None:
    (tmp_path / "image").write_bytes(b"abc")
    read = read_image(as_path(tmp_path / "image"), "candidate")
    assert isinstance(read, EncodedImage)
    assert read.data == b"abc"


def test_a_file_that_is_not_there_is_told_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(InvalidSample, match=r"candidate: can't read .*gone: No such file") as caught:
        read_image(tmp_path / "gone", "samples[3].candidate")
    assert caught.value.field == "samples[3].candidate"


def test_a_path_that_no_file_can_have_is_told() -> None:
    with pytest.raises(InvalidSample, match="can't read a\0b: embedded null byte"):
        read_image("a\0b", "candidate")


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(InvalidSample, match="Is a directory"):
        read_image(tmp_path, "candidate")


def test_rgb_pixels_are_taken_as_they_are() -> None:
    assert pixels_of(PIXELS) is PIXELS


def test_pixels_that_are_not_contiguous_are_made_so() -> None:
    turned = pixels_of(PIXELS[:, ::-1])
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, PIXELS[:, ::-1])


def test_grey_pixels_become_three_equal_channels() -> None:
    grey = PIXELS[:, :, 0]
    np.testing.assert_array_equal(pixels_of(grey), np.stack([grey] * 3, axis=2))


def test_alpha_is_laid_over_white_as_pillow_does_it() -> None:
    values = np.arange(256, dtype=np.uint8)
    rgba = np.zeros((256, 256, 4), np.uint8)
    rgba[:, :, :3], rgba[:, :, 3] = values[:, None, None], values
    page = Image.new("RGB", (256, 256), "white")
    layer = Image.fromarray(rgba)
    page.paste(layer.convert("RGB"), mask=layer.getchannel("A"))
    np.testing.assert_array_equal(pixels_of(rgba), np.asarray(page))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "1", "YCbCr"])
def test_a_pil_image_is_converted_to_rgb(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    np.testing.assert_array_equal(pixels_of(image), np.asarray(image.convert("RGB")))


def test_a_pil_image_that_shows_through_is_laid_over_white() -> None:
    image = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    np.testing.assert_array_equal(pixels_of(image), np.full((2, 2, 3), 255))


def test_a_palette_with_a_transparent_colour_is_laid_over_white() -> None:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([10, 20, 30])
    image.info["transparency"] = 0
    np.testing.assert_array_equal(pixels_of(image), np.full((2, 2, 3), 255))


@pytest.mark.parametrize("mode", ["F", "I", "I;16"])
def test_a_pil_image_of_more_than_8_bits_is_refused(mode: str) -> None:
    with pytest.raises(InvalidSample, match=f"8 bits a channel, got mode '{mode}'"):
        read_image(Image.new(mode, (2, 2)), "candidate")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (PIXELS / 255, "candidate: want uint8 pixels from 0 to 255, got float64"),
        (PIXELS.astype(np.int64), "got int64"),
        (PIXELS[:, :, :2], "want pixels of shape HxWx3, HxWx4 or HxW, got 5x4x2"),
        (PIXELS[0, 0], "got 3"),
        (PIXELS[:0], "got 0x4x3"),
        (io.BytesIO(), "want bytes, a path, a uint8 array or a PIL image, got BytesIO"),
        (7, "want bytes, a path, a uint8 array or a PIL image, got int"),
    ],
)
def test_what_is_not_an_image_is_told(image: ImageLike, message: str) -> None:
    with pytest.raises(InvalidSample) as caught:
        read_image(image, "samples[0].candidate")
    assert message in caught.value.message


@pytest.mark.parametrize(
    "one", [b"", "path", Path("path"), PIXELS, PIXELS[0], Image.new("L", (1, 1)), RawImage(PIXELS), io.BytesIO()]
)
def test_one_image_is_told_from_many(one: object) -> None:
    assert is_image(one)


@pytest.mark.parametrize("many", [["path"], ("a", "b"), PIXELS[None], iter([b""])])
def test_many_images_are_not_one(many: object) -> None:
    assert not is_image(many)


def test_one_candidate_is_one_sample() -> None:
    assert [sample.candidate for sample in samples_of("a.png")] == ["a.png"]


def test_one_reference_and_one_prompt_go_with_every_candidate() -> None:
    samples = samples_of(["a", "b"], "ref", "a cat")
    assert [(one.candidate, one.reference, one.prompt) for one in samples] == [
        ("a", "ref", "a cat"),
        ("b", "ref", "a cat"),
    ]


def test_many_references_and_prompts_go_one_with_each() -> None:
    samples = samples_of(iter(["a", "b"]), ["x", None], ["cat", None])
    assert [(one.candidate, one.reference, one.prompt) for one in samples] == [("a", "x", "cat"), ("b", None, None)]


@pytest.mark.parametrize("field", ["references", "prompts"])
def test_another_number_of_references_or_prompts_is_refused(field: str) -> None:
    with pytest.raises(InvalidSample, match=f"{field}: want one, or one for each of 3 candidates, got 2") as caught:
        samples_of(["a", "b", "c"], **{field: ["x", "y"]})
    assert caught.value.field == field


def test_a_sample_that_cannot_be_read_is_offered_as_its_error() -> None:
    error = offer(Sample(b"fine", reference="/nowhere/gone.png"), 4)
    assert isinstance(error, InvalidSample)
    assert error.field == "samples[4].reference"


def test_a_bare_candidate_is_a_sample() -> None:
    sample = offer(b"abc", 0)
    assert not isinstance(sample, InvalidSample)
    assert isinstance(sample.candidate, EncodedImage)
    assert sample.reference is None


def test_a_sample_that_is_read_already_is_taken_too() -> None:
    read = types.Sample(EncodedImage(b"abc"), EncodedImage(b"ref"), "a cat")
    sample = offer(read, 0)
    assert not isinstance(sample, InvalidSample)
    assert (sample.candidate, sample.reference, sample.prompt) == (read.candidate, read.reference, read.prompt)
