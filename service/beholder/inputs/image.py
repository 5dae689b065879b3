"""One image, as a caller sent it, becomes sRGB pixels.

The order is the defence: bytes are counted, the header is read and its pixels are counted, and only then does a codec
run. JPEG, PNG and WebP by content, nothing else; whatever a codec says of a broken file becomes an InvalidSample.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image as Pillow
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from beholder.errors import InvalidSample
from beholder.inputs.colour import to_srgb
from beholder.inputs.header import Header, read_header
from beholder.inputs.png import check_parts, scale_key
from beholder.inputs.resize import MAX_SIDE_PX
from beholder.inputs.small import eighths, scaled
from beholder.inputs.steps import Step
from beholder.types import U8, EncodedImage, Image, RawImage

_CODECS: dict[str, type[ImageFile]] = {"JPEG": JpegImageFile, "PNG": PngImageFile, "WEBP": WebPImageFile}
_BROKEN_FILE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    ArithmeticError,
    AssertionError,
    TypeError,
    MemoryError,
    struct.error,
    zlib.error,
    Pillow.DecompressionBombError,
)
"""What codecs were seen to raise, or say they raise, at files that are not what they claim."""

_JPEG_MODES = {1: ("GRAY", "L", "L"), 3: ("RGB", "RGB", "RGB"), 4: ("CMYK", "CMYK", "CMYK;I")}
"""Channels -> what to ask of simplejpeg, and what Pillow calls that; inks are inverted, as Adobe stores them."""

_DAMAGE = ("Premature end", "Corrupt JPEG data")
"""How libjpeg's warnings of missing or wrong pixels begin; Pillow doesn't hear them and would fill in grey."""


@dataclass(frozen=True)
class Limits:
    """What one image may cost; the byte limit is for encoded images.

    Attributes:
        max_bytes: of the file.
        max_pixels: width times height.
    """

    max_bytes: int
    max_pixels: int


def decode(image: Image, limits: Limits, field: str, wanted: Sequence[Step] = ()) -> U8:
    """Decode one image: upright (EXIF), in sRGB (ICC), over white (alpha).

    JPEGs come out bit-equal to Pillow's, by a faster way that also notices damage. Animations are refused: a score of
    their first frame would look like a score of all. May run in any thread; codecs release the GIL.

    Args:
        image: not modified. Raw pixels are returned as they are.
        limits: checked before any pixel is decoded.
        field: where the image is in the request, for the error.
        wanted: the steps to come, whose first may ask for a small JPEG.

    Returns:
        Shape (height, width, 3), C-contiguous.

    Raises:
        InvalidSample: too large, of another format, animated, cut off or broken.
    """
    try:
        if isinstance(image, RawImage):
            _check_raw(image.pixels, limits)
            return np.ascontiguousarray(image.pixels)
        if not image.data:
            raise ValueError("is empty: the file has 0 bytes")
        if len(image.data) > limits.max_bytes:
            raise ValueError(f"has {len(image.data):,} bytes; the limit is {limits.max_bytes:,}")
        header = read_header(image.data)
        _check_size(header.height_px, header.width_px, limits)
        if header.is_animated:
            raise ValueError(f"is an animated {header.format}; only still images are scored")
    except ValueError as error:
        raise InvalidSample(f"image {error}", field) from error
    try:
        return _turn_upright(_decode_jpeg(header, wanted) if header.format == "JPEG" else _decode_any(header), header)
    except _BROKEN_FILE as error:
        raise InvalidSample(f"image can't be decoded as {header.format}: {error or repr(error)}", field) from error


def digest(image: Image) -> bytes:
    """Return the SHA-256 that names an image: of the file as sent, or of `raw HxW ` and the raw pixels."""
    if isinstance(image, EncodedImage):
        return hashlib.sha256(image.data).digest()
    height, width = image.pixels.shape[:2]
    named = hashlib.sha256(f"raw {height}x{width} ".encode())
    named.update(np.ascontiguousarray(image.pixels).reshape(-1).data)
    return named.digest()


def encode_png(pixels: U8) -> bytes:
    """Return pixels of shape (H, W, 3) as a PNG file, which loses nothing of them."""
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _check_raw(pixels: U8, limits: Limits) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"has raw pixels of {pixels.dtype} {pixels.shape}; want uint8 (height, width, 3)")
    _check_size(pixels.shape[0], pixels.shape[1], limits)


def _check_size(height_px: int, width_px: int, limits: Limits) -> None:
    size = f"is {width_px}x{height_px}"
    if not height_px or not width_px:
        raise ValueError(f"{size}; each side must have at least 1 pixel")
    if max(height_px, width_px) > MAX_SIDE_PX:
        raise ValueError(f"{size}; the limit of a side is {MAX_SIDE_PX} pixels")
    if (pixels := height_px * width_px) > limits.max_pixels:
        raise ValueError(f"{size} = {pixels / 1e6:.8g} megapixels; the limit is {limits.max_pixels / 1e6:.8g}")


def _decode_jpeg(header: Header, wanted: Sequence[Step]) -> U8:
    """Decode by libjpeg-turbo alone: damage is refused, what else it won't take is Pillow's to judge."""
    if header.channels not in _JPEG_MODES:
        return _decode_any(header)
    colours, mode, raw_mode = _JPEG_MODES[header.channels]
    height, width = _decoded_px(header, wanted)
    room = np.empty((height, width, header.channels), np.uint8)  # a file that lies gets no more
    least = {} if height == header.height_px else {"min_height": height, "min_width": width}
    try:
        pixels: U8 = simplejpeg.decode_jpeg(header.bare, colours, buffer=room, **least)
    except ValueError as error:
        if str(error).startswith(_DAMAGE) and "extraneous" not in str(error):
            raise
        return _decode_any(header)
    if pixels.shape[:2] != (height, width):
        _check_decoded(pixels.shape[0], pixels.shape[1], header)
    if mode == "RGB" and not header.profile:
        return pixels
    image = Pillow.frombuffer(mode, (width, height), pixels, "raw", raw_mode, 0, 1)
    return np.asarray(to_srgb(image, header.profile))


def _decoded_px(header: Header, wanted: Sequence[Step]) -> tuple[int, int]:
    """Return the (height, width) to decode a JPEG at; it lies as it was stored, the steps see it upright."""
    size_px = header.height_px, header.width_px
    return scaled(size_px, eighths(wanted, size_px[::-1] if header.orientation >= 5 else size_px))


def _decode_any(header: Header) -> U8:
    with _CODECS[header.format](io.BytesIO(header.bare)) as image:
        _check_decoded(image.height, image.width, header)
        image.load()
        if header.format == "PNG":
            check_parts(image, header.bare)
            scale_key(image, header.bits)
        return np.asarray(to_srgb(image, header.profile))


def _check_decoded(height_px: int, width_px: int, header: Header) -> None:
    if (height_px, width_px) != (header.height_px, header.width_px):
        raise ValueError(f"the header says {header.width_px}x{header.height_px}, the data {width_px}x{height_px}")


def _turn_upright(pixels: U8, header: Header) -> U8:
    """Undo EXIF's orientation: 5 to 8 swap the axes, then each pair of fours flips the same ones."""
    if header.orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    flip_rows, flip_columns = ((False, False), (False, True), (True, True), (True, False))[(header.orientation - 1) % 4]
    return np.ascontiguousarray(pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])
