"""Which images a command line means: files, folders with all that is in them, globs; and their references."""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import click

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


@dataclass(frozen=True, slots=True)
class Found:
    """One image file.

    Attributes:
        path: as it is shown and opened.
        inside: its path inside the folder that was named; its name where a file was.
    """

    path: Path
    inside: PurePath


def find_images(names: Iterable[str]) -> list[Found]:
    """Find the images of a command line, each once, in the order named and sorted within folders and globs.

    A file is taken whatever it is called, there or not: its own result says what is wrong with it. Hidden files of
    folders are left out.

    Raises:
        click.UsageError: an empty name, or a folder or glob in which there is no image.
    """
    found = {image.path: image for name in names for image in _find(name)}
    return list(found.values())


def reference_for(image: Found, reference: Path) -> Path:
    """Return the reference of an image: the one file, or its namesake in the folder (of another suffix, if need be)."""
    if not reference.is_dir():
        return reference
    namesake = reference / image.inside
    if namesake.exists():
        return namesake
    others = sorted(path for path in namesake.parent.glob(f"{glob.escape(namesake.stem)}.*") if _is_image(path))
    return others[0] if others else namesake


def _find(name: str) -> Iterator[Found]:
    if not name:
        raise click.UsageError("want a file, folder or glob, got an empty name")
    path = Path(name)
    if path.is_dir():
        inside = sorted(found.relative_to(path) for found in path.rglob("*"))
        images = [Found(path / one, one) for one in inside if _is_image(path / one) and not _is_hidden(one)]
        if not images:
            raise click.UsageError(f"no image in {name} (of {', '.join(sorted(SUFFIXES))})")
        yield from images
    elif not path.exists() and glob.has_magic(name):
        paths = sorted(Path(match) for match in glob.glob(name, recursive=True))
        images = [Found(match, PurePath(match.name)) for match in paths if match.is_file()]
        if not images:
            raise click.UsageError(f"no file matches {name}")
        yield from images
    else:
        yield Found(path, PurePath(path.name))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)
