"""How small a JPEG may be decoded: libjpeg leaves out what a resize would throw away."""

import itertools
from collections.abc import Sequence

from beholder.errors import ConfigError
from beholder.inputs.letterbox import fitted
from beholder.inputs.steps import CropSquare, DecodeSmall, Letterbox, Resize, Step, size_after

WHOLE = 8
"""Eighths. Only halves of it are used: libjpeg-turbo has no quick way to the sizes between."""


def wants_small(steps: Sequence[Step]) -> bool:
    """Tell whether a JPEG may be decoded small for these steps."""
    return bool(steps) and isinstance(steps[0], DecodeSmall)


def check_small(steps: Sequence[Step]) -> None:
    """Check that `decode_small` stands where it can be done.

    Raises:
        ConfigError: it isn't the first step, or the size to resize to isn't known beforehand.
    """
    if any(isinstance(step, DecodeSmall) for step in steps[1:]):
        raise ConfigError("steps: decode_small comes first: later steps have pixels")
    if wants_small(steps) and not _resized(steps):
        raise ConfigError(
            "steps[0] (decode_small): want resize or letterbox next, with nothing but crop_square between"
        )


def eighths(steps: Sequence[Step], size_px: tuple[int, int]) -> int:
    """Return at how many eighths of its size a JPEG is decoded for these steps: 1, 2, 4, or all 8.

    Args:
        size_px: (height, width) of the whole image, upright.
    """
    first, resized = steps[0] if steps else None, _resized(steps)
    if not isinstance(first, DecodeSmall) or not resized:
        return WHOLE
    whole = _cropped(steps, size_px)
    wanted = resized.size_px if isinstance(resized, Resize) else fitted(*whole, resized.size_px)
    for part in (1, 2, 4):
        small = _cropped(steps, scaled(size_px, part))
        if all(side >= first.room * want for side, want in zip(small, wanted, strict=True)):
            return part
    return WHOLE


def scaled(size_px: tuple[int, int], part: int) -> tuple[int, int]:
    """Return the (height, width) of a JPEG that is decoded at so many eighths; libjpeg rounds up."""
    return -(-size_px[0] * part // WHOLE), -(-size_px[1] * part // WHOLE)


def _resized(steps: Sequence[Step]) -> Resize | Letterbox | None:
    """Return the step that resizes to a known size, where nothing but squares is cut before it."""
    step = next((step for step in steps if not isinstance(step, DecodeSmall | CropSquare)), None)
    return step if isinstance(step, Resize | Letterbox) else None


def _cropped(steps: Sequence[Step], size_px: tuple[int, int]) -> tuple[int, int]:
    for step in itertools.takewhile(lambda step: isinstance(step, DecodeSmall | CropSquare), steps):
        size_px = size_after(step, size_px) or size_px
    return size_px
