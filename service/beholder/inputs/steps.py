"""The steps between decoded pixels and a graph's input: the words that `scorer.toml` may use in `[image] steps`.

A step is a frozen value: equal steps give equal pixels, so that scorers with the same steps share the work. Steps that
resize may say `fast = true`: several times as fast, a level off here and there, by a library of its own.
"""

import difflib
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from beholder.errors import ConfigError, InvalidSample
from beholder.inputs.fast import check_fast
from beholder.inputs.letterbox import letterbox
from beholder.inputs.resize import FILTERS, MAX_SIDE_PX, resize
from beholder.types import U8

MAX_ASPECT = 64
"""The most that the longer side may exceed the shorter where a step keeps the aspect: a sliver would explode."""

Size = tuple[int, int] | None
"""(height, width) in pixels; None where it depends on the image."""


@dataclass(frozen=True)
class DecodeSmall:
    """Decode a JPEG at a half, a quarter or an eighth where it stays `room` times as large as the next resize needs.

    It saves the time of what would be thrown away, and is not what decoding and resizing give: scores move. Other
    images are decoded whole. The first step, or none.
    """

    room: float = 2.0

    def __post_init__(self) -> None:
        _check_number("room", self.room, float, 1.0, 8.0)


@dataclass(frozen=True)
class Resize:
    """Stretch to a size, with Pillow's antialiased filter."""

    size_px: tuple[int, int]
    filter: str
    fast: bool = False

    def __post_init__(self) -> None:
        _check_size(self.size_px)
        _check_filter(self.filter, self.fast)


@dataclass(frozen=True)
class ResizeShorter:
    """Bring the shorter side to a length; the longer keeps the aspect, rounded down as torchvision does."""

    side_px: int
    filter: str
    fast: bool = False

    def __post_init__(self) -> None:
        _check_number("side_px", self.side_px, int, 1, MAX_SIDE_PX)
        _check_filter(self.filter, self.fast)


@dataclass(frozen=True)
class Shrink:
    """Bring an image of more than so many megapixels down to them; the aspect is kept, sides are rounded down."""

    max_mpx: float
    filter: str
    fast: bool = False

    def __post_init__(self) -> None:
        _check_number("max_mpx", self.max_mpx, float, 0.01, 1000.0)
        _check_filter(self.filter, self.fast)


@dataclass(frozen=True)
class Crop:
    """Cut the middle out."""

    size_px: tuple[int, int]

    def __post_init__(self) -> None:
        _check_size(self.size_px)


@dataclass(frozen=True)
class CropSquare:
    """Cut the middle square out; its side is this part of the image's shorter side."""

    ratio: float

    def __post_init__(self) -> None:
        _check_number("ratio", self.ratio, float, 0.01, 1.0)


@dataclass(frozen=True)
class Jpeg:
    """Encode as JPEG, 4:2:0 with Pillow's defaults, and decode again, for scorers trained on what that leaves."""

    quality: int = 75

    def __post_init__(self) -> None:
        _check_number("quality", self.quality, int, 1, 100)


@dataclass(frozen=True)
class Letterbox:
    """Fit inside a frame, centred on the image's own blurred self or on a colour."""

    size_px: tuple[int, int]
    filter: str
    background: str = "blur"
    blur_sigma: float = 10.0
    fast: bool = False

    def __post_init__(self) -> None:
        _check_size(self.size_px)
        _check_filter(self.filter, self.fast)
        if not isinstance(self.background, str) or not re.fullmatch("blur|#[0-9a-fA-F]{6}", self.background):
            raise ConfigError(f"background: want blur or #rrggbb, got {self.background!r}")
        _check_number("blur_sigma", self.blur_sigma, float, 0.1, 100.0)


Step = DecodeSmall | Resize | ResizeShorter | Shrink | Crop | CropSquare | Jpeg | Letterbox

OPS: Mapping[str, type[Step]] = {
    "decode_small": DecodeSmall,
    "resize": Resize,
    "resize_shorter": ResizeShorter,
    "shrink": Shrink,
    "crop": Crop,
    "crop_square": CropSquare,
    "jpeg": Jpeg,
    "letterbox": Letterbox,
}


