"""`beholder score`: images go over one stream, results are written as they come, in order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from beholder.cli.asking import Where, choose_scorers, names_in, scorer_of, where_options
from beholder.cli.images import Found, find_images, reference_for
from beholder.cli.report import TableReport, printable, problems, report_of
from beholder.cli.screen import Screen
from beholder.client import Client, Result, Sample, ScorerInfo
from beholder.types import Priority

if TYPE_CHECKING:
    from beholder.embedded import Embedded

T = TypeVar("T")


def format_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json and --csv, which the function gets as `format_`."""
    for flag, what in (("--csv", "CSV, a line for each image."), ("--json", "JSON, a line for each image.")):
        function = click.option(flag, "format_", flag_value=flag.strip("-"), help=f"Write {what}")(function)
    return function


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option(
    "--scorers",
    "-s",
    default="",
    metavar="NAMES",
    help="Scorers, with commas.  [default: the panel overview, or fidelity with --reference]",
)
@click.option("--panel", "-p", default="", metavar="NAME", help="A named list of scorers.")
@click.option("--taste", "tastes", multiple=True, metavar="NAME", help="A taste to ask, alone or beside scorers.")
@click.option("--reference", "-r", type=click.Path(exists=True, path_type=Path), metavar="REF",
              help="What images are compared to: a file, or a folder of files of the same names.")  # fmt: skip
@click.option("--prompt", default="", metavar="TEXT", help="What images should show.")
@format_options
@where_options
def score(
    images: Sequence[str],
    scorers: str,
    panel: str,
    tastes: Sequence[str],
    reference: Path | None,
    prompt: str,
    format_: str | None,
    where: Where,
) -> int:
    """Score images: files, folders, globs.

    \b
    beholder score photo.jpg
    beholder score photos/ "more/**/*.png" --scorers image-safety,open-nsfw --csv > scores.csv
    beholder score small/ --reference originals/ --scorers ssim,psnr
    beholder score photo.jpg --taste ann

    A taste's score is P(like); "?" marks one that should not be relied on, and `beholder taste ask` says why.

    The exit code is 1 where any image has no score from any one of the scorers.
    """
    found = find_images(images)
    names, asked = names_in(scorers), [scorer_of(taste) for taste in tastes]
    usual = "fidelity" if reference else "overview"
    with where.open(names, panel, usual, tastes=bool(asked)) as caller:
        has = {"has_reference": reference is not None, "has_prompt": bool(prompt)}
        chosen = choose_scorers(caller, names, panel, tastes=asked, usual=usual, **has)
        return write_results(caller, found, reference, prompt, chosen, format_)


def in_order(pairs: Iterable[tuple[int, T]]) -> Iterator[T]:
    """Yield values by index, each as soon as all before it are there."""
    early: dict[int, T] = {}
    wanted = 0
    for index, value in pairs:
        early[index] = value
        while wanted in early:
            yield early.pop(wanted)
            wanted += 1


def write_results(
    caller: "Client | Embedded",
    images: Sequence[Found],
    reference: Path | None,
    prompt: str,
    scorers: Sequence[ScorerInfo],
    format_: str | None,
) -> int:
    """Write one line for each image and return the exit code."""
    shown = [click.format_filename(image.path) for image in images]
    report = report_of(format_, shown, scorers)
    for line in report.head():
        click.echo(line)
    failed = 0
    with Screen(len(images), "scoring") as screen:
        results = results_of(caller, images, reference, prompt, scorers)
        for candidate, result in zip(shown, results, strict=True):
            screen.write(report.row(candidate, result))
            screen.step()
            failed += not result.ok
            for problem in problems(result) if isinstance(report, TableReport) else ():
                screen.complain(printable(f"{candidate}: {problem}"))
    if failed:
        click.echo(f"beholder: {failed} of {len(images)} images failed", err=True)
    return 1 if failed else 0


def results_of(
    caller: "Client | Embedded",
    images: Sequence[Found],
    reference: Path | None,
    prompt: str,
    scorers: Sequence[ScorerInfo],
    *,
    explain: bool = False,
) -> Iterator[Result]:
    """Yield the result of each image, in order, with maps where `explain` says so."""
    samples = (
        Sample(image.path, reference_for(image, reference) if reference else None, prompt or None) for image in images
    )
    names = [scorer.name for scorer in scorers]
    # Nobody waits for one image among many: others' interactive calls go first.
    priority = Priority.INTERACTIVE if len(images) == 1 else Priority.BATCH
    return in_order(caller.score_stream(samples, scorers=names, priority=priority, explain=explain))
