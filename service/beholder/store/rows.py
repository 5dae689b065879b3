"""Rows of the tables that tastes lie in, and the opinions that they say."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

from beholder.store.opinions import Choice, Source, Verdict

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


def among(rows: Rows, query: str, taste_id: str, images: Collection[str]) -> list[Row]:
    """Return the rows of `query` in order; it asks for a taste's id, and ends in a column to be one of `images`."""
    ordered, found = sorted(images), list[Row]()
    for start in range(0, len(ordered), _AT_ONCE):
        part = ordered[start : start + _AT_ONCE]
        marks = ", ".join(["(?)"] * len(part))
        found += rows.all(f"{query} IN (VALUES {marks})", taste_id, *part)  # a bare list is searched from end to end
    return sorted(found)


def verdict_of(image: str, value: float, source: str) -> Verdict:
    """Return the verdict of a row."""
    return Verdict(image, value, Source(source))


def choice_of(low: str, high: str, outcome: int) -> Choice:
    """Return the choice of a row."""
    return Choice(high, low) if outcome < 0 else Choice(low, high, is_tie=outcome == 0)


def outcome_of(choice: Choice) -> int:
    """Return what a row says of a choice: 1 where the lower id is better, -1 where the higher is, 0 in a tie."""
    if choice.is_tie:
        return 0
    return 1 if choice.better < choice.worse else -1


def key_of(image: str, other: str) -> tuple[str, str]:
    """Return the two ids as a row has them, the lower first."""
    return min(image, other), max(image, other)
