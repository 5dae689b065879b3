"""Which pictures a person shows, and which they are asked about: contents of one side and of the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beholder.store.opinions import Choice, Source, Taste, Verdict
from beholder.types import F32
from bench.taste.people import People

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]
COUNTS = (1, 2, 3, 5, 8, 20)
VIPER_COUNTS = (1, 2, 3, 5)
"""It has eight prompts, and three are left to ask about."""


@dataclass(frozen=True)
class Split:
    """One draw.

    Attributes:
        likes, dislikes: n rows each.
        drawn: 2n rows that nobody chose, to be rated.
        known: all rows of the examples' side, and `held_out` those of the other.
    """

    likes: Rows
    dislikes: Rows
    drawn: Rows
    known: Rows
    held_out: Rows


def is_liked(opinion: F64) -> NDArray[np.bool_]:
    """Return what a person likes better than the middle of their opinions."""
    return np.asarray(opinion > np.median(opinion))


def counts_of(people: People) -> tuple[int, ...]:
    """Return with how many examples a set is measured."""
    return VIPER_COUNTS if people.name == "viper" else COUNTS


def splits(people: People, person: str, count: int) -> Iterator[tuple[Split, np.random.Generator]]:
    """Yield the draws of n likes and n dislikes of a person, the same for whoever asks, and where chance goes on.

    Draws of one place have the same contents on each side for every count.
    """
    opinion, place = people.opinions[person], list(people.opinions).index(person)
    for repeat in range(people.splits):
        contents = np.random.default_rng((place, repeat)).permutation(np.unique(people.contents))
        rng = np.random.default_rng((place, repeat, count))
        if split := _draw(people, opinion, contents, count, rng):
            yield split, rng


def _draw(
    people: People, opinion: F64, contents: NDArray[np.int64], count: int, rng: np.random.Generator
) -> Split | None:
    """Draw once from contents in their order; None where one side has too few."""
    is_paired = people.name == "viper"  # the same prompts are liked and disliked
    shown = contents[:count] if is_paired else contents[: len(contents) // 2]
    inside = np.isin(people.contents, shown)
    liked = is_liked(opinion)
    likes, dislikes = (rng.permutation(np.flatnonzero(inside & side)) for side in (liked, ~liked))
    held_out = np.flatnonzero(~inside)
    if min(len(likes), len(dislikes)) < count or not 0 < liked[held_out].sum() < len(held_out):
        return None
    if is_paired:
        likes, dislikes = (rows[np.argsort(people.contents[rows])] for rows in (likes, dislikes))
    known = np.flatnonzero(inside)
    return Split(likes[:count], dislikes[:count], rng.permutation(known)[: 2 * count], known, held_out)


def told(rows: F32, verdicts: dict[int, tuple[Source, float]], pairs: Iterable[tuple[int, int]] = ()) -> Taste:
    """Return a taste that was told of these rows."""
    pairs = list(pairs)
    said = {f"{row:064x}": Verdict(f"{row:064x}", value, source) for row, (source, value) in verdicts.items()}
    choices = [Choice(f"{better:064x}", f"{worse:064x}") for better, worse in pairs]
    used = {*verdicts, *(row for pair in pairs for row in pair)}
    return Taste("0" * 32, "one", 1, "eye", "", said, choices, {f"{row:064x}": rows[row] for row in used})


def likes_of(rows: F32, split: Split) -> Taste:
    """Return what is told by n likes."""
    return told(rows, {int(row): (Source.LIKE, 1.0) for row in split.likes})


def likes_and_dislikes(rows: F32, split: Split) -> Taste:
    """Return what is told by n likes and n dislikes."""
    verdicts = {int(row): (Source.LIKE, 1.0) for row in split.likes}
    return told(rows, verdicts | {int(row): (Source.DISLIKE, -1.0) for row in split.dislikes})


def choices_of(rows: F32, split: Split) -> Taste:
    """Return what is told by n choices, each between one liked and one disliked."""
    return told(rows, {}, zip(map(int, split.likes), map(int, split.dislikes), strict=True))


def ratings_of(rows: F32, split: Split, opinion: F64, scale: tuple[float, float] | None) -> Taste:
    """Return what is told by 2n ratings."""
    low, high = scale or (float(opinion.min()), float(opinion.max()))
    rated = {int(row): (Source.RATING, float(2 * (opinion[row] - low) / (high - low) - 1)) for row in split.drawn}
    return told(rows, rated)
