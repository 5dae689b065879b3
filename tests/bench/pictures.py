"""JPEGs of a stated size to measure with, cut from the pictures of a folder."""

import io
from pathlib import Path

from PIL import Image

SUFFIXES = {".png", ".jpg", ".webp"}


def jpegs(folder: Path, side_px: int, count: int, quality: int = 90) -> list[bytes]:
    """Return `count` square JPEGs (4:2:0): the middle of each picture, resized; round and round if there are fewer."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    return [_jpeg(paths[index % len(paths)], side_px, quality) for index in range(count)]


def _jpeg(path: Path, side_px: int, quality: int) -> bytes:
    with Image.open(path) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.convert("RGB").resize((side_px, side_px), box=(left, top, left + side, top + side))
    output = io.BytesIO()
    square.save(output, "JPEG", quality=quality)
    return output.getvalue()
