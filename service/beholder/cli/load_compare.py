"""`beholder load compare`: what changed between two results, and whether chance may have done it."""

import math
from pathlib import Path

import click

from beholder.cli.report import padded
from beholder.load.compare import UNITS, Change, compare_results, different_terms
from beholder.load.result import read_result
from beholder.load.summary import number

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option("--fail", is_flag=True, help="Exit with 1 where anything became worse by more than noise between runs.")
def compare(before: Path, after: Path, fail: bool) -> int:
    """Compare two results of --json.

    A change counts where it is more than the 99 % interval of what runs of one kind differ by. That needs three or
    more runs on each side (--repeats 3); from single runs, a change only seems to be one. Legs are compared with
    those of the same name, so give both runs the same --rate or --in-flight.
    """
    old, new = read_result(before), read_result(after)
    for term in different_terms(old, new):
        click.echo(f"beholder: not the same was asked: {term}", err=True)
    changes = compare_results(old, new)
    if not changes:
        raise click.ClickException("no leg of one has its like in the other")
    width = max(len(change.leg) for change in changes)
    widths = (width, 14, 10, 10, 7, 10)
    click.echo(padded(("leg", "what", "before", "after", "ratio", "noise", "verdict"), (*widths, 12)))
    for change in changes:
        click.echo(padded((*_cells(change), change.verdict), (*widths, 12)))
    if not all(change.is_between_runs for change in changes):
        click.echo("beholder: the noise is what single runs have inside them; --repeats 3 tells more", err=True)
    return 1 if fail and any(change.verdict == "worse" for change in changes) else 0


def _cells(change: Change) -> tuple[str, ...]:
    unit = UNITS.get(change.metric, "ms")
    noise = "" if math.isnan(change.noise) else f"±{number(change.noise)}"
    ratio = f"{change.ratio:.2f}" if math.isfinite(change.ratio) else "-"
    name = change.metric if change.metric.endswith(unit) else f"{change.metric} {unit}"
    return change.leg, name, number(change.before), number(change.after), ratio, noise
