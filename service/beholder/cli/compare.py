"""`beholder compare`: how near images are to a reference, and, as a picture, where they are not."""

from collections.abc import Sequence
from pathlib import Path

import click

from beholder.cli.asking import Where, choose_scorers, names_in, where_options
from beholder.cli.images import Found, find_images
from beholder.cli.score import format_options, write_results
from beholder.client import Result, ScorerInfo
from beholder.inputs.image import Limits, decode
from beholder.inputs.map import side_by_side
from beholder.types import U8, EncodedImage, ErrorMap

PANEL = "fidelity"


@click.command()
@click.argument("reference", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("candidates", nargs=-1, required=True, type=click.Path(), metavar="CANDIDATE...")
@click.option("--scorers", "-s", default="", metavar="NAMES",
              help="Scorers, with commas.  [default: the panel fidelity]")  # fmt: skip
@click.option("--map", "picture", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="PNG",
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
    with where.open(names, PANEL) as caller:
        chosen = choose_scorers(
            caller, names, default_panel=PANEL, has_reference=True, has_prompt=False, only_fidelity=True
        )
        artist = _artist(chosen, caller.scorers()) if picture else ""
        results: list[Result] | None = [] if picture else None
        code = write_results(caller, found, reference, "", chosen, format_, results)
    if picture and results:
        _draw(picture, reference, found, results, artist)
    return code


def _artist(chosen: Sequence[ScorerInfo], known: Sequence[ScorerInfo]) -> str:
    drawing = [scorer.name for scorer in chosen if scorer.draws]
    if not drawing:
        others = ", ".join(scorer.name for scorer in known if scorer.draws and scorer.ready) or "no scorer here"
        raise click.UsageError(f"--map: no scorer asked draws a map; these do: {others}")
    return drawing[0]


def _draw(picture: Path, reference: Path, found: Sequence[Found], results: Sequence[Result], artist: str) -> None:
    rows, maps = list[tuple[U8, U8, bytes]](), list[ErrorMap]()
    for image, result in zip(found, results, strict=True):
        score = result.scores.get(artist)
        if score and score.map:
            rows.append((_pixels(reference), _pixels(image.path), score.map.png))
            maps.append(score.map)
    if not rows:
        click.echo(f"beholder: {picture} was not written: {artist} scored no candidate", err=True)
        return
    try:
        picture.write_bytes(side_by_side(rows))
    except OSError as error:
        raise click.ClickException(f"can't write {picture}: {error.strerror}") from error
    scale = f"{artist}: {maps[0].meaning}, bright at {maps[0].high:g} or more"
    click.echo(f"{click.format_filename(picture)}: reference, candidate, map ({scale})", err=True)


def _pixels(path: Path) -> U8:
    # What a server has scored is small enough to be drawn.
    data = path.read_bytes()
    return decode(EncodedImage(data), Limits(max_bytes=len(data), max_pixels=2**31), str(path))
