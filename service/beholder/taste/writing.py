"""One write of one taste, as SQL: remove, embed, tell, and remember what was answered."""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from beholder.errors import InvalidSample, TasteFull
from beholder.taste.opinions import Choice, Opinion, Source, Verdict
from beholder.taste.store import Changes, Limits, Summary, Written

KEPT_REQUESTS = 1000
_AT_ONCE = 500
"""Values in one statement; SQLite before 3.32 takes no more than 999."""

Row = tuple[Any, ...]


class Rows(Protocol):
    """A transaction, which takes statements with a `?` for each value."""

    def all(self, sql: str, *values: Any) -> Sequence[Row]:
        """Return all rows of a query."""
        ...

    def run(self, sql: str, *values: Any) -> None:
        """Run a statement that has no rows."""
        ...

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement once for each row of values."""
        ...


class Writing:
    """One write, inside the transaction that it is made of.

    Args:
        taste: as it is before.
    """

    def __init__(self, rows: Rows, taste: Summary, changes: Changes, request_id: str, limits: Limits) -> None:
        self._rows, self._taste, self._changes, self._limits = rows, taste, changes, limits
        self._request_id, self._content = request_id, _fingerprint(changes)
        self._images, self._verdicts, self._choices = taste.images, taste.verdicts, taste.choices

    def earlier(self) -> Written | None:
        """Return what the first request of this id was answered.

        Raises:
            InvalidSample: it was for something else.
        """
        found = self._rows.all(
            "SELECT version, content, answer FROM requests WHERE taste_id = ? AND request_id = ?",
            *(self._taste.id, self._request_id),
        )
        for version, content, answer in found:
            if content != self._content:
                raise InvalidSample(
                    f"request_id {self._request_id} made version {version} with other opinions: choose another",
                    "request_id",
                )
            replaced, removed = json.loads(answer)
            return Written(version, tuple(map(_opinion_of, replaced)), tuple(map(_opinion_of, removed)))
        return None

    def do(self) -> Written:
        """Do it; the caller's transaction makes it all or nothing."""
        removed = self._remove()
        self._embed()
        replaced = (*self._judge(), *self._choose())
        written = Written(self._taste.version + 1, replaced, removed)
        self._remember(written)
        return written

    def _remove(self) -> tuple[Opinion, ...]:
        images = sorted(set(self._changes.remove))
        if not images:
            return ()
        verdicts = self._verdicts_of(images)
        choices = {**self._choices_of("low", images), **self._choices_of("high", images)}
        known = self._among("SELECT image FROM examples WHERE taste_id = ? AND image", images)
        self._rows.many(
            "DELETE FROM examples WHERE taste_id = ? AND image = ?", [(self._taste.id, image) for (image,) in known]
        )
        self._images -= len(known)
        self._verdicts -= len(verdicts)
        self._choices -= len(choices)
        return (*verdicts.values(), *choices.values())

    def _embed(self) -> None:
        named, given = self._changes.named, self._changes.embeddings
        known = {image for (image,) in self._among("SELECT image FROM examples WHERE taste_id = ? AND image", named)}
        new = sorted(named - known)
        if missing := [image for image in new if image not in given]:
            raise InvalidSample(f"taste {self._taste.name!r} holds no image {missing[0]}: send the image itself")
        if given:
            self._check_encoder()
        self._images += len(new)
        if self._images > self._limits.images:
            raise TasteFull(
                f"a taste may hold {self._limits.images} images; {self._taste.name!r} would hold {self._images}"
            )
        self._rows.many(
            "INSERT INTO examples (taste_id, image, embedding) VALUES (?, ?, ?)",
            ((self._taste.id, image, np.ascontiguousarray(given[image], "<f4").tobytes()) for image in new),
        )

    def _check_encoder(self) -> None:
        taste, digest, dims = self._taste, self._changes.encoder_digest, self._changes.dims
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
        last: dict[tuple[str, str], Choice] = {}
        for choice in self._changes.choices:
            key = _key_of(choice)
            if earlier := last.get(key) or before.get(key):
                yield earlier
            last[key] = choice
        self._choices += len(last.keys() - before.keys())
        if self._choices > self._limits.choices:
            raise TasteFull(
                f"a taste may hold {self._limits.choices} choices; {self._taste.name!r} would hold {self._choices}"
            )
        self._rows.many(
            "INSERT INTO choices (taste_id, low, high, outcome) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (taste_id, low, high) DO UPDATE SET outcome = excluded.outcome",
            [(self._taste.id, *key, _outcome_of(choice)) for key, choice in last.items()],
        )

    def _remember(self, written: Written) -> None:
        rows, taste_id = self._rows, self._taste.id
        rows.run(
            "UPDATE tastes SET version = ?, images = ?, verdicts = ?, choices = ?, changed_s = ? WHERE id = ?",
            *(written.version, self._images, self._verdicts, self._choices, time.time(), taste_id),
        )
        answer = json.dumps([list(map(_plain, written.replaced)), list(map(_plain, written.removed))])
        rows.run(
            "INSERT INTO requests (taste_id, request_id, version, content, answer) VALUES (?, ?, ?, ?, ?)",
            *(taste_id, self._request_id, written.version, self._content, answer),
        )
        rows.run("DELETE FROM requests WHERE taste_id = ? AND version <= ?", taste_id, written.version - KEPT_REQUESTS)

    def _verdicts_of(self, images: Collection[str]) -> dict[str, Verdict]:
        found = self._among("SELECT image, value, source FROM verdicts WHERE taste_id = ? AND image", images)
        return {row[0]: verdict_of(*row) for row in found}

    def _choices_of(self, side: str, images: Collection[str]) -> dict[tuple[str, str], Choice]:
        query = f"SELECT low, high, outcome FROM choices WHERE taste_id = ? AND {side}"  # noqa: S608
        return {(low, high): choice_of(low, high, outcome) for low, high, outcome in self._among(query, images)}

    def _among(self, query: str, images: Collection[str]) -> list[Row]:
        """Return the rows of `query`, which ends in the column that has to be one of `images`, in the images' order."""
        ordered, rows = sorted(images), list[Row]()
        for start in range(0, len(ordered), _AT_ONCE):
            part = ordered[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows += self._rows.all(f"{query} IN ({marks})", self._taste.id, *part)
        return sorted(rows)


def verdict_of(image: str, value: float, source: str) -> Verdict:
    """Return the verdict of a row."""
    return Verdict(image, value, Source(source))


def choice_of(low: str, high: str, outcome: int) -> Choice:
    """Return the choice of a row."""
    return Choice(high, low) if outcome < 0 else Choice(low, high, is_tie=outcome == 0)


def _outcome_of(choice: Choice) -> int:
    if choice.is_tie:
        return 0
    return 1 if choice.better < choice.worse else -1


def _key_of(choice: Choice) -> tuple[str, str]:
    return min(choice.better, choice.worse), max(choice.better, choice.worse)


def _plain(opinion: Opinion) -> list[str | float]:
    if isinstance(opinion, Verdict):
        return [opinion.image, float(opinion.value), opinion.source.value]
    return [*_key_of(opinion), _outcome_of(opinion)]


def _opinion_of(plain: list[Any]) -> Opinion:
    return verdict_of(*plain) if isinstance(plain[1], float) else choice_of(*plain)


def _fingerprint(changes: Changes) -> str:
    """Return what tells this write from another; not by embeddings, which come of the images that it names."""
    told = [list(map(_plain, changes.verdicts)), list(map(_plain, changes.choices)), sorted(set(changes.remove))]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
