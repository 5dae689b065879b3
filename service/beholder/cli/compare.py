"""`beholder compare`: how near images are to a reference, and, as a picture, where they are not."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from beholder.cli.asking import Where, choose_scorers, names_in, where_options
from beholder.cli.images import Found, find_images
from beholder.cli.report import printable, problems
from beholder.cli.score import format_options, results_of, write_results
from beholder.cli.screen import Screen
from beholder.client import Client, ScorerInfo
from beholder.inputs.image import Limits, decode
from beholder.inputs.map import side_by_side
from beholder.types import U8, EncodedImage, ErrorMap

if TYPE_CHECKING:
    from beholder.embedded import Embedded

PANEL = "fidelity"


@click.command()
@click.argument("reference", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("candidates", nargs=-1, required=True, type=click.Path(), metavar="CANDIDATE...")
@click.option("--scorers", "-s", default="", metavar="NAMES",
              help="Scorers, with commas.  [default: the panel fidelity]")  # fmt: skip
@click.option("--map", "picture", type=click.Path(dir_okay=False, path_type=Path), metavar="PNG",
              help="Draw reference, candidate and error side by side, a row each, into this file.")  # fmt: skip
@format_options
@where_options
def compare(
    reference: Path, candidates: Sequence[str], scorers: str, picture: Path | None, format_: str | None, where: Where
) -> int:
    """Compare images to a reference.

    \b
    beholder compare original.png q90.jpg q50.jpg
    beholder compare original.png q50.jpg --map errors.png --scorers flip

    The map is that of the first scorer asked that draws one: dark where it sees no error, bright where it sees most.
    """
    found, names = find_images(candidates), names_in(scorers)
    if picture:
        _check_target(picture, [reference, *(image.path for image in found)])
    with where.open(names, usual=PANEL) as caller:
        chosen = choose_scorers(caller, names, usual=PANEL, has_reference=True, has_prompt=False, only_fidelity=True)
        artist = _artist(chosen, caller.scorers()) if picture else None
        code = write_results(caller, found, reference, "", chosen, format_)
        if picture and artist:
            code = max(code, _draw(picture, caller, found, reference, artist))
    return code


def _check_target(picture: Path, images: Sequence[Path]) -> None:
    """Refuse, before anything is scored, a file that can't be written or that is one of the images."""
    if not picture.parent.is_dir():
        raise click.UsageError(f"--map: no folder {picture.parent}")
    if not os.access(picture if picture.exists() else picture.parent, os.W_OK):
        raise click.UsageError(f"--map: {picture} can't be written")
    if picture.exists() and any(image.exists() and picture.samefile(image) for image in images):
        raise click.UsageError(f"--map: {picture} is one of the images to compare; name another file")


def _artist(chosen: Sequence[ScorerInfo], known: Sequence[ScorerInfo]) -> ScorerInfo:
    drawing = [scorer for scorer in chosen if scorer.draws]
    if not drawing:
        others = ", ".join(scorer.name for scorer in known if scorer.draws and scorer.ready) or "no scorer here"
        raise click.UsageError(f"--map: no scorer asked draws a map; these do: {others}")
    return drawing[0]


def _draw(
    picture: Path, caller: "Client | Embedded", found: Sequence[Found], reference: Path, artist: ScorerInfo
) -> int:
    """Ask the artist alone for maps, for others score what they can't draw; return the exit code."""
    drawn, wrong = list[tuple[Path, ErrorMap]](), f"{artist.name} drew no map"
    with Screen(len(found), "drawing") as screen:
        results = results_of(caller, found, reference, "", [artist], explain=True)
        for image, result in zip(found, results, strict=True):
            score = result.scores.get(artist.name)
            if score and score.map:
                drawn.append((image.path, score.map))
            wrong = next(iter(problems(result)), wrong)
            screen.step()
    shown = click.format_filename(picture)
    if drawn:
        _write(picture, reference, drawn)
        scale = f"{artist.name}: {drawn[0][1].meaning}, bright at {drawn[0][1].high:g} or more"
        some = "" if len(drawn) == len(found) else f" of {len(drawn)} of {len(found)} candidates"
        click.echo(f"{shown}: reference, candidate, map{some} ({scale})", err=True)
    else:
        click.echo(printable(f"beholder: {shown} was not written: {wrong}"), err=True)
    return 0 if len(drawn) == len(found) else 1


def _write(picture: Path, reference: Path, drawn: Sequence[tuple[Path, ErrorMap]]) -> None:
    pairs = ((_pixels(path), one.png) for path, one in drawn)
    try:
        picture.write_bytes(side_by_side(_pixels(reference), pairs, len(drawn)))
    except OSError as error:
        raise click.ClickException(f"can't draw {error.filename or picture}: {error.strerror}") from error


def _pixels(path: Path) -> U8:
    # What a server has scored is small enough to be drawn.
    data = path.read_bytes()
    return decode(EncodedImage(data), Limits(max_bytes=len(data), max_pixels=2**31), str(path))
