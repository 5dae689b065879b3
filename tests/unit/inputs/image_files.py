"""Image files and colour profiles made by hand, for what no encoder here will write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
D50 = (0.9642, 1.0, 0.8249)
SRGB_COLUMNS = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with some detail: what a photograph is to a codec."""
    coarse = np.random.default_rng(seed).integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def plain_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return rgb(image)


def chunk(name: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png(width: int, height: int, bits: int, colour_type: int, rows: list[bytes], *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return PNG_MAGIC + header + b"".join(chunks) + pixels + chunk(b"IEND")


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """Insert chunks behind a PNG's IHDR."""
    return data[:33] + b"".join(chunks) + data[33:]


def segment(marker: int, payload: bytes = b"") -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Insert segments behind a JPEG's SOI."""
    return data[:2] + b"".join(segments) + data[2:]


def exif(orientation: int, order: str = "<") -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def with_orientation(image: Image.Image, format_: str, orientation: int, **options: object) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return encoded(image, format_, exif=tags.tobytes(), **options)


def icc(space: bytes, connection: bytes, class_: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC v2 profile of some tags; `space` and the others are four-letter signatures."""
    tags = {b"wtpt": _xyz(D50)} | tags
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += value
    white = struct.pack(">3i", *(round(part * 65536) for part in D50))
    head = b"\0" * 4 + b"\x02\x40\0\0" + class_ + space + connection + b"\0" * 12 + b"acsp"
    head = (head + b"\0" * 28 + white).ljust(124, b"\0")
    whole = head + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole) + 4) + whole


def matrix_profile(columns: tuple[tuple[float, ...], ...] = SRGB_COLUMNS, gamma: float = 2.2) -> bytes:
    """An RGB profile; swapping two of sRGB's columns swaps two channels of the picture."""
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {name: _xyz(column) for name, column in zip(names, columns, strict=True)}
    return icc(b"RGB ", b"XYZ ", b"mntr", tags | {name: _gamma(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(gamma: float) -> bytes:
    return icc(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _gamma(gamma)})


def press_profile() -> bytes:
    """A CMYK profile of a press whose inks are all grey, so that every picture comes out grey."""
    ramp = bytes(range(256))
    nodes = b"".join(bytes((round(255 * (1 - ink / 4)), 128, 128)) for ink in (node.bit_count() for node in range(16)))
    identity = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + nodes + ramp * 3
    return icc(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut})


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
