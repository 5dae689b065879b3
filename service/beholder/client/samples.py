"""Images in the forms that callers hold them become samples: a file is read, pixels are taken as they stand.

Nothing is decoded here and no imaging library is imported: a PIL image is known by its `convert` method.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from beholder import types
from beholder.errors import InvalidSample
from beholder.types import U8, EncodedImage, RawImage

T = TypeVar("T")


class PilImage(Protocol):
    """What is used of `PIL.Image.Image`."""

    @property
    def mode(self) -> str:
        """How channels are laid out, such as RGB."""

    @property
    def info(self) -> Mapping[Any, Any]:
        """What the file said beside its pixels."""

    def convert(self, mode: str, /) -> Any:
        """Return a copy in another mode."""


ImageLike = bytes | bytearray | memoryview | str | os.PathLike[str] | NDArray[Any] | PilImage | types.Image
"""A whole JPEG, PNG or WebP file as bytes · the path of one · uint8 pixels of shape (H, W, 3) RGB, (H, W, 4) RGBA
over white or (H, W) grey, in sRGB · a PIL image, taken as it stands: its EXIF orientation and colour profile are not
applied, so send the file itself where it has any."""

EIGHT_BIT_MODES = frozenset(
    ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One thing to judge, as a caller has it: a candidate, and a reference or prompt where a scorer needs it."""

    candidate: ImageLike
    reference: ImageLike | None = None
    prompt: str | None = None


def samples_of(
    candidates: ImageLike | Iterable[ImageLike],
    references: ImageLike | Iterable[ImageLike | None] | None = None,
    prompts: str | Iterable[str | None] | None = None,
) -> list[Sample]:
    """Pair candidates with references and prompts, each one for all or one for each.

    Raises:
        InvalidSample: there are not as many references or prompts as candidates.
    """
    images = images_of(candidates)
    count = len(images)
    refs = _one_for_each("references", references, count, references is None or is_image(references))
    texts = _one_for_each("prompts", prompts, count, prompts is None or isinstance(prompts, str))
    return [Sample(*parts) for parts in zip(images, refs, texts, strict=True)]


def images_of(candidates: ImageLike | Iterable[ImageLike]) -> list[ImageLike]:
    """Return candidates as a list; a lone one is the only one in it."""
    return [candidates] if is_image(candidates) else list(candidates)  # type: ignore[arg-type]  # not an image: many


def is_image(value: object) -> TypeGuard[ImageLike]:
    """Tell one image from many; an array of more than three dimensions is many, an open file is not many lines."""
    if isinstance(value, np.ndarray):
        return value.ndim <= 3
    kinds = (bytes, bytearray, memoryview, str, os.PathLike, EncodedImage, RawImage)
    return isinstance(value, kinds) or hasattr(value, "convert") or hasattr(value, "read")


def read_sample(sample: Sample | types.Sample, field: str) -> types.Sample:
    """Read the images of one sample; `field` is its path in the request.

    Raises:
        InvalidSample: a file can't be read, or pixels have another shape or type than `ImageLike` says.
    """
    reference = None if sample.reference is None else read_image(sample.reference, f"{field}.reference")
    return types.Sample(read_image(sample.candidate, f"{field}.candidate"), reference, sample.prompt)


def offer(sample: Sample | types.Sample | ImageLike, index: int) -> types.Sample | InvalidSample:
    """Read a sample, or a bare candidate, that is the caller's sample `index`; or return why it can't be read."""
    try:
        return read_sample(sample if isinstance(sample, Sample | types.Sample) else Sample(sample), f"samples[{index}]")
    except InvalidSample as error:
        return error


def read_image(image: ImageLike, field: str) -> types.Image:
    """Read one image; `field` is its path in the request.

    Raises:
        InvalidSample: the file can't be read, or the pixels have another shape or type than `ImageLike` says.
    """
    if isinstance(image, EncodedImage | RawImage):
        return image
    if isinstance(image, bytes | bytearray | memoryview):
        return EncodedImage(bytes(image))
    if isinstance(image, np.ndarray):
        return RawImage(_rgb(image, field))
    if isinstance(image, str | os.PathLike):
        try:
            return EncodedImage(Path(image).read_bytes())
        except (OSError, ValueError) as error:  # ValueError: a path with a null character
            raise _invalid(f"can't read {image}: {getattr(error, 'strerror', None) or error}", field) from error
    if hasattr(image, "convert"):
        return RawImage(_rgb_of_pil(image, field))
    raise _invalid(f"want bytes, a path, a uint8 array or a PIL image, got {type(image).__name__}", field)


def _one_for_each(field: str, values: Any, count: int, is_one: bool) -> list[Any]:
    if is_one:
        return [values] * count
    each = list(values)
    if len(each) != count:
        raise _invalid(f"want one, or one for each of {count} candidates, got {len(each)}", field)
    return each


def _rgb_of_pil(image: PilImage, field: str) -> U8:
    if image.mode not in EIGHT_BIT_MODES:
        raise _invalid(f"want a PIL image of 8 bits a channel, got mode {image.mode!r}", field)
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    return _rgb(np.asarray(image.convert("RGBA" if has_alpha else "RGB")), field)


def _rgb(pixels: NDArray[Any], field: str) -> U8:
    if pixels.dtype != np.uint8:
        raise _invalid(f"want uint8 pixels from 0 to 255, got {pixels.dtype}", field)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or not pixels.size:
        found = "x".join(map(str, pixels.shape))
        raise _invalid(f"want pixels of shape HxWx3, HxWx4 or HxW, got {found}", field)
    return np.ascontiguousarray(_over_white(pixels) if pixels.shape[2] == 4 else pixels)


def _over_white(rgba: U8) -> U8:
    alpha = rgba[:, :, 3:].astype(np.uint16)
    blended = (rgba[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return blended.astype(np.uint8)


def _invalid(message: str, field: str) -> InvalidSample:
    return InvalidSample(f"{field.rpartition('.')[2]}: {message}", field)
