"""`beholder taste ask`, `suggest` and `compare`: what a taste says of images that nobody told it about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from beholder.cli.asking import Where, scorer_of, where_options
from beholder.cli.images import find_images
from beholder.cli.report import outcome_object, padded, printable, shortest, verdict_object
from beholder.cli.score import in_order
from beholder.cli.screen import Screen
from beholder.cli.taste_images import Named, ask_without_broken, complain, taste_images
from beholder.client import Client, Comparison, Normalisation, Result, Sample
from beholder.client.samples import read_image
from beholder.config import MIB
from beholder.errors import InvalidSample
from beholder.types import Image, Priority, Score

if TYPE_CHECKING:
    from beholder.embedded import Embedded

RANKED_IMAGES = 256
RANKED_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class Answer:
    """What a taste says of one image, or why it says nothing."""

    shown: str
    result: Result

    @property
    def score(self) -> Score | None:
        """What it says."""
        return next(iter(self.result.scores.values()), None)


@click.command()
@click.argument("name")
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each image.")
@where_options
def ask(name: str, images: Sequence[str], as_json: bool, where: Where) -> int:
    """Order images by taste, and tell how sure that is.

    \b
    beholder taste ask ann candidates/

    P(like) is 0 to 1; sd is that of the opinion, in logits: how little is known of the image; the percentile is the
    share of images in general that are liked less. "?" marks what should not be relied on, and why.

    A taste that was only told what is liked is judged against the middle of these images, up to 256; more of them
    are judged against images in general.
    """
    found, scorer = [image.path for image in find_images(images)], scorer_of(name)
    with where.open(tastes=True) as caller:
        if len(found) > RANKED_IMAGES or sum(map(_size_bytes, found)) > RANKED_BYTES:
            click.echo(f"beholder: {len(found)} images are too many to be judged against each other", err=True)
            answers = _streamed(caller, scorer, found)
        else:
            answers = _ranked(caller, scorer, found)
    judged = [answer for answer in answers if answer.score]
    for line in _ask_lines(answers) if as_json else _ask_table(judged):
        click.echo(line)
    for answer in answers:
        for error in answer.result.errors.values():
            complain(answer.shown, error)
    if len(judged) < len(found):
        click.echo(f"beholder: {len(found) - len(judged)} of {len(found)} images failed", err=True)
    return 0 if len(judged) == len(found) else 1


@click.command()
@click.argument("name")
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE_OR_ID...")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="How many pairs.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, a line for each pair.")
@where_options
def suggest(name: str, images: Sequence[str], count: int, as_json: bool, where: Where) -> int:
    """Find the pairs whose comparison would teach most.

    Show somebody the two, and tell what they choose: beholder taste add NAME --better IMAGE --worse IMAGE

    The gain is what their answer is expected to teach, in nats: at most 0.69, which is all that one choice can say.
    """
    named = taste_images(images)
    with where.open(tastes=True) as caller:
        left, pairs = ask_without_broken(named, lambda candidates: caller.tastes.suggest(name, candidates, (), count))
    rows = [(left[pair.first].shown, left[pair.second].shown, pair.gain) for pair in pairs]
    if as_json:
        for first, second, gain in rows:
            click.echo(json.dumps({"first": first, "second": second, "gain": gain}))
    elif not rows:
        click.echo("beholder: no comparison of these would teach anything", err=True)
    else:
        _write_table(["first", "second", "gain"], [[first, second, f"{gain:.4f}"] for first, second, gain in rows])
    return 0 if len(left) == len(named) else 1


@click.command()
@click.argument("first")
@click.argument("second")
@click.argument("images", nargs=-1, type=click.Path(), metavar="[IMAGE_OR_ID]...")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@where_options
def compare(first: str, second: str, images: Sequence[str], as_json: bool, where: Where) -> int:
    """Tell how far two tastes agree.

    With images, also on which of these they differ, those on which they differ most first. Agreement is a
    correlation: 1 is the same taste, 0 says nothing of each other, -1 the opposite. Of each image P(like) of both is
    told.
    """
    named = taste_images(images)
    with where.open(tastes=True) as caller:
        left, compared = ask_without_broken(named, lambda some: caller.tastes.compare(first, second, some))
    if as_json:
        click.echo(json.dumps(_comparison_object(compared, left)))
        return 0 if len(left) == len(named) else 1
    click.echo(f"agreement {compared.agreement:+.2f}")
    if compared.candidate_agreement is not None:
        click.echo(f"agreement on these images {compared.candidate_agreement:+.2f}")
    if compared.differences:
        rows = [
            [left[one.index].shown, f"{one.first_p_like:.4f}", f"{one.second_p_like:.4f}"]
            for one in compared.differences
        ]
        click.echo()
        _write_table(["candidate", first, second], rows)
    return 0 if len(left) == len(named) else 1


def _ranked(caller: "Client | Embedded", scorer: str, found: Sequence[Path]) -> list[Answer]:
    """Ask about images together; what failed comes last."""
    shown, files, unread = list[str](), list[Image](), list[Answer]()
    for path in found:
        name = click.format_filename(path)
        try:
            files.append(read_image(path, "image"))
            shown.append(name)
        except InvalidSample as error:
            unread.append(Answer(name, Result({scorer: error}, error)))
    ranking = caller.rank(files, [scorer], normalisation=Normalisation.RAW) if files else []
    return [*(Answer(shown[place.index], place.result) for place in ranking), *unread]


def _streamed(caller: "Client | Embedded", scorer: str, found: Sequence[Path]) -> list[Answer]:
    """Ask about images one by one; what failed comes last."""
    with Screen(len(found), "asking") as screen:
        results = []
        samples = (Sample(path) for path in found)
        for result in in_order(caller.score_stream(samples, scorers=[scorer], priority=Priority.BATCH)):
            results.append(result)
            screen.step()
    answers = [Answer(click.format_filename(path), one) for path, one in zip(found, results, strict=True)]
    return sorted(answers, key=lambda answer: -answer.score.value if answer.score else 1.0)


def _ask_lines(answers: Sequence[Answer]) -> list[str]:
    return [json.dumps(_answer_object(place, answer)) for place, answer in enumerate(answers, 1)]


def _answer_object(place: int, answer: Answer) -> dict[str, Any]:
    if answer.score is None:
        error = next(iter(answer.result.errors.values()))
        return {"place": None, "candidate": answer.shown, **outcome_object(error)}
    what = {"place": place, "candidate": answer.shown, "image_id": answer.result.image_id}
    verdict = verdict_object(answer.score.taste) if answer.score.taste else {}
    return what | {"p_like": shortest(answer.score.value)} | verdict


def _ask_table(judged: Sequence[Answer]) -> list[str]:
    rows = [["place", "candidate", "P(like)", "", "sd", "percentile", "why unsure"]]
    for place, answer in enumerate(judged, 1):
        score = answer.score
        if score is None or score.taste is None:
            continue
        verdict = score.taste
        numbers = [
            f"{score.value:.4f}",
            "?" if verdict.unsure else "",
            f"{verdict.sd:.2f}",
            f"{verdict.percentile:.0f}",
        ]
        rows.append([str(place), printable(answer.shown), *numbers, printable(verdict.why_unsure)])
    return _table(rows)


def _comparison_object(compared: Comparison, named: Sequence[Named]) -> dict[str, Any]:
    differences = [
        {"candidate": named[one.index].shown, "first_p_like": one.first_p_like, "second_p_like": one.second_p_like}
        for one in compared.differences
    ]
    return {
        "agreement": compared.agreement,
        "candidate_agreement": compared.candidate_agreement,
        "differences": differences,
    }


def _write_table(head: list[str], rows: Sequence[Sequence[str]]) -> None:
    for line in _table([head, *(list(map(printable, row)) for row in rows)]):
        click.echo(line)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = (padded(row, widths) for row in rows)
    return [click.style(head, bold=True), *body]


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
