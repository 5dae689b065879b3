"""What an image file says of itself, read without decoding a pixel.

Reading takes time in proportion to the file, never to what the file claims, so it comes before the pixel limit.
Codecs are given `Header.bare`, the file without its metadata: none of them ever parses EXIF, XMP or text. Orientation
is EXIF's and colour is the ICC profile's alone; XMP's orientation and PNG's gamma and chromaticities say nothing here.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_PARTS = 65_536
"""Segments or chunks in one file: millions of empty ones would hold a decoder for seconds."""

MAX_SCANS = 32
"""Scans in one JPEG: encoders write ten or so, and each costs a pass over the whole image."""

MAX_PROFILE_BYTES = 2**22
"""An unpacked colour profile; the largest in use, for presses, have about 3 MB."""

_JPEG_MAGIC, PNG_MAGIC, _RIFF_MAGIC = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not a stuffed or fill byte, nor a restart
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those three are DHT, JPG and DAC
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_BARE_MARKERS = frozenset({0x01, 0xD8})
_COLOUR_MARKERS = frozenset({0xE0, 0xEE})  # JFIF and Adobe say how the channels encode colour
_METADATA_MARKERS = frozenset({*range(0xE0, 0xF0), 0xFE}) - _COLOUR_MARKERS
_SCAN, _END = 0xDA, 0xD9


@dataclass
class Header:
    """What a file says of itself.

    Attributes:
        format: JPEG, PNG or WEBP.
        channels: of a JPEG; 0 for the others.
        bits: of one sample of a PNG; 8 for the others.
        orientation: EXIF's, 1 (upright) to 8.
        profile: the embedded ICC profile; empty where there is none, or its parts don't fit together.
        bare: the file without metadata; of a WebP all of it, since its codec reads none.
    """

    format: str
    width_px: int = 0
    height_px: int = 0
    channels: int = 0
    bits: int = 8
    orientation: int = 1
    is_animated: bool = False
    profile: bytes = field(default=b"", repr=False)
    bare: bytes = field(default=b"", repr=False)


def read_header(data: bytes) -> Header:
    """Read the header of a JPEG, PNG or WebP file, told apart by content.

    Raises:
        ValueError: another format, or a structure that can't be followed; the message goes on from "image ".
    """
    try:
        if data.startswith(_JPEG_MAGIC):
            return _read_jpeg(data)
        if data.startswith(PNG_MAGIC):
            return _read_png(data)
        if data.startswith(_RIFF_MAGIC) and data[8:12] == b"WEBP":
            return _read_webp(data)
    except (struct.error, IndexError) as error:
        raise ValueError(f"is cut off in its header: the file has {len(data):,} bytes") from error
    raise ValueError(f"is not a JPEG, PNG or WebP file: it starts with {data[:8]!r}")


def _read_jpeg(data: bytes) -> Header:
    header = Header("JPEG")
    kept, icc, scans, is_progressive = [data[:2]], [], 0, False
    for marker, start, end in _jpeg_segments(data):
        if marker == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise ValueError(f"has more than {MAX_SCANS} JPEG scans")
            if scans == 1:
                kept.append(data[start:])
                if not is_progressive and data[start + 4] >= header.channels:
                    break  # the only scan that a decoder will read
        if scans:
            continue
        payload = data[start + 4 : end]
        if marker in _FRAMES:
            header.height_px, header.width_px, header.channels = struct.unpack_from(">xHHB", payload)
            is_progressive = marker in _PROGRESSIVE
        elif payload.startswith(b"Exif\0\0") and header.orientation == 1:
            header.orientation = read_orientation(payload)
        elif payload.startswith(b"ICC_PROFILE\0"):
            icc.append(payload[12:])
        if marker not in _METADATA_MARKERS:
            kept.append(data[start:end])
    if not scans:
        raise ValueError("is a JPEG without image data")
    header.profile = _join_profile(icc)
    header.bare = b"".join(kept)
    return header


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment; what lies between, junk or coded pixels, is skipped."""
    end = 2
    for _ in range(MAX_PARTS):
        found = _JPEG_MARKER.search(data, end)
        if found is None or (marker := data[found.end() - 1]) == _END:
            return
        start, end = found.span()
        if marker in _BARE_MARKERS:
            continue
        (length,) = struct.unpack_from(">H", data, end)
        end += length
        if length < 2 or end > len(data):
            raise ValueError(f"is cut off or broken: a JPEG segment ends at byte {end:,}, the file at {len(data):,}")
        yield marker, start, end
    raise ValueError(f"has more than {MAX_PARTS:,} JPEG segments")


