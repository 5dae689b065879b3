"""What many people said of images, pooled: each person's ratings by that person's own measure, choices as they are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beholder.taste.background import Background
from beholder.taste.evidence import Evidence
from beholder.types import F32

F64 = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]
MAX_ROWS = 100_000
"""The most images, and the most different pairs, that are learned from: memory grows with them."""
NOBODY = -1
"""The person of opinions that name none."""


@dataclass(frozen=True, slots=True)
class Rating:
    """How good somebody finds an image, on that person's own scale; higher is better.

    Attributes:
        person: empty where nobody is named.
    """

    image: str
    value: float
    person: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Which of two images somebody likes better; in a tie their order means nothing."""

    better: str
    worse: str
    is_tie: bool = False
    person: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Opinions of many people, as arrays; indices are of `images` and `people`, or NOBODY.

    Attributes:
        images: sorted names, and z: (N, K), where they lie.
        people: sorted names of those whose opinions count.
        silent: how many people were left out, for they rated one image, or all alike.
        rated, rater: (R,), and standard: (R,), ratings less the person's mean, over the person's deviation.
        first, second, chooser: (P,), and won: (P,), 1 where the first is better, 0.5 in a tie.
    """

    images: tuple[str, ...]
    z: F64
    people: tuple[str, ...]
    silent: int
    rated: Indices
    standard: F64
    rater: Indices
    first: Indices
    second: Indices
    won: F64
    chooser: Indices

    def evidence(self, among: Mask, *, trust: float = 1.0, heard: Mask | None = None) -> Evidence:
        """Return what is said of some images, one row for each image rated and for each two compared.

        Args:
            among: (N,), which images; a choice counts where both are.
            trust: what one opinion weighs.
            heard: (people + 1,), who counts, the last for those who name nobody; absent, all do.
        """
        heard = np.ones(len(self.people) + 1, dtype=np.bool_) if heard is None else heard
        rows, mean, count = self._rated(heard[self.rater] & among[self.rated])
        pairs, share, times = self._compared(heard[self.chooser] & among[self.first] & among[self.second])
        design = np.zeros((len(rows) + len(pairs), self.z.shape[1] + 1))
        design[: len(rows), :-1] = self.z[rows]
        design[: len(rows), -1] = 1.0
        design[len(rows) :, :-1] = self.z[pairs[:, 0]] - self.z[pairs[:, 1]]
        is_rating = np.arange(len(design)) < len(rows)
        weight = trust * np.concatenate([count, times])
        return Evidence(design, np.concatenate([mean, share]), is_rating, is_rating, weight, bool(len(rows)))

    def means(self, among: Mask) -> tuple[Indices, F64]:
        """Return which of some images are rated, and the mean of their standardised ratings."""
        rows, mean, _ = self._rated(among[self.rated])
        return rows, mean

    def _rated(self, kept: Mask) -> tuple[Indices, F64, F64]:
        """Return which images are rated, their means, and how often."""
        count = np.bincount(self.rated[kept], minlength=len(self.images)).astype(np.float64)
        rows = np.flatnonzero(count)
        total = np.bincount(self.rated[kept], self.standard[kept], len(self.images))
        return rows, total[rows] / count[rows], count[rows]

    def _compared(self, kept: Mask) -> tuple[Indices, F64, F64]:
        """Return each two images compared (P, 2), in how many of the times the first won, and the times."""
        first, second, won = self.first[kept], self.second[kept], self.won[kept]
        swapped = first > second
        pairs = np.stack([np.where(swapped, second, first), np.where(swapped, first, second)], axis=1)
        each, at = np.unique(pairs, axis=0, return_inverse=True)
        times = np.bincount(at.reshape(-1), minlength=len(each)).astype(np.float64)
        wins = np.bincount(at.reshape(-1), np.where(swapped, 1 - won, won), len(each))
        return each.astype(np.intp), np.divide(wins, times), times


def pool(
    ratings: Iterable[Rating], pairs: Iterable[Pair], embeddings: Mapping[str, F32], background: Background
) -> Crowd:
    """Pool what people said.

    A person's ratings become distances from that person's mean in that person's standard deviations; opinions that
    name nobody are as if of one person. Who rated one image only, or all alike, tells no image from another and is
    left out.

    Raises:
        ValueError: a value is not finite, an image has no embedding or is compared with itself, there are too many, or
            nobody tells any image from another.
    """
    by_person = defaultdict[str, list[Rating]](list)
    for rating in sorted(ratings, key=lambda rating: (rating.person, rating.image, rating.value)):
        by_person[rating.person].append(rating)
    chosen = sorted(pairs, key=lambda pair: (pair.person, pair.better, pair.worse, pair.is_tie))
    standard = {person: _standard([rating.value for rating in said]) for person, said in by_person.items()}
    told = [one for person, values in standard.items() if values for one in zip(by_person[person], values, strict=True)]
    choosers = {pair.person for pair in chosen}
    people = sorted(({person for person, values in standard.items() if values} | choosers) - {""})
    silent = sum(not values and person not in choosers for person, values in standard.items())
    if not told and all(pair.is_tie for pair in chosen):
        raise ValueError("no opinion tells one image from another: who rates one image only, or all alike, is left out")
    compared = {name for pair in chosen for name in (pair.better, pair.worse)}
    images = sorted({rating.image for rating, _ in told} | compared)
    z = _placed(images, embeddings, background)
    place, who = {image: at for at, image in enumerate(images)}, {person: at for at, person in enumerate(people)}
    _check_pairs(chosen)
    return Crowd(
        tuple(images),
        z,
        tuple(people),
        silent,
        np.array([place[rating.image] for rating, _ in told], dtype=np.intp),
        np.array([value for _, value in told], dtype=np.float64),
        np.array([who.get(rating.person, NOBODY) for rating, _ in told], dtype=np.intp),
        np.array([place[pair.better] for pair in chosen], dtype=np.intp),
        np.array([place[pair.worse] for pair in chosen], dtype=np.intp),
        np.array([0.5 if pair.is_tie else 1.0 for pair in chosen], dtype=np.float64),
        np.array([who.get(pair.person, NOBODY) for pair in chosen], dtype=np.intp),
    )


def _standard(values: Sequence[float]) -> list[float]:
    """Return values less their mean over their deviation; nothing where they don't differ."""
    said = np.array(values, dtype=np.float64)
    if not np.isfinite(said).all():
        raise ValueError("a rating is not a finite number")
    if said.min() == said.max():
        return []
    said = said / np.abs(said).max()  # so that no square overflows
    return [float(one) for one in (said - said.mean()) / said.std()]


def _placed(images: Sequence[str], embeddings: Mapping[str, F32], background: Background) -> F64:
    if len(images) > MAX_ROWS:
        raise ValueError(f"opinions are of {len(images):,} images; the limit is {MAX_ROWS:,}")
    missing = [image for image in images if image not in embeddings]
    if missing:
        raise ValueError(f"there is no embedding of image {missing[0]!r}")
    return background.project(np.stack([embeddings[image] for image in images]))


def _check_pairs(pairs: Sequence[Pair]) -> None:
    different = {frozenset((pair.better, pair.worse)) for pair in pairs}
    if len(different) > MAX_ROWS:
        raise ValueError(f"opinions compare {len(different):,} different pairs of images; the limit is {MAX_ROWS:,}")
    if any(len(pair) < 2 for pair in different):
        raise ValueError("an image is compared with itself")
