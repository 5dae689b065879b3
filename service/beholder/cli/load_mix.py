"""What `beholder load` sends: scorers and images with weights, and one trial of each before any load."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from beholder.cli.asking import choose_scorers, names_in
from beholder.cli.images import find_images
from beholder.cli.report import problems
from beholder.client import Client, ScorerInfo
from beholder.inputs.made import encode, made_picture
from beholder.load.arrivals import Recorded
from beholder.load.mix import Ask, Picture
from beholder.load.words import Arrival, read_size, split_weight

MADE = 4
"""Different pictures of each size that is made."""
TRIALS = 16
USUAL = "overview"


@dataclass
class Parts:
    """What requests are made of; those that a recording names besides have no weight.

    Attributes:
        samples: of `pictures`, one index of each --image.
    """

    asks: list[Ask]
    pictures: list[Picture]
    samples: list[int]


def find_parts(client: Client, scorers: Sequence[str], images: Sequence[str]) -> Parts:
    """Find what the options mean.

    Raises:
        click.UsageError: a scorer that is not ready, an image that is not there.
        ScorerNotFound: one that nobody knows.
    """
    if scorers:
        asks = [_ask(client, *_weighted("--scorers", text)) for text in scorers]
    else:
        asks = [_ask_of(_usual(client), 1.0)]
    pictures, samples = find_pictures(images)
    return Parts(asks, pictures, samples)


def find_pictures(images: Sequence[str]) -> tuple[list[Picture], list[int]]:
    """Return what --image means, and the index of each one's first picture.

    Raises:
        click.UsageError: an image that is not there.
    """
    pictures, samples = list[Picture](), list[int]()
    for text in images:
        name, weight = _weighted("--image", text)
        samples.append(len(pictures))
        pictures += _pictures(name, weight)
    return pictures, samples


def record(client: Client, arrivals: Sequence[Arrival], folder: Path, parts: Parts) -> Recorded:
    """Return a recording as a pattern, and add the scorers and images that it names to `parts`."""
    asks = {"": -1} | {ask.name: place for place, ask in enumerate(parts.asks)}
    pictures = {"": -1}
    for one in arrivals:
        names = ",".join(names_in(one.scorers))
        if names not in asks:
            asks[names] = len(parts.asks)
            parts.asks.append(_ask(client, names, 0.0))
        if one.image not in pictures:
            pictures[one.image] = len(parts.pictures)
            parts.samples.append(len(parts.pictures))
            where = one.image if read_size(one.image) else str(folder / one.image)
            parts.pictures.append(_pictures(where, 0.0)[0])
    return Recorded(
        tuple(one.seconds for one in arrivals),
        tuple(asks[",".join(names_in(one.scorers))] for one in arrivals),
        tuple(pictures[one.image] for one in arrivals),
    )


def try_once(client: Client, parts: Parts, prompt: str) -> None:
    """Ask each scorer about an image of each kind, so that a mistake is told now and not a thousand times.

    Raises:
        click.UsageError: one of them gave no score.
    """
    pairs = [(ask, parts.pictures[place]) for place in parts.samples for ask in parts.asks]
    for ask, picture in pairs[:TRIALS]:
        reference = picture.data if ask.needs_reference else None
        words = prompt if ask.needs_prompt else None
        (result,) = client.score(picture.data, scorers=ask.scorers, references=reference, prompts=words)
        if not result.ok:
            raise click.UsageError(f"{picture.name}: {problems(result)[0]}")


def _usual(client: Client) -> list[ScorerInfo]:
    try:
        return choose_scorers(client, [], usual=USUAL, has_reference=False, has_prompt=False)
    except click.UsageError:
        served = ", ".join(scorer.name for scorer in client.scorers() if scorer.ready)
        raise click.UsageError(f"none of the panel {USUAL} is served; name others with --scorers: {served}") from None


def _weighted(option: str, text: str) -> tuple[str, float]:
    try:
        return split_weight(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from error


def _ask(client: Client, text: str, weight: float) -> Ask:
    names = names_in(text)
    if not names:
        raise click.UsageError("--scorers: want names of scorers with commas, got none")
    panels = client.panels()
    asked = [one for name in names for one in panels.get(name, (name,))]
    known = {scorer.name: scorer for scorer in client.scorers()}
    return _ask_of([known.get(name) or client.scorer(name) for name in dict.fromkeys(asked)], weight)


def _ask_of(scorers: Sequence[ScorerInfo], weight: float) -> Ask:
    for scorer in scorers:
        if not scorer.ready:
            raise click.UsageError(f"{scorer.name} is not ready: {scorer.not_ready_reason}")
    needs_reference = any(scorer.needs_reference for scorer in scorers)
    needs_prompt = any(scorer.needs_prompt for scorer in scorers)
    return Ask(tuple(scorer.name for scorer in scorers), weight, needs_reference, needs_prompt)


def _pictures(name: str, weight: float) -> list[Picture]:
    try:
        size = read_size(name)
    except ValueError as error:
        raise click.UsageError(f"--image: {error}") from error
    if size:
        width, height, format_ = size
        made = (encode(made_picture(width, height, seed), format_) for seed in range(MADE))
        return [Picture(name, data, weight / MADE) for data in made]
    found = find_images([name])
    try:
        return [Picture(str(image.path), image.path.read_bytes(), weight / len(found)) for image in found]
    except OSError as error:
        raise click.UsageError(f"--image: can't read {error.filename}: {error.strerror}") from error