def parse_steps(tables: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Read the steps of a `scorer.toml`.

    Raises:
        ConfigError: names the step, the key, what is wanted and what was found, and the nearest name that exists.
    """
    return tuple(_parse(table, f"steps[{index}]") for index, table in enumerate(tables))


def apply(steps: Iterable[Step], pixels: U8) -> U8:
    """Prepare one image.

    Args:
        steps: in order; none returns the image as it is.
        pixels: shape (H, W, 3), sRGB. Not modified.

    Returns:
        C-contiguous, of the size that `output_size` tells.

    Raises:
        InvalidSample: the image is smaller than a crop, or a sliver; the field is left to the caller.
    """
    for step in steps:
        pixels = _apply(step, pixels)
    return np.ascontiguousarray(pixels)


def output_size(steps: Iterable[Step]) -> Size:
    """Return the (height, width) that every image leaves the steps with; None where it depends on the image."""
    size_px: Size = None
    for step in steps:
        size_px = size_after(step, size_px)
    return size_px


def _apply(step: Step, pixels: U8) -> U8:
    before = pixels.shape[0], pixels.shape[1]
    match step:
        case DecodeSmall():
            return pixels
        case Letterbox():
            return letterbox(pixels, step.size_px, step.filter, step.background, step.blur_sigma, fast=step.fast)
        case Jpeg():
            return _through_jpeg(pixels, step.quality)
        case ResizeShorter() | Shrink() if max(before) > MAX_ASPECT * min(before):
            raise InvalidSample(f"image is {before[1]}x{before[0]}; the limit of its aspect is {MAX_ASPECT}:1")
    after = size_after(step, before) or before
    if isinstance(step, Crop | CropSquare):
        return _centre(pixels, after)
    return resize(pixels, after, step.filter, fast=step.fast)


def size_after(step: Step, before: Size) -> Size:
    """Return the (height, width) that an image of a size leaves one step with; None where it depends on the image."""
    match step:
        case Resize() | Crop() | Letterbox():
            return step.size_px
        case ResizeShorter() if before:
            height, width = before
            return step.side_px * height // min(before), step.side_px * width // min(before)
        case Shrink() if before and before[0] * before[1] > step.max_mpx * 1e6:
            scale = math.sqrt(step.max_mpx * 1e6 / (before[0] * before[1]))
            return max(1, int(before[0] * scale)), max(1, int(before[1] * scale))
        case CropSquare() if before:
            return (max(1, int(step.ratio * min(before))),) * 2
    return before


def _through_jpeg(pixels: U8, quality: int) -> U8:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    decoded: U8 = simplejpeg.decode_jpeg(file.getvalue(), "RGB")
    return decoded


def _centre(pixels: U8, size_px: tuple[int, int]) -> U8:
    (height, width), (wanted_height, wanted_width) = pixels.shape[:2], size_px
    top, left = (height - wanted_height) // 2, (width - wanted_width) // 2
    if top < 0 or left < 0:
        raise InvalidSample(f"image is {width}x{height}; at least {wanted_width}x{wanted_height} is needed")
    return pixels[top : top + wanted_height, left : left + wanted_width]


def _parse(table: Mapping[str, Any], where: str) -> Step:
    try:
        op = table.get("op")
        _check_choice("op", op, OPS)
        where = f"{where} ({op})"
        kind: Any = OPS[str(op)]
        keys = {spec.name: spec for spec in fields(kind)}
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        del values["op"]
        for key in values:
            _check_choice("key", key, keys)
        for key, spec in keys.items():
            if key not in values and spec.default is MISSING:
                raise ConfigError(f"{key} is missing")
        step: Step = kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}") from None
    return step


def _check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    choices = list(choices)
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{name}: want one of {', '.join(choices)}, got {value!r}{hint}")


def _check_filter(filter_: object, fast: object) -> None:
    _check_choice("filter", filter_, FILTERS)
    if not isinstance(fast, bool):
        raise ConfigError(f"fast: want true or false, got {fast!r}")
    if fast:
        check_fast(str(filter_))


def _check_size(size_px: object) -> None:
    if not isinstance(size_px, tuple) or len(size_px) != 2:
        raise ConfigError(f"size_px: want [height, width], got {size_px!r}")
    for side in size_px:
        _check_number("size_px", side, int, 1, MAX_SIDE_PX)


def _check_number(name: str, value: object, kind: type[int] | type[float], low: float, high: float) -> None:
    is_number = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator] # is_number says so
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}: want {wanted} from {low:g} to {high:g}, got {value!r}")
