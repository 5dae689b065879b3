"""`beholder taste new`, `add` and `forget`: what somebody says of images, and what they take back."""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from beholder.cli.asking import Where, where_options
from beholder.cli.report import outcome_object, printable
from beholder.cli.taste_images import Named, complain, is_id, names_by_id, readable, taste_images
from beholder.cli.taste_report import counted, ids_in, opinion_object, opinion_text, taste_object
from beholder.cli.words import Words, WordsCommand
from beholder.client import Client, ImageId, Told
from beholder.errors import BeholderError

if TYPE_CHECKING:
    from beholder.embedded import Embedded

NUMBER = r"(-?(?:\d+\.?\d*|\.\d+))"
RATE_FORM = re.compile(rf"{NUMBER}=(.+)", re.DOTALL)
KINDS = {"likes": "like", "dislikes": "dislike", "ratings": "rating", "choices": "choice", "ties": "tie"}
SCALE_FORM = re.compile(rf"{NUMBER}:{NUMBER}")


@dataclass(frozen=True)
class Said:
    """What a command line says of images."""

    likes: list[Named]
    dislikes: list[Named]
    ratings: list[tuple[Named, float]]
    scale: tuple[float, float] | None
    choices: list[tuple[Named, Named]]
    ties: list[tuple[Named, Named]]

    @property
    def shown(self) -> list[tuple[str, ...]]:
        """The images of each opinion as people named them, in the order of what became of them."""
        singles = [*self.likes, *self.dislikes, *(named for named, _ in self.ratings)]
        pairs = [*self.choices, *self.ties]
        return [(named.shown,) for named in singles] + [(one.shown, other.shown) for one, other in pairs]

    def tell(self, caller: "Client | Embedded", name: str) -> Told:
        """Tell it all."""
        with waiting("telling"):
            return caller.tastes.add(
                name,
                likes=[named.image for named in self.likes],
                dislikes=[named.image for named in self.dislikes],
                ratings=[(named.image, value) for named, value in self.ratings],
                scale=self.scale,
                choices=[(better.image, worse.image) for better, worse in self.choices],
                ties=[(one.image, other.image) for one, other in self.ties],
            )


