"""What Pillow leaves open about a PNG: whether all its parts are there, and which colour is transparent."""

import struct
import zlib

import numpy as np
from PIL.ImageFile import ImageFile

from beholder.inputs.header import PNG_MAGIC, chunks

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, then the steps to the next, of each pass of an interlaced image."""

_PIECE_BYTES = 2**20


def check_parts(image: ImageFile, data: bytes) -> None:
    """Refuse a PNG without its palette, or with fewer rows than its header says, which Pillow would leave black.

    Rows come in order, and interlaced ones end with every second: where the last two have colour, none is missing.

    Args:
        image: decoded.
        data: the file, of at least IHDR and IDAT.

    Raises:
        ValueError: no palette; or how many bytes of pixels are needed and found.
    """
    if image.mode == "P" and image.palette is None:
        raise ValueError("its colours are in a palette, and there is none")
    last_rows = image.crop((0, max(0, image.height - 2), image.width, image.height))
    if all(row.any() for row in np.asarray(last_rows)):
        return
    needed, found = _needed_bytes(data), _found_bytes(data)
    if found < needed:
        raise ValueError(f"the header asks for {needed:,} bytes of pixels, the data has {found:,}")


def scale_key(image: ImageFile, bits: int) -> None:
    """Bring the transparent colour to 8 bits, as Pillow brings the samples but not this key."""
    key = image.info.get("transparency")
    if isinstance(key, tuple):
        image.info["transparency"] = tuple(level >> (bits - 8) for level in key)
    elif isinstance(key, int) and image.mode in ("L", "I;16"):
        image.info["transparency"] = key >> 8 if bits == 16 else key * 255 // (2**bits - 1)


def _needed_bytes(data: bytes) -> int:
    width, height, bits, colour_type, _, _, interlace = struct.unpack_from(">IIBBBBB", data, len(PNG_MAGIC) + 8)
    bits_per_pixel, needed = bits * _SAMPLES[colour_type], 0
    for left, top, right, down in _ADAM7 if interlace else _WHOLE:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0:
            needed += max(0, rows) * (1 + -(-columns * bits_per_pixel // 8))
    return needed


def _found_bytes(data: bytes) -> int:
    packed = b"".join(
        data[start:stop] for name, start, stop in chunks(data, len(PNG_MAGIC), is_png=True) if name == b"IDAT"
    )
    inflater, found = zlib.decompressobj(), 0
    while piece := inflater.decompress(packed, _PIECE_BYTES):
        found += len(piece)
        packed = inflater.unconsumed_tail
    return found
