"""Bytes become upright sRGB pixels, or an error that names the field, the limit and what was found."""

import hashlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import (
    SRGB_COLUMNS,
    chunk,
    encoded,
    exif,
    matrix_profile,
    picture,
    plain_pillow,
    png,
    press_profile,
    rgb,
    segment,
    with_chunks,
    with_orientation,
    with_segments,
)
from PIL import Image, ImageCms, ImageOps

from beholder.errors import InvalidSample
from beholder.inputs.image import MAX_SIDE_PX, Limits, decode, digest
from beholder.types import EncodedImage, RawImage

LIMITS = Limits(max_bytes=1_000_000, max_pixels=100_000)
FIELD = "samples[3].candidate"
SWAPPED = matrix_profile(SRGB_COLUMNS[::-1])
FORMATS = ["JPEG", "PNG", "WEBP"]


def decoded(data: bytes, limits: Limits = LIMITS) -> np.ndarray:
    pixels = decode(EncodedImage(data), limits, FIELD)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    return pixels


def refusal(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(InvalidSample) as caught:
        decode(EncodedImage(data), limits, FIELD)
    assert caught.value.field == FIELD
    return caught.value.message


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("format_", FORMATS)
def test_plain_files_decode_as_pillow_decodes_them(format_: str, mode: str) -> None:
    data = encoded(picture(33, 21).convert(mode), format_)
    assert (decoded(data) == plain_pillow(data)).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 64), (17, 33), (100, 51)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_fast_way_is_bit_equal_to_pillow(subsampling: str, size: tuple[int, int]) -> None:
    for mode in ("RGB", "L"):
        for options in ({}, {"progressive": True}, {"quality": 30}, {"quality": 99}, {"restart_marker_rows": 1}):
            data = encoded(picture(*size).convert(mode), "JPEG", subsampling=subsampling, **options)
            assert (simplejpeg.decode_jpeg(data, "RGB") == plain_pillow(data)).all(), (mode, options)
            assert (decoded(data) == plain_pillow(data)).all(), (mode, options)


@pytest.mark.parametrize("size", [(2, 3), (7, 64), (17, 33), (100, 51)])
@pytest.mark.parametrize("subsampling", ["440", "411"])
def test_the_fast_way_is_bit_equal_for_rare_samplings(subsampling: str, size: tuple[int, int]) -> None:
    data = simplejpeg.encode_jpeg(rgb(picture(*size)).copy(), 75, colorsubsampling=subsampling)
    assert (decoded(data) == plain_pillow(data)).all()


def test_jpegs_that_store_rgb_are_decoded() -> None:
    data = encoded(picture(17, 33), "JPEG", keep_rgb=True, subsampling="4:4:4", quality=95)
    assert (decoded(data) == plain_pillow(data)).all()
    assert np.abs(decoded(data).astype(int) - rgb(picture(17, 33))).mean() < 3


def test_the_fast_way_is_bit_equal_on_photographs(shared: Path) -> None:
    photographs = sorted((shared / "data" / "pristine").glob("*/**/*.webp"))[::12]
    if not photographs:
        pytest.skip("the reference data has no photographs")
    for path in photographs:
        with Image.open(path) as image:
            crop = image.convert("RGB").crop((40, 40, 240, 217))
        for quality, subsampling in ((20, "4:2:0"), (75, "4:2:2"), (90, "4:2:0"), (97, "4:4:4")):
            data = encoded(crop, "JPEG", quality=quality, subsampling=subsampling)
            assert (simplejpeg.decode_jpeg(data, "RGB") == plain_pillow(data)).all(), path
            assert (decoded(data) == plain_pillow(data)).all(), path