def opinion_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say something of images, which the function gets as `said`."""

    @wraps(function)
    def with_said(
        *,
        like: Sequence[str],
        dislike: Sequence[str],
        rate: Sequence[str],
        scale: str,
        better: Sequence[str],
        worse: Sequence[str],
        tie: Sequence[tuple[str, str]],
        **rest: Any,
    ) -> Any:
        if len(better) != len(worse):
            raise click.UsageError(f"want as many --worse as --better, got {len(worse)} and {len(better)}")
        said = Said(
            likes=taste_images(like),
            dislikes=taste_images(dislike),
            ratings=read_ratings(rate),
            scale=read_scale(scale) if rate or scale else None,
            choices=[(_one(one), _one(other)) for one, other in zip(better, worse, strict=True)],
            ties=[(_one(one), _one(other)) for one, other in tie],
        )
        return function(said=said, **rest)

    image = click.Path()
    for option in (
        click.option("--tie", nargs=2, multiple=True, type=image, metavar="IMAGE IMAGE",
                     help="Two images that are as good as each other."),
        click.option("--worse", multiple=True, type=image, metavar="IMAGE", help="Than the --better before it."),
        click.option("--better", multiple=True, type=image, metavar="IMAGE", help="Liked better than --worse."),
        click.option("--scale", default="", metavar="LOW:HIGH", help="The worst and the best that --rate can give."),
        click.option("--rate", cls=Words, type=image, metavar="NUMBER=IMAGE...", help="Images given this number."),
        click.option("--dislike", cls=Words, type=image, metavar="IMAGE...", help="Images that they don't like."),
        click.option("--like", cls=Words, type=image, metavar="IMAGE...", help="Images that they like."),
    ):  # fmt: skip
        with_said = option(with_said)
    return with_said


@click.command(cls=WordsCommand)
@click.argument("name")
@click.option("--encoder", default="", metavar="NAME", help="What embeds the images.  [default: the server's choice]")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@opinion_options
@where_options
def new(name: str, encoder: str, as_json: bool, said: Said, where: Where) -> int:
    """Make a taste, and tell it what somebody likes.

    \b
    beholder taste new ann --like good/*.jpg --dislike bad/*.jpg
    beholder taste new bob --rate 5=a.png b.png --rate 2=c.png --scale 1:5

    Images are files, folders, globs, or ids of images sent before. The exit code is 1 where any of them failed.
    """
    with where.open(tastes=True) as caller:
        made = caller.tastes.create(name, encoder)
        told = said.tell(caller, name) if said.shown else Told(made, (), ())
    return write_told(name, told, said, as_json)


@click.command(cls=WordsCommand)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@opinion_options
@where_options
def add(name: str, as_json: bool, said: Said, where: Where) -> int:
    """Tell a taste more.

    \b
    beholder taste add ann --like new/*.jpg
    beholder taste add ann --better a.png --worse b.png --tie c.png d.png

    A later opinion on the same image, or the same two, takes the place of the earlier, and that is told.
    """
    if not said.shown:
        raise click.UsageError("say something: --like, --dislike, --rate, --better and --worse, or --tie")
    with where.open(tastes=True) as caller:
        told = said.tell(caller, name)
    return write_told(name, told, said, as_json)


@click.command()
@click.argument("name")
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE_OR_ID...")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@where_options
def forget(name: str, images: Sequence[str], as_json: bool, where: Where) -> int:
    """Take back all that was said of images.

    A choice between two images is forgotten with either of them.
    """
    named = taste_images(images)
    left = readable(named)
    shown = names_by_id(left)
    if not shown:
        return 1
    with where.open(tastes=True) as caller:
        removed = caller.tastes.remove(name, list(shown))
    if as_json:
        opinions = [opinion_object(opinion) for opinion in removed.removed]
        click.echo(json.dumps({"taste": taste_object(removed.taste), "removed": opinions}))
    else:
        for opinion in removed.removed:
            click.echo(printable(f"forgotten: {opinion_text(opinion, shown)}"))
        for unknown in shown.keys() - {image for opinion in removed.removed for image in ids_in(opinion)}:
            click.echo(printable(f"nothing was said of {shown[unknown]}"))
        click.echo(f"{name}: {counted(removed.taste.images, 'image')} left, version {removed.taste.version}")
    return 0 if len(left) == len(named) else 1


def write_told(name: str, told: Told, said: Said, as_json: bool) -> int:
    """Write what became of opinions and return the exit code."""
    shown: dict[str, str] = {}
    failed = 0
    for outcome, names in zip(told.outcomes, said.shown, strict=True):
        shown |= dict(zip(outcome.image_ids, names, strict=False))
        if outcome.error:
            failed += 1
            complain(_at_fault(names, outcome.error), outcome.error)
    if as_json:
        click.echo(json.dumps(_told_object(told, said)))
    else:
        for opinion in told.replaced:
            click.echo(printable(f"replaced: {opinion_text(opinion, shown)}"))
        if told.taste:
            count = len(told.outcomes)
            taken = f"{count - failed} of {count} opinions told, " if count else ""
            click.echo(f"{name}: {taken}{counted(told.taste.images, 'image')}, version {told.taste.version}")
    if failed:
        click.echo(f"beholder: {failed} of {len(told.outcomes)} opinions failed", err=True)
    return 1 if failed else 0


def read_ratings(words: Sequence[str]) -> list[tuple[Named, float]]:
    """Read NUMBER=IMAGE; images without a number have that of the one before.

    Raises:
        click.UsageError: no number at all, or no image.
    """
    value: float | None = None
    ratings = []
    for word in words:
        match = None if value is not None and Path(word).exists() else RATE_FORM.fullmatch(word)
        if match:
            value, word = float(match[1]), match[2]
        if value is None:
            raise click.UsageError(f"--rate: want NUMBER=IMAGE, got {word!r}")
        ratings += [(named, value) for named in taste_images([word])]
    return ratings


def read_scale(text: str) -> tuple[float, float]:
    """Read LOW:HIGH.

    Raises:
        click.UsageError: not of this form, or not in this order.
    """
    match = SCALE_FORM.fullmatch(text)
    if not match or not float(match[1]) < float(match[2]):
        wanted = "want LOW:HIGH, the worst and the best that --rate can give"
        raise click.UsageError(f"--scale: {wanted}, got {text!r}")
    return float(match[1]), float(match[2])


def waiting(what: str) -> AbstractContextManager[object]:
    """Show on the terminal that something takes its time."""
    return Console(stderr=True).status(what)


def _one(word: str) -> Named:
    return Named(word, ImageId(word)) if is_id(word) else Named(click.format_filename(word), Path(word))


def _at_fault(names: tuple[str, ...], error: BeholderError) -> str:
    field = getattr(error, "field", "")
    if len(names) == 1:
        return names[0]
    return names[1] if field.endswith(".worse") else names[0] if field.endswith(".better") else " and ".join(names)


def _told_object(told: Told, said: Said) -> dict[str, Any]:
    opinions = []
    for outcome, names in zip(told.outcomes, said.shown, strict=True):
        opinion: dict[str, Any] = {"kind": KINDS[outcome.field.partition("[")[0]], "images": list(names)}
        if outcome.error:
            opinion |= outcome_object(outcome.error)
        else:
            opinion["image_ids"] = list(outcome.image_ids)
        opinions.append(opinion)
    taste = taste_object(told.taste) if told.taste else None
    return {"taste": taste, "opinions": opinions, "replaced": [opinion_object(one) for one in told.replaced]}
