"""One write of one taste, as SQL: remove, embed, keep, tell, and count what there is after it."""

from collections.abc import Collection, Iterator

import numpy as np

from beholder.config import MIB
from beholder.errors import InvalidSample, TasteFull
from beholder.store.changes import Changes, Written, dims_of
from beholder.store.opinions import Choice, Opinion, Verdict
from beholder.store.rows import Row, Rows, among, choice_of, key_of, outcome_of, verdict_of
from beholder.store.store import Limits, Summary

Pair = tuple[str, str]


class Writing:
    """One write, inside the transaction that it is made of.

    Args:
        taste: as it is before.
    """

    def __init__(self, rows: Rows, taste: Summary, changes: Changes, limits: Limits) -> None:
        self._rows, self._taste, self._changes, self._limits = rows, taste, changes, limits
        self._images, self._verdicts, self._choices = taste.images, taste.verdicts, taste.choices

    def do(self) -> Written:
        """Do it, but for the version; the caller's transaction makes it all or nothing."""
        removed = self._remove()
        self._embed()
        self._keep()
        replaced = (*self._judge(), *self._choose())
        self._rows.run(
            "UPDATE tastes SET images = ?, verdicts = ?, choices = ? WHERE id = ?",
            *(self._images, self._verdicts, self._choices, self._taste.id),
        )
        return Written(self._taste.version + 1, replaced, removed)

    def _remove(self) -> tuple[Opinion, ...]:
        images, pairs = set(self._changes.remove), {key_of(*pair) for pair in self._changes.remove_choices}
        verdicts = self._verdicts_of(images.union(self._changes.remove_verdicts))
        single = self._choices_of("low", {low for low, _ in pairs})
        choices = {
            **{pair: choice for pair, choice in single.items() if pair in pairs},
            **self._choices_of("low", images),
            **self._choices_of("high", images),
        }
        taste_id = self._taste.id
        self._rows.many(
            "DELETE FROM verdicts WHERE taste_id = ? AND image = ?", [(taste_id, image) for image in verdicts]
        )
        self._rows.many(
            "DELETE FROM choices WHERE taste_id = ? AND low = ? AND high = ?", [(taste_id, *pair) for pair in choices]
        )
        self._verdicts -= len(verdicts)
        self._choices -= len(choices)
        touched = verdicts.keys() | {image for pair in choices for image in pair}
        self._forget(images | self._unnamed(touched - images))
        return (*verdicts.values(), *choices.values())

    def _unnamed(self, images: Collection[str]) -> set[str]:
        """Return those of `images` that no opinion names, stored or new."""
        left = set(images) - self._changes.named
        left -= self._verdicts_of(left).keys()
        left -= {low for low, _ in self._choices_of("low", left)}
        return left - {high for _, high in self._choices_of("high", left)}

    def _forget(self, images: Collection[str]) -> None:
        known = self._held("examples", images)
        self._rows.many(
            "DELETE FROM examples WHERE taste_id = ? AND image = ?", [(self._taste.id, image) for image in known]
        )
        self._images -= len(known)

    def _embed(self) -> None:
        named, given = self._changes.named, self._changes.embeddings
        new = sorted(named - self._held("examples", named))
        if missing := [image for image in new if image not in given]:
            raise InvalidSample(f"taste {self._taste.name!r} holds no image {missing[0]}: send the image itself")
        if given:
            self._check_encoder(dims_of(given))
        self._images += len(new)
        if self._images > self._limits.images:
            raise TasteFull(
                f"a taste may hold {self._limits.images} images; {self._taste.name!r} would hold {self._images}"
            )
        self._rows.many(
            "INSERT INTO examples (taste_id, image, embedding) VALUES (?, ?, ?)",
            ((self._taste.id, image, np.ascontiguousarray(given[image], "<f4").tobytes()) for image in new),
        )

    def _check_encoder(self, dims: int) -> None:
        taste, digest = self._taste, self._changes.encoder_digest
        if digest != taste.encoder_digest:
            raise InvalidSample(
                f"taste {taste.name!r} was told with encoder {taste.encoder} of digest {taste.encoder_digest[:12]};"
                f" these embeddings are of {digest[:12] or 'an unnamed one'}"
            )
        ((stored,),) = self._rows.all("SELECT dims FROM tastes WHERE id = ?", taste.id)
        if stored not in (0, dims):
            raise InvalidSample(f"taste {taste.name!r} has embeddings of {stored} numbers; these have {dims}")
        if not stored:
            self._rows.run("UPDATE tastes SET dims = ? WHERE id = ?", dims, taste.id)

    def _keep(self) -> None:
        given = self._changes.originals
        new = sorted(given.keys() - self._held("originals", given.keys()))
        if not new:
            return
        ((kept,),) = self._rows.all(
            "SELECT COALESCE(SUM(LENGTH(original)), 0) FROM originals WHERE taste_id = ?", self._taste.id
        )
        size_mb, limit_mb = (kept + sum(len(given[image]) for image in new)) / MIB, self._limits.originals_mb
        if size_mb > limit_mb:
            raise TasteFull(
                f"a taste may keep {limit_mb} MiB of images as sent; {self._taste.name!r} would keep {size_mb:.3f} MiB"
            )
        self._rows.many(
            "INSERT INTO originals (taste_id, image, original) VALUES (?, ?, ?)",
            ((self._taste.id, image, given[image]) for image in new),
        )

    def _judge(self) -> Iterator[Opinion]:
        before = self._verdicts_of({verdict.image for verdict in self._changes.verdicts})
        last: dict[str, Verdict] = {}
        for verdict in self._changes.verdicts:
            if earlier := last.get(verdict.image) or before.get(verdict.image):
                yield earlier
            last[verdict.image] = verdict
        self._verdicts += len(last.keys() - before.keys())
        self._rows.many(
            "INSERT INTO verdicts (taste_id, image, value, source) VALUES (?, ?, ?, ?) ON CONFLICT (taste_id, image)"
            " DO UPDATE SET value = excluded.value, source = excluded.source",
            [(self._taste.id, it.image, it.value, it.source.value) for it in last.values()],
        )

    def _choose(self) -> Iterator[Opinion]:
        before = self._choices_of("low", {min(it.better, it.worse) for it in self._changes.choices})
        last: dict[Pair, Choice] = {}
        for choice in self._changes.choices:
            pair = key_of(choice.better, choice.worse)
            if earlier := last.get(pair) or before.get(pair):
                yield earlier
            last[pair] = choice
        self._choices += len(last.keys() - before.keys())
        if self._choices > self._limits.choices:
            raise TasteFull(
                f"a taste may hold {self._limits.choices} choices; {self._taste.name!r} would hold {self._choices}"
            )
        self._rows.many(
            "INSERT INTO choices (taste_id, low, high, outcome) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (taste_id, low, high) DO UPDATE SET outcome = excluded.outcome",
            [(self._taste.id, *pair, outcome_of(choice)) for pair, choice in last.items()],
        )

    def _held(self, table: str, images: Collection[str]) -> set[str]:
        query = f"SELECT image FROM {table} WHERE taste_id = ? AND image"  # noqa: S608
        return {image for (image,) in self._among(query, images)}

    def _verdicts_of(self, images: Collection[str]) -> dict[str, Verdict]:
        found = self._among("SELECT image, value, source FROM verdicts WHERE taste_id = ? AND image", images)
        return {row[0]: verdict_of(*row) for row in found}

    def _choices_of(self, side: str, images: Collection[str]) -> dict[Pair, Choice]:
        query = f"SELECT low, high, outcome FROM choices WHERE taste_id = ? AND {side}"  # noqa: S608
        return {(low, high): choice_of(low, high, outcome) for low, high, outcome in self._among(query, images)}

    def _among(self, query: str, images: Collection[str]) -> list[Row]:
        return among(self._rows, query, self._taste.id, images)
