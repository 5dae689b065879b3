"""`beholder taste show`, `list`, `export`, `import`, `delete` and `move`: tastes as a whole."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from beholder.cli.asking import Where, where_options
from beholder.cli.report import padded, printable
from beholder.cli.taste_images import names_by_id, readable, taste_images
from beholder.cli.taste_report import counted, details_object, details_rows, opinion_text, taste_object
from beholder.cli.taste_tell import waiting
from beholder.client import Taste

HEAD = ["name", "version", "images", "verdicts", "choices", "encoder", "changed"]


@click.command()
@click.argument("name")
@click.argument("images", nargs=-1, type=click.Path(), metavar="[IMAGE]...")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@where_options
def show(name: str, images: Sequence[str], as_json: bool, where: Where) -> int:
    """Show what a taste was told.

    \b
    beholder taste show ann
    beholder taste show ann good/ bad/   by the names of these files

    And how much of that it predicts, each opinion from the others, and its doubt: the sd that `ask` tells, on average.
    Images are known by the SHA-256 of their files; those given are called by name.
    """
    named = taste_images(images)
    left = readable(named)
    with where.open(tastes=True) as caller:
        details = caller.tastes.get(name)
    shown = names_by_id(left)
    code = 0 if len(left) == len(named) else 1
    if as_json:
        click.echo(json.dumps(details_object(details) | ({"names": shown} if named else {})))
        return code
    for row in details_rows(details):
        click.echo(printable(padded(row, [9, 0])))
    if details.opinions:
        click.echo()
    for opinion in details.opinions:
        click.echo(printable(opinion_text(opinion, shown)))
    return code


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each taste.")
@where_options
def list_(as_json: bool, where: Where) -> None:
    """List all tastes by name."""
    with where.open(tastes=True) as caller:
        tastes = list(caller.tastes.list())
    if as_json:
        for taste in tastes:
            click.echo(json.dumps(taste_object(taste)))
        return
    rows = [HEAD, *(_cells(taste) for taste in tastes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (padded(row, widths) for row in rows)
    for line in (click.style(head, bold=True), *body):
        click.echo(line)


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@where_options
def export(name: str, file: Path, where: Where) -> None:
    """Write a taste into a file that `import` reads.

    Its opinions and embeddings are in it, no images.
    """
    with where.open(tastes=True) as caller:
        data = caller.tastes.export(name)
    try:
        file.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"can't write {click.format_filename(file)}: {error.strerror}") from error


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", metavar="NAME", help="What to call it.  [default: as it was called]")
@where_options
def import_(file: Path, name: str, where: Where) -> None:
    """Make a taste of what `export` wrote."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"can't read {click.format_filename(file)}: {error.strerror}") from error
    with where.open(tastes=True) as caller:
        taste = caller.tastes.import_(data, name)
    click.echo(f"{taste.name}: {counted(taste.images, 'image')}, version {taste.version}")


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Really.")
@where_options
def delete(name: str, yes: bool, where: Where) -> None:
    """Forget a taste and all that came of it."""
    if not yes:
        raise click.UsageError(f"{name} and all that it was told would be gone for good; if so, add --yes")
    with where.open(tastes=True) as caller:
        caller.tastes.delete(name)


@click.command()
@click.argument("name")
@click.option("--encoder", required=True, metavar="NAME", help="What shall embed its images.")
@where_options
def move(name: str, encoder: str, where: Where) -> None:
    """Have a taste embedded by another encoder.

    This needs the images, which a server keeps only where its operator says so.
    """
    with where.open(tastes=True) as caller, waiting("embedding"):
        taste = caller.tastes.move(name, encoder)
    click.echo(f"{taste.name}: {counted(taste.images, 'image')} by {taste.encoder}, version {taste.version}")


def _cells(taste: Taste) -> list[str]:
    counts = (taste.version, taste.images, taste.verdicts, taste.choices)
    changed = f"{taste.changed:%Y-%m-%d %H:%M} UTC" if taste.ready else f"not ready: {taste.not_ready_reason}"
    return [taste.name, *map(str, counts), taste.encoder, changed]
