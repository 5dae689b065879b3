"""`beholder scorers`: what can be asked, and what each scorer's card says."""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markdown import Markdown

from beholder.cli.asking import Where, where_options
from beholder.cli.report import padded
from beholder.client import ScorerInfo
from beholder.config import config_from
from beholder.types import Direction

BETTER = {Direction.HIGHER_IS_BETTER: "higher", Direction.LOWER_IS_BETTER: "lower", Direction.UNORDERED: "-"}


@click.command()
@click.argument("name", default="")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each scorer.")
@where_options
def scorers(name: str, as_json: bool, where: Where) -> None:
    """List all scorers, or show the card of one.

    With --embedded no graph is loaded.
    """
    if where.is_embedded:
        # Here, so that commands which only ask a server start without loading one.
        from beholder.embedded import describe

        chosen = describe(config_from(where.environ), name)
    else:
        with where.open() as caller:
            chosen = [caller.scorer(name)] if name else caller.scorers()
    if as_json:
        for scorer in chosen:
            click.echo(json.dumps(_object(scorer)))
    elif name:
        _show(chosen[0])
    else:
        for line in _table(chosen):
            click.echo(line)


def _table(chosen: Sequence[ScorerInfo]) -> list[str]:
    rows = [["name", "kind", "better", "range", "needs", "summary"]]
    for scorer in chosen:
        summary = scorer.summary if scorer.ready else f"not ready: {scorer.not_ready_reason}"
        rows.append([scorer.name, scorer.kind.name, BETTER[scorer.direction], _range(scorer), _needs(scorer), summary])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (padded(row, widths) for row in rows)
    return [click.style(head, bold=True), *body]


def _show(scorer: ScorerInfo) -> None:
    for what, text in (
        ("name", f"{scorer.name}@{scorer.version}"),
        ("kind", f"{scorer.kind.name}, {scorer.direction.name}, {_range(scorer)}"),
        ("needs", f"{_needs(scorer)}, each side {_sides(scorer)} px"),
        ("draws", "where the error is" if scorer.draws else "no map"),
        ("licence", scorer.licence),
        ("digest", scorer.digest),
        ("ready", "yes" if scorer.ready else scorer.not_ready_reason),
    ):
        click.echo(padded([what, text], [8, 0]))
    click.echo()
    if sys.stdout.isatty():
        Console().print(Markdown(scorer.card))
    else:
        click.echo(scorer.card)


def _object(scorer: ScorerInfo) -> dict[str, Any]:
    low, high = (bound if math.isfinite(bound) else None for bound in scorer.range_)
    return {
        "name": scorer.name,
        "version": scorer.version,
        "kind": scorer.kind.name,
        "direction": scorer.direction.name,
        "range": [low, high],
        "summary": scorer.summary,
        "needs_reference": scorer.needs_reference,
        "needs_prompt": scorer.needs_prompt,
        "min_side_px": scorer.min_side_px,
        "max_side_px": scorer.max_side_px,
        "labels": scorer.labels,
        "licence": scorer.licence,
        "digest": scorer.digest,
        "encoder": scorer.encoder,
        "draws": scorer.draws,
        "ready": scorer.ready,
        "not_ready_reason": scorer.not_ready_reason,
    } | ({"card": scorer.card} if scorer.card else {})


def _range(scorer: ScorerInfo) -> str:
    low, high = scorer.range_
    return f"{low:g} to {high:g}"


def _sides(scorer: ScorerInfo) -> str:
    if scorer.max_side_px is None:
        return f"at least {scorer.min_side_px}"
    return f"{scorer.min_side_px} to {scorer.max_side_px}"


def _needs(scorer: ScorerInfo) -> str:
    wanted = (("reference", scorer.needs_reference), ("prompt", scorer.needs_prompt))
    return " + ".join(["image", *(what for what, is_needed in wanted if is_needed)])
