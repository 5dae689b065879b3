"""What files say of themselves, and how little it costs to hear it."""

import struct
import zlib

import pytest
from image_files import (
    SRGB_COLUMNS,
    chunk,
    encoded,
    exif,
    matrix_profile,
    picture,
    plain_pillow,
    segment,
    with_chunks,
    with_orientation,
    with_segments,
)

from beholder.inputs.header import MAX_PARTS, MAX_PROFILE_BYTES, MAX_SCANS, read_header, read_orientation

PROFILE = matrix_profile(SRGB_COLUMNS[::-1])
JPEG = encoded(picture(30, 20), "JPEG")
PROGRESSIVE = encoded(picture(30, 20), "JPEG", progressive=True)
PNG = encoded(picture(30, 20), "PNG")


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": exif(3)}),
    ],
)
def test_every_format_tells_its_size(format_: str, options: dict[str, object]) -> None:
    header = read_header(encoded(picture(30, 20), format_, **options))
    assert (header.format, header.width_px, header.height_px) == (format_, 30, 20)
    assert not header.is_animated


@pytest.mark.parametrize("data", [b"", b"GIF89a....", b"BM......", b"II*\0....", b"RIFF....AVI ", b"<svg></svg>"])
def test_another_format_is_refused_by_its_first_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match="is not a JPEG, PNG or WebP file: it starts with") as caught:
        read_header(data)
    assert repr(data[:8]) in str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_in_both_byte_orders(order: str, orientation: int) -> None:
    assert read_orientation(exif(orientation, order)) == orientation
    assert read_orientation(b"Exif\0\0" + exif(orientation, order)) == orientation


@pytest.mark.parametrize("block", [b"", b"II*\0", exif(0), exif(9), exif(6)[:12], b"XX*\0" + exif(6)[4:], b"\xff" * 99])
def test_an_orientation_that_cannot_be_read_is_upright(block: bytes) -> None:
    assert read_orientation(block) == 1


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_every_format_tells_its_orientation_and_profile(format_: str) -> None:
    header = read_header(with_orientation(picture(8, 8), format_, 6, icc_profile=PROFILE))
    assert (header.orientation, header.profile) == (6, PROFILE)


def test_metadata_never_reaches_a_decoder() -> None:
    metadata = [segment(0xE1, b"Exif\0\0" + exif(6)), segment(0xE2, b"MPF\0..."), segment(0xED), segment(0xFE, b"note")]
    assert read_header(with_segments(JPEG, *metadata)).bare == JPEG
    assert read_header(with_chunks(PNG, chunk(b"tEXt", b"a\0b"), chunk(b"eXIf", exif(6)))).bare == PNG


def test_what_lies_between_segments_is_skipped_as_decoders_do() -> None:
    bare = read_header(with_segments(JPEG, segment(0xFE), b"junk\xff\0\xff\xff", segment(0xFE), b"\xff\xff")).bare
    assert (plain_pillow(bare) == plain_pillow(JPEG)).all()


def test_a_profile_is_joined_from_segments_in_any_order() -> None:
    halves = [segment(0xE2, b"ICC_PROFILE\0" + bytes((part, 2)) + PROFILE[at:end]) for part, at, end in _halves()]
    assert read_header(with_segments(JPEG, *reversed(halves))).profile == PROFILE


def test_a_profile_with_a_part_missing_is_no_profile() -> None:
    _, second = _halves()
    part = segment(0xE2, b"ICC_PROFILE\0" + bytes((2, 2)) + PROFILE[second[1] :])
    assert read_header(with_segments(JPEG, part)).profile == b""
    for parts in (1, 300):
        assert read_header(with_segments(JPEG, segment(0xE2, b"ICC_PROFILE\0") * parts)).profile == b""


def test_a_profile_that_unpacks_without_end_is_no_profile() -> None:
    bomb = chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(MAX_PROFILE_BYTES + 1)))
    assert read_header(with_chunks(PNG, bomb)).profile == b""
    assert read_header(with_chunks(PNG, chunk(b"iCCP", b"name\0\0not zlib"))).profile == b""


def test_animations_say_so() -> None:
    frames = [picture(8, 8, seed) for seed in range(3)]
    for format_ in ("PNG", "WEBP"):
        data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], duration=40)
        assert read_header(data).is_animated


def test_an_animation_of_one_frame_is_a_still() -> None:
    assert not read_header(with_chunks(PNG, chunk(b"acTL", struct.pack(">II", 1, 0)))).is_animated


def test_a_progressive_jpeg_has_scans_to_spare() -> None:
    assert PROGRESSIVE.count(b"\xff\xda") < MAX_SCANS / 2
    assert read_header(PROGRESSIVE).bare == PROGRESSIVE


def test_scans_are_limited() -> None:
    """Each of them would cost a pass over the whole image, for a dozen bytes in the file."""
    scan = PROGRESSIVE.rindex(b"\xff\xda")
    with pytest.raises(ValueError, match=f"has more than {MAX_SCANS} JPEG scans"):
        read_header(PROGRESSIVE[:scan] + PROGRESSIVE[scan:-2] * MAX_SCANS + PROGRESSIVE[-2:])


def test_parts_are_limited() -> None:
    with pytest.raises(ValueError, match=f"has more than {MAX_PARTS:,} JPEG segments"):
        read_header(with_segments(JPEG, segment(0xFE) * MAX_PARTS))
    with pytest.raises(ValueError, match=f"has more than {MAX_PARTS:,} chunks"):
        read_header(with_chunks(PNG, chunk(b"tEXt") * MAX_PARTS))


def test_a_cut_off_file_says_where_it_ends() -> None:
    pixels = PNG.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", PNG, pixels)
    with pytest.raises(
        ValueError, match=rf"chunk b'IDAT' ends at byte {pixels + length + 12:,}, the file at {pixels + 9}$"
    ):
        read_header(PNG[: pixels + 9])
    with pytest.raises(ValueError, match="a JPEG segment ends at byte 20, the file at 10"):
        read_header(JPEG[:10])
    with pytest.raises(ValueError, match="is a JPEG without image data"):
        read_header(with_segments(b"\xff\xd8\xff\xd9", segment(0xFE)))
    with pytest.raises(ValueError, match="is cut off in its header: the file has 4 bytes"):
        read_header(JPEG[:4])


def _halves() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    middle = len(PROFILE) // 2
    return (1, 0, middle), (2, middle, len(PROFILE))