def test_a_sampling_without_a_name_is_decoded() -> None:
    """Luma three times as wide as chroma, and five flat blocks written by hand: no encoder here makes one."""
    data = encoded(Image.new("RGB", (24, 8), (128, 128, 128)), "JPEG", subsampling="4:4:4")
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    one_table_for_all = bytes((3, 1, 0, 2, 0, 3, 0, 0, 63, 0))
    blocks = int("001010" * 5 + "11", 2).to_bytes(4)
    data = (
        data[: frame + 11] + b"\x31" + data[frame + 12 : scan] + segment(0xDA, one_table_for_all) + blocks + b"\xff\xd9"
    )
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg(data, "RGB")
    assert (decoded(data) == 128).all()


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(format_: str, orientation: int) -> None:
    data = with_orientation(picture(24, 17), format_, orientation)
    with Image.open(io.BytesIO(data)) as image:
        want = rgb(ImageOps.exif_transpose(image))
    assert (decoded(data) == want).all()


def test_orientation_is_undone_after_colours() -> None:
    data = with_orientation(picture(24, 17), "JPEG", 6, icc_profile=SWAPPED)
    lying = decoded(encoded(picture(24, 17), "JPEG", icc_profile=SWAPPED))
    assert (decoded(data) == np.rot90(lying, -1)).all()


@pytest.mark.parametrize("format_", FORMATS)
def test_profiles_are_honoured_in_every_format(format_: str) -> None:
    data = encoded(picture(24, 17), format_, icc_profile=SWAPPED, quality=95)
    plain = plain_pillow(data).astype(int)
    assert np.abs(decoded(data).astype(int) - plain[..., ::-1]).max() < 16
    assert np.abs(decoded(data).astype(int) - plain).max() > 100


@pytest.mark.parametrize("format_", FORMATS)
def test_a_broken_profile_is_as_none(format_: str) -> None:
    data = encoded(picture(24, 17), format_, icc_profile=b"not a profile at all")
    assert (decoded(data) == plain_pillow(data)).all()


def test_an_srgb_profile_costs_no_bit() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(picture(24, 17), "JPEG", icc_profile=profile)
    assert (decoded(data) == plain_pillow(data)).all()


def test_inks_become_colours() -> None:
    image = picture(24, 17)
    data = encoded(image.convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert (decoded(data) == plain_pillow(data)).all()
    assert np.abs(decoded(data).astype(int) - rgb(image)).mean() < 8  # and not their negative
    pressed = decoded(encoded(image.convert("CMYK"), "JPEG", quality=100, icc_profile=press_profile()))
    assert np.ptp(pressed.astype(int), axis=-1).max() <= 1


def test_inks_in_ycck_become_colours() -> None:
    """simplejpeg's encoder writes four channels as YCCK, with Adobe's marker and inverted as Adobe does."""
    inks = 255 - np.asarray(picture(24, 17).convert("CMYK"))
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(inks), 100, "CMYK", "444")
    assert data[data.index(b"Adobe") + 11] == 2
    assert (decoded(data) == plain_pillow(data)).all()
    assert np.abs(decoded(data).astype(int) - rgb(picture(24, 17))).mean() < 8


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_is_laid_over_white(mode: str) -> None:
    image = picture(24, 17)
    image.putalpha(Image.fromarray(np.arange(24 * 17, dtype=np.uint8).reshape(17, 24)))
    image = image.convert(mode if mode != "PA" else "RGBA")
    image = image.quantize(200) if mode == "PA" else image
    data = encoded(image, "PNG")
    see_through = np.asarray(image.convert("RGBA")).astype(float)
    want = (see_through[..., :3] * see_through[..., 3:] + 255.0 * (255 - see_through[..., 3:])) / 255
    assert np.abs(decoded(data) - want).max() <= 0.5


