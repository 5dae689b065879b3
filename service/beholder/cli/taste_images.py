"""Images of a command about tastes: files, folders and globs as everywhere, and ids of images sent before."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from beholder.cli.images import find_images
from beholder.cli.report import printable
from beholder.client import ImageId, TasteImage
from beholder.client.opinions import ID_FORM
from beholder.client.samples import read_image
from beholder.errors import BeholderError, InvalidSample, code_of
from beholder.inputs.image import digest
from beholder.types import EncodedImage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Named:
    """One image of a command line.

    Attributes:
        shown: as people named it.
        image: a path, an id, or the file once it is read.
    """

    shown: str
    image: TasteImage


def taste_images(words: Iterable[str]) -> list[Named]:
    """Find images, each once; 64 hex digits are an id unless there is a file of that name.

    Raises:
        click.UsageError: an empty name, or a folder or glob in which there is no image.
    """
    found: dict[str, Named] = {}
    for word in words:
        if is_id(word):
            found[word] = Named(word, ImageId(word))
            continue
        for image in find_images([word]):
            shown = click.format_filename(image.path)
            found[shown] = Named(shown, image.path)
    return list(found.values())


def is_id(word: str) -> bool:
    """Tell an image's id from a file."""
    return bool(ID_FORM.fullmatch(word)) and not Path(word).exists()


def complain(shown: str, error: BeholderError) -> None:
    """Name an image that failed on stderr, and say why."""
    click.echo(printable(f"beholder: {shown}: {code_of(error).name}: {error.message}"), err=True)


def readable(images: Sequence[Named]) -> list[Named]:
    """Read files; those that can't be read are named on stderr and left out."""
    read = []
    for named in images:
        try:
            image = named.image if isinstance(named.image, ImageId) else read_image(named.image, "image")
        except InvalidSample as error:
            complain(named.shown, error)
        else:
            read.append(Named(named.shown, image))
    return read


def names_by_id(images: Iterable[Named]) -> dict[str, str]:
    """Return what people call images that were read, by id."""
    return {
        digest(named.image).hex() if isinstance(named.image, EncodedImage) else str(named.image): named.shown
        for named in images
    }


def ask_without_broken(images: Sequence[Named], ask: Callable[[list[TasteImage]], T]) -> tuple[list[Named], T]:
    """Ask about images; those that are broken are named on stderr and left out.

    Returns:
        The images that were asked about, and the answer.
    """
    left = readable(images)
    while True:
        try:
            return left, ask([named.image for named in left])
        except InvalidSample as error:
            at_fault = re.match(r"candidates\[(\d+)\]", error.field)
            if not at_fault or int(at_fault[1]) >= len(left):
                raise
            complain(left.pop(int(at_fault[1])).shown, error)
