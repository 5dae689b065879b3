"""A small background, and tastes told in a few words."""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from beholder.store.opinions import Choice, Source, Taste, Verdict
from beholder.taste.background import Background, fit_background

WIDTH = 24
DIGEST = "ab" * 32
Rows = NDArray[np.float32]


def images(count: int, seed: int = 0) -> Rows:
    """Return embeddings (count, WIDTH) like those of the background: some directions vary more than others."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, WIDTH)) * np.linspace(2.0, 0.3, WIDTH) + 1.0).astype(np.float32)


def nuisances(count: int = 60) -> Rows:
    """Return what changes that nobody sees do: they move the third and fourth number."""
    rng = np.random.default_rng(5)
    changes = rng.normal(size=(count, WIDTH)) * 0.02
    changes[:, 2:4] += rng.normal(size=(count, 2)) * 0.5
    return changes.astype(np.float32)


@cache
def background() -> Background:
    """Return the background of 200 such images."""
    return fit_background(images(200, seed=1), nuisances(), encoder_digest=DIGEST)


def told(
    rows: Sequence[Rows] | Rows,
    *,
    likes: Iterable[int] = (),
    dislikes: Iterable[int] = (),
    ratings: dict[int, float] | None = None,
    choices: Iterable[tuple[int, int]] = (),
    ties: Iterable[tuple[int, int]] = (),
) -> Taste:
    """Return a taste that was told these things of images, named by their rows."""
    verdicts = [Verdict(name(row), 1.0, Source.LIKE) for row in likes]
    verdicts += [Verdict(name(row), -1.0, Source.DISLIKE) for row in dislikes]
    verdicts += [Verdict(name(row), value, Source.RATING) for row, value in (ratings or {}).items()]
    pairs = [Choice(name(better), name(worse)) for better, worse in choices]
    pairs += [Choice(name(one), name(other), is_tie=True) for one, other in ties]
    embeddings = {name(index): row for index, row in enumerate(rows)}
    return Taste("0" * 32, "ann", 1, "eye", DIGEST, {one.image: one for one in verdicts}, pairs, embeddings)


def name(row: int) -> str:
    """Return the id of the image in a row."""
    return f"{row:064x}"