def test_transparent_webp_is_laid_over_white() -> None:
    image = picture(24, 17)
    image.putalpha(0)
    assert (decoded(encoded(image, "WEBP", lossless=True)) == 255).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_greys_of_few_bits_are_scaled(bits: int) -> None:
    levels = [0, 2**bits - 1, 1, 0][: 8 // bits] if bits < 8 else [0, 255, 1]
    row = int("".join(f"{level:0{bits}b}" for level in levels), 2) << (-len(levels) * bits % 8)
    data = png(len(levels), 1, bits, 0, [row.to_bytes((len(levels) * bits + 7) // 8)])
    assert decoded(data)[0, :, 0].tolist() == [level * 255 // (2**bits - 1) for level in levels]


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_white_at_every_depth(bits: int) -> None:
    levels = [0, 1] * 4
    key = 1 if bits < 16 else 256
    levels = [level * key for level in levels]
    row = int("".join(f"{level:0{bits}b}" for level in levels), 2).to_bytes(bits)
    got = decoded(png(8, 1, bits, 0, [row], chunk(b"tRNS", struct.pack(">H", key))))
    assert (got == np.array([0, 255] * 4)[None, :, None]).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_is_white_at_every_depth(bits: int) -> None:
    scale = 257 if bits == 16 else 1
    colours = [(10 * scale, 20 * scale, 30 * scale), (40 * scale, 50 * scale, 60 * scale)]
    code = ">3H" if bits == 16 else ">3B"
    row = b"".join(struct.pack(code, *colour) for colour in colours)
    got = decoded(png(2, 1, bits, 2, [row], chunk(b"tRNS", struct.pack(">3H", *colours[0]))))
    assert got.tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize(("colour_type", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_become_eight_alike_in_every_colour_type(colour_type: int, samples: int) -> None:
    levels = [0, 1, 255, 256, 257, 32_896, 65_279, 65_534, 65_535]
    opaque = [65_535] if samples in (2, 4) else []
    row = b"".join(struct.pack(f">{samples}H", *[level] * (samples - len(opaque)), *opaque) for level in levels)
    got = decoded(png(len(levels), 1, 16, colour_type, [row]))
    assert (got == np.array(levels)[None, :, None] >> 8).all()
    assert np.abs(got[0, :, 0] - np.array(levels) / 257).max() < 1


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_animations_are_refused(format_: str) -> None:
    frames = [picture(8, 8, seed) for seed in range(3)]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], duration=40)
    assert refusal(data) == f"image is an animated {format_}; only still images are scored"


def test_of_several_pictures_in_a_jpeg_the_first_is_decoded() -> None:
    first, second = picture(24, 17, 1), picture(12, 12, 2)
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert (decoded(data) == plain_pillow(encoded(first, "JPEG"))).all()


def test_other_formats_are_refused_by_content() -> None:
    assert refusal(encoded(picture(8, 8), "GIF")) == (
        r"image is not a JPEG, PNG or WebP file: it starts with b'GIF87a\x08\x00'"
    )
    for format_ in ("BMP", "TIFF", "ICO", "PPM", "JPEG2000"):
        assert "image is not a JPEG, PNG or WebP file" in refusal(encoded(picture(16, 16), format_))


def test_an_empty_image_is_refused() -> None:
    assert refusal(b"") == "image is empty: the file has 0 bytes"


def test_bytes_are_limited() -> None:
    data = encoded(picture(24, 17), "PNG")
    assert decoded(data, Limits(len(data), 24 * 17)).shape == (17, 24, 3)
    found = refusal(data, Limits(len(data) - 1, 24 * 17))
    assert found == f"image has {len(data):,} bytes; the limit is {len(data) - 1:,}"


def test_pixels_are_limited() -> None:
    data = encoded(picture(400, 250), "PNG")
    assert decoded(data, Limits(10**6, 100_000)).shape == (250, 400, 3)
    assert refusal(data, Limits(10**6, 99_999)) == "image is 400x250 = 0.1 megapixels; the limit is 0.099999"


@pytest.mark.parametrize("format_", FORMATS)
def test_pixels_are_counted_before_anything_is_decoded(format_: str) -> None:
    """None of these files has the pixels that it claims: a decoder would have said so."""
    data = encoded(picture(16, 16), format_, **({"exif": exif(1)} if format_ == "WEBP" else {}))
    if format_ == "JPEG":
        frame = data.index(b"\xff\xc0") + 5
        data = data[:frame] + struct.pack(">HH", 9000, 9000) + data[frame + 4 :]
    elif format_ == "PNG":
        data = png(9000, 9000, 8, 2, [])
    else:
        data = data[:24] + (8999).to_bytes(3, "little") * 2 + data[30:]
    assert refusal(data, Limits(10**6, 40_000_000)) == "image is 9000x9000 = 81 megapixels; the limit is 40"


def test_a_side_is_limited_whatever_the_pixels() -> None:
    wide = png(MAX_SIDE_PX + 1, 1, 1, 0, [bytes(8192)])
    assert refusal(wide) == "image is 65536x1; the limit of a side is 65535 pixels"
    assert decoded(png(MAX_SIDE_PX, 1, 1, 0, [bytes(8192)])).shape == (1, MAX_SIDE_PX, 3)


def test_a_side_of_nothing_is_refused() -> None:
    assert refusal(png(0, 4, 8, 0, [])) == "image is 0x4; each side must have at least 1 pixel"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_cut_off_jpeg_is_refused_wherever_it_ends(mode: str, progressive: bool) -> None:
    data = encoded(picture(40, 30).convert(mode), "JPEG", progressive=progressive)
    for end in range(1, len(data) - 1, 7):
        assert refusal(data[:end])
    found = refusal(data[:-2])
    assert "Premature end of JPEG file" in found or "image file is truncated" in found


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_a_cut_off_png_or_webp_is_refused_wherever_it_ends(format_: str) -> None:
    data = encoded(picture(40, 30), format_)
    for end in range(1, len(data) - 12, 7):
        assert refusal(data[:end])


def test_junk_that_pillow_forgives_is_forgiven() -> None:
    """Some cameras leave bytes between segments; strict decoders call it a corrupt file."""
    data = encoded(picture(40, 30), "JPEG")
    scan = data.index(b"\xff\xda")
    with_junk = data[:scan] + b"junk" + data[scan:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(with_junk, "RGB")
    assert (decoded(with_junk) == plain_pillow(data)).all()
    assert (decoded(data + b"a video, perhaps") == plain_pillow(data)).all()


def test_a_header_that_lies_about_the_size_is_refused() -> None:
    for mode in ("RGB", "L", "CMYK"):
        data = encoded(picture(16, 16).convert(mode), "JPEG", subsampling="4:4:4")
        frame = data.index(b"\xff\xc0") + 5
        taller = data[:frame] + struct.pack(">HH", 160, 160) + data[frame + 4 :]
        assert refusal(taller) == "image can't be decoded as JPEG: Corrupt JPEG data: premature end of data segment"
    assert "the header asks for 1,683 bytes of pixels, the data has 272" in refusal(png(16, 99, 8, 0, [bytes(16)] * 16))
    webp = encoded(picture(16, 16), "WEBP", exif=exif(1))
    assert "image can't be decoded as WEBP" in refusal(webp[:24] + (99).to_bytes(3, "little") * 2 + webp[30:])


def test_a_second_frame_header_gets_no_room() -> None:
    """The first size is counted, allocated and decoded; a decoder that followed the second would be stopped."""
    data = encoded(picture(16, 16), "JPEG")
    frame = data.index(b"\xff\xc0")
    huge = segment(0xC0, struct.pack(">BHHB", 8, 9000, 9000, 3) + data[frame + 10 : frame + 19])
    assert "9000x9000 = 81 megapixels" in refusal(data[: frame + 19] + huge + data[frame + 19 :])
    assert "image can't be decoded as JPEG" in refusal(data[:frame] + huge + data[frame:])


def test_metadata_that_would_break_a_decoder_is_never_parsed() -> None:
    tags = b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + struct.pack("<HHII", 700, 7, 2**31, 8) * 5000
    jpeg, flat = encoded(picture(16, 16), "JPEG"), encoded(picture(16, 16), "PNG")
    blocks = [
        segment(0xE1, b"Exif\0\0" + tags),
        segment(0xE2, b"MPF\0junk"),
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM"),
    ]
    assert (decoded(with_segments(jpeg, *blocks)) == plain_pillow(jpeg)).all()
    assert (decoded(with_chunks(flat, chunk(b"eXIf", tags), chunk(b"zTXt", b"!"))) == plain_pillow(flat)).all()


def test_raw_pixels_are_returned_as_they_are() -> None:
    pixels = rgb(picture(8, 6)).copy()
    assert decode(RawImage(pixels), LIMITS, FIELD) is pixels
    turned = pixels.swapaxes(0, 1)
    assert decode(RawImage(turned), LIMITS, FIELD).flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((4, 4), "uint8", "image has raw pixels of uint8 (4, 4); want uint8 (height, width, 3)"),
        ((4, 4, 4), "uint8", "image has raw pixels of uint8 (4, 4, 4); want uint8 (height, width, 3)"),
        ((4, 4, 3), "float32", "image has raw pixels of float32 (4, 4, 3); want uint8 (height, width, 3)"),
        ((0, 4, 3), "uint8", "image is 4x0; each side must have at least 1 pixel"),
        ((1, 65_536, 3), "uint8", "image is 65536x1; the limit of a side is 65535 pixels"),
        ((400, 251, 3), "uint8", "image is 251x400 = 0.1004 megapixels; the limit is 0.1"),
    ],
)
def test_raw_pixels_are_checked(shape: tuple[int, ...], dtype: str, message: str) -> None:
    with pytest.raises(InvalidSample) as caught:
        decode(RawImage(np.zeros(shape, dtype)), LIMITS, FIELD)
    assert (caught.value.message, caught.value.field) == (message, FIELD)


def test_digests_tell_images_apart() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    images = [
        EncodedImage(b"one"),
        EncodedImage(b"two"),
        EncodedImage(pixels.tobytes()),
        RawImage(pixels),
        RawImage(pixels.reshape(4, 2, 3)),
        RawImage(pixels + 1),
    ]
    digests = [digest(image) for image in images]
    assert len(set(digests)) == len(images)
    assert digests[0] == hashlib.sha256(b"one").digest(), "as sha256sum tells it"
    assert digest(RawImage(np.asfortranarray(pixels))) == digest(RawImage(pixels))


VALID = [
    encoded(picture(24, 17), "JPEG"),
    encoded(picture(24, 17), "JPEG", progressive=True, icc_profile=SWAPPED),
    encoded(picture(24, 17).convert("CMYK"), "JPEG"),
    with_orientation(picture(24, 17), "PNG", 6, icc_profile=SWAPPED),
    encoded(picture(24, 17).quantize(16), "PNG"),
    with_orientation(picture(24, 17), "WEBP", 6, icc_profile=SWAPPED),
    encoded(picture(24, 17), "WEBP", lossless=True),
]
MAGICS = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\0\0\0WEBPVP8 "]


def _survives(data: bytes) -> None:
    try:
        height, width, channels = decoded(data).shape
    except InvalidSample:
        pass
    else:
        assert channels == 3
        assert height * width <= LIMITS.max_pixels


@settings(max_examples=100, deadline=5000)
@given(st.sampled_from(MAGICS), st.binary(max_size=300))
def test_no_bytes_do_worse_than_an_invalid_sample(magic: bytes, noise: bytes) -> None:
    _survives(magic + noise)


@settings(max_examples=250, deadline=5000)
@given(st.sampled_from(VALID), st.data())
def test_no_damage_does_worse_than_an_invalid_sample(valid: bytes, data: st.DataObject) -> None:
    damaged = bytearray(valid)
    at = st.integers(0, len(valid) - 1)
    for position, value in data.draw(st.lists(st.tuples(at, st.integers(0, 255)), max_size=6)):
        damaged[position] = value
    _survives(bytes(damaged[: data.draw(at) + 1] if data.draw(st.booleans()) else damaged))
