"""The table `[image]` of a `scorer.toml`: how each image becomes a tensor, and which are accepted."""

import math
from dataclasses import dataclass
from pathlib import Path

from beholder.errors import ConfigError
from beholder.inputs.small import check_small, wants_small
from beholder.inputs.steps import Step, parse_steps
from beholder.scoring.strips import Strips, read_strips
from beholder.scoring.table import Table


@dataclass(frozen=True)
class ImageSpec:
    """How each image becomes a tensor: no steps means the image as it is (native size).

    Attributes:
        steps: applied in order, after decoding to sRGB.
        min_side_px: the least width and height accepted.
        max_mpx: the most megapixels of one run; None leaves it to the server's limit. A larger image is refused, or
            cut into `strips` where there is a way to.
        max_side_px: the greatest width and height accepted, where memory grows with the square of a side.
    """

    steps: tuple[Step, ...]
    min_side_px: int
    max_mpx: float | None
    strips: Strips | None = None
    max_side_px: int | None = None


def read_image(table: Table, where: Path) -> ImageSpec:
    """Read the table `[image]`.

    Args:
        where: the file, for complaints about steps.

    Raises:
        ConfigError: a key is missing, unknown or of a wrong value, or two don't go together.
    """
    try:
        steps = parse_steps(table.mappings("steps"))
        check_small(steps)
    except ConfigError as error:
        raise ConfigError(f"{where}: [image]: {error.message}") from error
    max_mpx = float(table.get("max_mpx", float)) if "max_mpx" in table else None
    if max_mpx is not None and not 0 < max_mpx < math.inf:
        raise table.wrong("max_mpx", "more than 0", max_mpx)
    strips = read_strips(table.table("strips")) if "strips" in table else None
    if strips and (steps or max_mpx is None):
        raise table.wrong("strips", "none without max_mpx, and none with steps", "a table")
    min_side_px = table.whole("min_side_px", strips.least_px if strips else 1, default=1)
    max_side_px = table.whole("max_side_px", min_side_px) if "max_side_px" in table else None
    if wants_small(steps) and (min_side_px, max_mpx, max_side_px) != (1, None, None):
        raise table.wrong("steps", "no decode_small with limits of size: they are of what is decoded", "decode_small")
    image = ImageSpec(steps, min_side_px, max_mpx, strips, max_side_px)
    table.done()
    return image