def _join_profile(parts: list[bytes]) -> bytes:
    """Join the parts of a profile, each led by its number and the count of parts."""
    parts.sort()
    count = len(parts)
    if count > 255 or any(part[:2] != bytes((number, count)) for number, part in enumerate(parts, start=1)):
        return b""
    return _bounded(b"".join(part[2:] for part in parts))


def _bounded(profile: bytes) -> bytes:
    return profile if len(profile) <= MAX_PROFILE_BYTES else b""


def _read_png(data: bytes) -> Header:
    header = Header("PNG")
    kept = [PNG_MAGIC]
    for name, start, stop in chunks(data, len(PNG_MAGIC), is_png=True):
        if name == b"IHDR":
            header.width_px, header.height_px, header.bits = struct.unpack_from(">IIB", data, start)
        elif name == b"acTL":
            header.is_animated = struct.unpack_from(">I", data, start)[0] > 1
        elif name == b"iCCP":
            header.profile = _inflate_profile(data[start:stop])
        elif name == b"eXIf":
            header.orientation = read_orientation(data[start:stop])
        if name in _PNG_KEPT:
            kept.append(data[start - 8 : stop + 4])
        if name == b"IEND":
            break
    header.bare = b"".join(kept)
    return header


def _inflate_profile(payload: bytes) -> bytes:
    """Unpack an iCCP chunk: a name, a zero, a method, then zlib data."""
    packed = payload.partition(b"\0")[2][1:]
    try:
        return _bounded(zlib.decompressobj().decompress(packed, MAX_PROFILE_BYTES + 1))
    except zlib.error:
        return b""


def _read_webp(data: bytes) -> Header:
    header = Header("WEBP", bare=data)
    (size,) = struct.unpack_from("<I", data, 4)
    for name, start, stop in chunks(data[: 8 + size], 12, is_png=False):
        if name == b"VP8X":
            header.is_animated = bool(data[start] & 0x02)
            header.width_px = int.from_bytes(data[start + 4 : start + 7], "little") + 1
            header.height_px = int.from_bytes(data[start + 7 : start + 10], "little") + 1
        elif name == b"VP8 " and not header.width_px:
            header.width_px, header.height_px = (side & 0x3FFF for side in struct.unpack_from("<HH", data, start + 6))
        elif name == b"VP8L" and not header.width_px:
            (sides,) = struct.unpack_from("<I", data, start + 1)
            header.width_px, header.height_px = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
        elif name == b"ICCP":
            header.profile = _bounded(data[start:stop])
        elif name == b"EXIF":
            header.orientation = read_orientation(data[start:stop])
    return header


def chunks(data: bytes, position: int, *, is_png: bool) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, stop) of each payload: PNG leads with the length and ends in a CRC, RIFF pads to even.

    Raises:
        ValueError: a chunk reaches beyond the file, or there are too many.
    """
    for _ in range(MAX_PARTS):
        if position >= len(data):
            return
        start = position + 8
        first, second = data[position : position + 4], data[position + 4 : start]
        name, length = (second, int.from_bytes(first)) if is_png else (first, int.from_bytes(second, "little"))
        stop = start + length
        end = stop + 4 if is_png else stop
        if end > len(data):
            raise ValueError(f"is cut off: its chunk {name!r} ends at byte {end:,}, the file at {len(data):,}")
        yield name, start, stop
        position = end if is_png else end + length % 2
    raise ValueError(f"has more than {MAX_PARTS:,} chunks")


def read_orientation(exif: bytes) -> int:
    """Return EXIF's orientation, 1 to 8; 1 where the block has none or can't be read."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, offset)
        for index in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * index)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
