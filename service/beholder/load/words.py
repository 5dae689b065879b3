"""How an operator writes a load: rates, times, shares, weights, sizes, recordings. Every mistake is a ValueError."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.inputs.made import FORMATS

TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", re.ASCII)
TIMES = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})(?:\.(\w+))?", re.ASCII)
AUTO = "auto"
MAX_RATE = 1e6


@dataclass(frozen=True)
class RateWords:
    """What --rate says.

    Attributes:
        steps: rates to be measured one after the other; none where it is a ramp or `auto`.
        ramp: (first, last) of one leg.
    """

    steps: tuple[float, ...] = ()
    ramp: tuple[float, float] | None = None

    @property
    def is_auto(self) -> bool:
        """Whether rates are to be chosen by what the server can do."""
        return not self.steps and self.ramp is None


@dataclass(frozen=True)
class BurstWords:
    """What --burst says: a rate, for so long, once every so long."""

    rate: float
    length_s: float
    every_s: float


@dataclass(frozen=True)
class Arrival:
    """One line of a recording; no scorers and no image mean: as the mix has it."""

    seconds: float
    scorers: str = ""
    image: str = ""


def read_seconds(text: str) -> float:
    """Read `30s`, `500ms`, `2m`, `1h` or a number of seconds."""
    match = TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"want a time such as 30s, 500ms or 2m, got {text!r}")
    return float(match[1]) * TIMES[match[2] or ""]


def read_share(text: str) -> float:
    """Read `5%` or `0.05`."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise ValueError(f"want a share such as 5% or 0.05, got {text!r}") from None
    if not 0 <= share <= 1:
        raise ValueError(f"want a share from 0% to 100%, got {text!r}")
    return share


def read_share_and_time(text: str, default_s: float) -> tuple[float, float]:
    """Read `5%` or `5%:100ms`."""
    share, colon, time = text.partition(":")
    seconds = read_seconds(time) if colon else default_s
    if not seconds:
        raise ValueError(f"want a time above 0, got {text!r}")
    return read_share(share), seconds


def read_rate(text: str) -> RateWords:
    """Read `50`, `20,40,80` (steps), `10..200` (a ramp) or `auto`, in requests per second."""
    if text.strip() == AUTO:
        return RateWords()
    first, dots, last = text.partition("..")
    if dots:
        ends = _rate(first, 0.0), _rate(last, 0.0)
        if not max(ends):
            raise ValueError("want a ramp that is not 0 all along")
        return RateWords(ramp=ends)
    return RateWords(tuple(_rate(part) for part in text.split(",")))


def read_burst(text: str) -> BurstWords:
    """Read `200:2s:30s`: a rate, how long, and how often."""
    parts = text.split(":")
    if len(parts) != 3:
        raise ValueError(f"want RATE:LENGTH:EVERY such as 200:2s:30s, got {text!r}")
    burst = BurstWords(_rate(parts[0]), read_seconds(parts[1]), read_seconds(parts[2]))
    if not 0 < burst.length_s < burst.every_s:
        raise ValueError(f"want a burst that is shorter than what lies between two starts, got {text!r}")
    return burst


def read_counts(text: str) -> tuple[int, ...]:
    """Read `8` or `1,2,4,8`."""
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"want whole numbers with commas, got {text!r}") from None
    if min(counts) < 1 or max(counts) > 100_000:
        raise ValueError(f"want numbers from 1 to 100000, got {text!r}")
    return counts


def split_weight(text: str) -> tuple[str, float]:
    """Split `NAME=WEIGHT`; what follows the last `=` and is no number belongs to the name."""
    name, equals, weight = text.rpartition("=")
    try:
        value = float(weight) if equals else 1.0
    except ValueError:
        return text, 1.0
    if not (0 < value < math.inf):
        raise ValueError(f"{name}: want a finite weight above 0, got {weight}")
    return name if equals else text, value


def read_size(text: str) -> tuple[int, int, str] | None:
    """Read `512x512` or `1024x768.png`: width, height, format; None where it is no size."""
    match = SIZE.fullmatch(text)
    if not match:
        return None
    width, height, format_ = int(match[1]), int(match[2]), (match[3] or FORMATS[0]).replace("jpeg", "jpg")
    if format_ not in FORMATS:
        raise ValueError(f"want {', '.join(FORMATS)} after the size, got {text!r}")
    if not 1 <= width * height <= 40e6:
        raise ValueError(f"want 1 pixel to 40 megapixels, got {text!r}")
    return width, height, format_


def read_trace(path: Path) -> list[Arrival]:
    """Read a recording: a CSV file, a line for each request: seconds[, scorers, image]; a head line is skipped.

    Returns:
        By time, the first at 0.
    """
    found = list[Arrival]()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, cells in enumerate(csv.reader(file, skipinitialspace=True)):
                if cells and not (number == 0 and not _is_number(cells[0])):
                    found.append(_arrival(cells, path, number + 1))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error
    if not found:
        raise ValueError(f"{path} holds no arrival")
    first_s = min(one.seconds for one in found)
    shifted = [Arrival(one.seconds - first_s, one.scorers, one.image) for one in found]
    return sorted(shifted, key=lambda one: one.seconds)


def _arrival(cells: Sequence[str], path: Path, line: int) -> Arrival:
    if not _is_number(cells[0]) or len(cells) > 3:
        raise ValueError(f"{path}, line {line}: want seconds[,scorers,image], got {','.join(cells)!r}")
    more = [cell.strip() for cell in (*cells[1:], "", "")]
    return Arrival(float(cells[0]), more[0].replace(";", ","), more[1])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _rate(text: str, lowest: float = 0.001) -> float:
    if not _is_number(text):
        raise ValueError(f"want requests per second: 50, 20,40,80 for steps, 10..200 for a ramp, or auto; got {text!r}")
    if not lowest <= float(text) <= MAX_RATE:
        raise ValueError(f"want {lowest:g} to {MAX_RATE:.0f} requests per second, got {text.strip()}")
    return float(text)
