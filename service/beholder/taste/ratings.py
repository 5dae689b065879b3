"""The operator's own file of what people said: CSV of ratings, or of pairs."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from beholder.errors import ConfigError
from beholder.taste.crowd import Pair, Rating

MAX_LINES = 1_000_000
MAX_PERSON = 200
MAX_RATING = 1e9
FORMS = "image,rating[,person] or better,worse[,tie][,person]"
_COLUMNS = (
    ({"image", "rating"}, {"person"}),
    ({"better", "worse"}, {"tie", "person"}),
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIE = {"": False, "0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says.

    Attributes:
        ratings, pairs: images are named by their path in the folder, with '/'.
        problems: a line for each line of the file that doesn't count, and why.
    """

    ratings: list[Rating] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def images(self) -> list[str]:
        """Every image that is named, sorted."""
        compared = {name for pair in self.pairs for name in (pair.better, pair.worse)}
        return sorted({rating.image for rating in self.ratings} | compared)


def read_ratings(path: Path, folder: Path) -> Told:
    """Read a file of ratings or of pairs.

    A line that is wrong, or whose image is not there, doesn't count and is told by its number. Where one person says
    something of the same images again, the later counts and the earlier is told.

    Args:
        folder: what the images' paths are relative to; none may lead out of it.

    Raises:
        ConfigError: the file can't be read, its header is another, it has too many lines, or none that counts.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            told = _read(stream, _Images(folder), path)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    if not (told.ratings or told.pairs):
        why = f": {told.problems[0]}" if told.problems else ""
        raise ConfigError(f"{path}: no line of it counts{why}")
    return told


class _Images:
    """Which names of images are of files in a folder; each is looked up once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._known = dict[str, str]()

    def named(self, text: str) -> str:
        """Return an image's path in the folder; ValueError says what is wrong with it."""
        if text not in self._known:
            self._known[text] = self._find(text)
        return self._known[text]

    def _find(self, text: str) -> str:
        if not text or not text.isprintable():
            raise ValueError(f"want the path of an image, got {_short(text)}")
        try:
            found = (self._folder / text).resolve()
            if not found.is_relative_to(self._folder):
                raise ValueError(f"want an image in the folder, {_short(text)} leads out of it")
            if not found.is_file():
                raise ValueError(f"no image {_short(text)} in the folder")
        except (OSError, RuntimeError) as error:  # a name too long, a circle of links
            raise ValueError(f"no image {_short(text)} in the folder: {getattr(error, 'strerror', error)}") from None
        return found.relative_to(self._folder).as_posix()


def _read(stream: TextIO, images: _Images, path: Path) -> Told:
    told, seen = Told(), dict[tuple[str, ...], int]()
    opinions = dict[tuple[str, ...], Rating | Pair]()
    rows = _rows(stream, path)
    parse = _parser(next(rows, (0, []))[1], images, path)
    for number, cells in rows:
        try:
            opinion = parse(cells)
        except ValueError as error:
            told.problems.append(f"line {number}: {error}")
            continue
        key = _key(opinion, number)
        if key in seen:
            told.problems.append(f"line {seen[key]}: {opinion.person!r} says it again in line {number}, which counts")
        seen[key], opinions[key] = number, opinion
    for opinion in opinions.values():
        if isinstance(opinion, Rating):
            told.ratings.append(opinion)
        else:
            told.pairs.append(opinion)
    return told


def _rows(stream: TextIO, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that isn't empty, and its cells."""
    lines = csv.reader(stream)
    try:
        for cells in lines:
            if lines.line_num > MAX_LINES:
                raise ConfigError(f"{path}: more than {MAX_LINES:,} lines; that is the limit")
            if cells:
                yield lines.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise ConfigError(f"{path}: line {lines.line_num}: {error}") from error


def _key(opinion: Rating | Pair, number: int) -> tuple[str, ...]:
    """Return by what an opinion replaces an earlier one: a named person's of the same images."""
    if not opinion.person:
        return (str(number),)
    images = [opinion.image] if isinstance(opinion, Rating) else sorted((opinion.better, opinion.worse))
    return (*images, opinion.person, "")


def _parser(header: list[str], images: _Images, path: Path) -> Callable[[list[str]], Rating | Pair]:
    names = [name.lower() for name in header]
    if len(set(names)) < len(names) or not any(need <= set(names) <= need | may for need, may in _COLUMNS):
        raise ConfigError(f"{path}: want the header {FORMS}, got {_short(','.join(header))}")

    def parse(cells: list[str]) -> Rating | Pair:
        if len(cells) != len(names):
            raise ValueError(f"want {len(names)} values, {','.join(names)}, got {len(cells)}")
        said = dict(zip(names, cells, strict=True))
        person = said.get("person", "")
        if len(person) > MAX_PERSON or not person.isprintable():
            raise ValueError(f"person: want at most {MAX_PERSON} printable characters, got {_short(person)}")
        if "rating" in said:
            return Rating(images.named(said["image"]), _number(said["rating"]), person)
        better, worse = images.named(said["better"]), images.named(said["worse"])
        if better == worse:
            raise ValueError(f"want two images, got {_short(better)} twice")
        return Pair(better, worse, _is_tie(said.get("tie", "")), person)

    return parse


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if not abs(value) <= MAX_RATING:
        raise ValueError(f"rating: want a number from -{MAX_RATING:.0e} to {MAX_RATING:.0e}, got {_short(text)}")
    return value


def _is_tie(text: str) -> bool:
    if text.lower() not in _TIE:
        raise ValueError(f"tie: want 0 or 1, got {_short(text)}")
    return _TIE[text.lower()]


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
