"""`beholder rank`: best of many, by the weighted sum of what scorers say."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from beholder.cli.asking import Where, choose_scorers, scorer_of, where_options
from beholder.cli.images import find_images
from beholder.cli.report import outcome_object, padded, printable, problems, shortest, unsure_mark
from beholder.client import Normalisation, Ranked
from beholder.types import Score


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--scorers", "-s", default="", metavar="NAME=WEIGHT,...", help="Scorers; a weight left out is 1.")
@click.option("--taste", "tastes", multiple=True, metavar="NAME=WEIGHT",
              help="A taste to rank by, alone or beside scorers.")  # fmt: skip
@click.option("--reference", "-r", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="REF",
              help="What images are compared to.")  # fmt: skip
@click.option("--prompt", default="", metavar="TEXT", help="What images should show.")
@click.option("--raw", is_flag=True, help="Weight scores as they are, not as standard scores over these images.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Write the best N alone.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each image.")
@where_options
def rank(
    images: Sequence[str],
    scorers: str,
    tastes: Sequence[str],
    reference: Path | None,
    prompt: str,
    raw: bool,
    top: int | None,
    as_json: bool,
    where: Where,
) -> int:
    """Order images from best to worst.

    \b
    beholder rank tries/*.png --scorers ssim=1,psnr=0.5 --reference original.png --top 3
    beholder rank tries/*.png --taste ann --top 5

    A taste's score is P(like); "?" marks one that should not be relied on.

    The exit code is 1 where any image has no place because a scorer failed on it.
    """
    found, weights = find_images(images), weights_in(scorers, tastes)
    with where.open(list(parse_weights(scorers)), tastes=bool(tastes)) as caller:
        choose_scorers(caller, list(weights), has_reference=reference is not None, has_prompt=bool(prompt))
        ranking = caller.rank(
            [image.path for image in found],
            weights,
            reference=reference,
            prompt=prompt or None,
            normalisation=Normalisation.RAW if raw else Normalisation.STANDARD,
        )
    shown = [click.format_filename(image.path) for image in found]
    best = ranking[:top]
    for line in _json_lines(best, shown) if as_json else _table(best, shown, weights):
        click.echo(line)
    failed = [place for place in ranking if place.total is None]
    for place in failed:
        for problem in problems(place.result):
            click.echo(printable(f"beholder: {shown[place.index]}: {problem}"), err=True)
    return 1 if failed else 0


def weights_in(scorers: str, tastes: Sequence[str]) -> dict[str, float]:
    """Read the weights of all that is ranked by.

    Raises:
        click.UsageError: nothing to rank by, or as `parse_weights`.
    """
    liked = parse_weights(",".join(tastes), "--taste")
    weights = parse_weights(scorers) | {scorer_of(taste): weight for taste, weight in liked.items()}
    if not weights:
        raise click.UsageError("want --scorers or --taste")
    return weights


def parse_weights(text: str, option: str = "--scorers") -> dict[str, float]:
    """Read name=weight,name=weight; a weight left out is 1.

    Raises:
        click.UsageError: not of this form, a weight that is not finite and above 0, or a name twice.
    """
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition("=")
        try:
            value = float(weight or 1.0)
        except ValueError:
            raise click.UsageError(f"{option}: want NAME=WEIGHT, got {part!r}") from None
        if not 0.0 < value < math.inf:
            raise click.UsageError(f"{option}: {name}: want a finite weight above 0, got {weight}")
        if name in weights:
            raise click.UsageError(f"{option}: {name} is named twice")
        weights[name] = value
    return weights


def _json_lines(ranking: Sequence[Ranked], shown: Sequence[str]) -> list[str]:
    return [
        json.dumps(
            {
                "place": number,
                "candidate": shown[place.index],
                **({"image_id": place.image_id} if place.image_id else {}),
                "total": None if place.total is None else shortest(place.total),
                "scores": {
                    name: outcome_object(outcome)
                    | ({"contribution": shortest(place.contributions[name])} if name in place.contributions else {})
                    for name, outcome in place.result.outcomes.items()
                },
            }
        )
        for number, place in enumerate(ranking, 1)
    ]


def _table(ranking: Sequence[Ranked], shown: Sequence[str], weights: Mapping[str, float]) -> list[str]:
    """Return a line for each place: total, then each score with what it adds to it."""
    rows = [["place", "candidate", "total", *weights]]
    for number, place in enumerate(ranking, 1):
        total = "" if place.total is None else f"{place.total:.4f}"
        rows.append([str(number), printable(shown[place.index]), total, *(_part(place, name) for name in weights)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (padded(row, widths) for row in rows)
    return [click.style(head, bold=True), *body]


def _part(place: Ranked, name: str) -> str:
    outcome = place.result.outcomes[name]
    if not isinstance(outcome, Score):
        return "failed"
    return f"{outcome.value:.4f}{unsure_mark(outcome)} ({place.contributions[name]:+.4f})"
