"""Reads TOML files; every complaint names the file, the key, what is wanted and what was found."""

import difflib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from beholder.errors import ConfigError

SHA256 = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


class Table:
    """A TOML table; what it refuses is a ConfigError.

    Args:
        where: file and table, for complaints.
    """

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where, self._read = data, where, set[str]()

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """Return a value of a kind; without a default it must be there."""
        self._read.add(key)
        value = self._data.get(key, default)
        if value is None:
            raise ConfigError(f"{self._where}: {key} is missing")
        if not is_of(value, kind):
            raise ConfigError(f"{self._where}: {key}: want {kind.__name__}, got {value!r}")
        found: T = value
        return found

    def whole(self, key: str, low: int, high: float = math.inf, default: int | None = None) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.get(key, int, default)
        if not low <= value <= high:
            limits = f"from {low}" if math.isinf(high) else f"from {low} to {high}"
            raise self.wrong(key, f"a whole number {limits}", value)
        return value

    def texts(self, key: str, default: list[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts, none of them empty, each once."""
        values = self.get(key, list, default)
        if not all(is_of(value, str) and value for value in values) or len(set(values)) < len(values):
            raise self.wrong(key, "a list of texts, each once", values)
        return tuple(values)

    def member(self, key: str, kinds: type[E]) -> E:
        """Return the member of an enum that the text names."""
        text = self.get(key, str)
        if text not in kinds.__members__:
            raise self.wrong(key, f"one of {', '.join(kinds.__members__)}", text)
        return kinds[text]

    def sha256(self) -> str:
        """Return the digest under the key `sha256`."""
        value = self.get("sha256", str)
        if not SHA256.fullmatch(value):
            raise self.wrong("sha256", "64 lowercase hex digits", value)
        return value

    def table(self, key: str) -> "Table":
        """Return the table under a key; an empty one where there is none."""
        return Table(self.get(key, dict, {}), f"{self._where}: [{key}]")

    def tables(self, key: str) -> list["Table"]:
        """Return the tables under a key; none where there are none."""
        return [Table(value, f"{self._where}: [[{key}]]") for value in self.mappings(key)]

    def mappings(self, key: str) -> list[Mapping[str, Any]]:
        """Return the tables under a key as they are, for others to check."""
        values = self.get(key, list, [])
        if not all(is_of(value, dict) for value in values):
            raise self.wrong(key, "a list of tables", values)
        return values

    def wrong(self, key: str, want: str, got: object) -> ConfigError:
        """Build the complaint about one key."""
        return ConfigError(f"{self._where}: {key}: want {want}, got {got!r}")

    def done(self) -> None:
        """Refuse the keys that nobody read."""
        for key in self._data:
            if key not in self._read:
                near = difflib.get_close_matches(key, self._read, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(self._read))}"
                raise ConfigError(f"{self._where}: unknown key {key}{hint}")


def read_table(path: Path) -> Table:
    """Read a TOML file.

    Raises:
        ConfigError: it can't be read, or is not TOML.
    """
    try:
        return Table(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def is_of(value: object, kind: type) -> bool:
    """Tell whether a TOML value is of a kind: a whole number is a float too, true and false are no numbers."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
