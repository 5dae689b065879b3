"""A store of tastes in SQL that SQLite and PostgreSQL both speak; how to reach them is theirs."""

import hashlib
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Generic

import numpy as np

from beholder.errors import StoreFailed, TasteExists, TasteFull, TasteNotFound, VersionConflict
from beholder.store.answers import Request, content_of_changes, content_of_move
from beholder.store.changes import Changes, Written
from beholder.store.moving import move
from beholder.store.opinions import Taste
from beholder.store.pool import C, Pool
from beholder.store.rows import Rows, choice_of, key_of, outcome_of, verdict_of
from beholder.store.store import Limits, News, Summary, check_name, check_request_id
from beholder.store.writing import Writing
from beholder.types import F32

KEPT_DELETIONS = 10_000
_COLUMNS = "name, id, version, encoder, encoder_digest, images, verdicts, choices, created_s, changed_s"


class SqlStore(ABC, Generic[C]):
    """What `Store` says, on any database that can hold a transaction; it closes the two pools."""

    def __init__(self, limits: Limits, readers: Pool[C], writers: Pool[C]) -> None:
        self.limits, self._readers, self._writers = limits, readers, writers

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Rows]:
        """Begin a transaction that sees one moment."""

    @abstractmethod
    def _writing(self, name: str) -> AbstractContextManager[Rows]:
        """Begin a transaction that nobody else who writes `name` can overlap; committed unless the block raises.

        When `clock` is changed in it, the writers of all other tastes wait until it ends.
        """

    def _after_write(self, *, is_something_gone: bool) -> None:
        """Do what a database needs after a write is committed; nothing here."""

    def close(self) -> None:
        """Let go of the database: see `Store`."""
        self._readers.close()
        self._writers.close()

    def create(
        self, name: str, encoder: str, encoder_digest: str, request_id: str, changes: Changes | None = None
    ) -> Taste:
        """Make a taste: see `Store`."""
        check_name(name)
        check_request_id(request_id)
        content = changes or Changes()
        made_of = f"{encoder} {encoder_digest} {content_of_changes(content) if changes else ''}"
        made = Taste(uuid.uuid4().hex, name, 1, encoder, encoder_digest, **_told(content))
        with self._writing(name) as rows:
            for taste_id, *first in rows.all("SELECT id, request_id, made_of FROM tastes WHERE name = ?", name):
                if first != [request_id, made_of]:
                    raise TasteExists(
                        f"there is a taste {name!r} already: tell it more, or choose another name", "name"
                    )
                return replace(made, id=taste_id)
            _insert(rows, made, request_id, made_of)
            Writing(rows, _summary(rows, name), content, self.limits).do()
            _, tastes = _tick(rows, made.id, 1)
            if tastes > self.limits.tastes:
                raise TasteFull(f"the store may hold {self.limits.tastes} tastes; this would be number {tastes}")
        self._after_write(is_something_gone=False)
        return made

    def get(self, name: str) -> Taste:
        """Return everything that is kept of a taste: see `Store`."""
        check_name(name)
        with self._reading() as rows:
            it = _summary(rows, name)
            examples = rows.all("SELECT image, embedding FROM examples WHERE taste_id = ? ORDER BY image", it.id)
            verdicts = rows.all("SELECT image, value, source FROM verdicts WHERE taste_id = ? ORDER BY image", it.id)
            choices = rows.all("SELECT low, high, outcome FROM choices WHERE taste_id = ? ORDER BY low, high", it.id)
        if (len(examples), len(verdicts), len(choices)) != (it.images, it.verdicts, it.choices):
            raise StoreFailed(f"taste {name!r}: parts of it are missing from the store")
        return Taste(
            it.id,
            name,
            it.version,
            it.encoder,
            it.encoder_digest,
            verdicts={row[0]: verdict_of(*row) for row in verdicts},
            choices=[choice_of(*row) for row in choices],
            embeddings={image: _embedding_of(blob) for image, blob in examples},
        )

    def summary(self, name: str) -> Summary:
        """Return what `list` says of one taste: see `Store`."""
        check_name(name)
        with self._reading() as rows:
            return _summary(rows, name)

    def list(self, after_name: str = "", limit: int = 100) -> Sequence[Summary]:
        """Return the tastes after a name: see `Store`."""
        if after_name:
            check_name(after_name)
        with self._reading() as rows:
            query = f"SELECT {_COLUMNS} FROM tastes WHERE name > ? ORDER BY name LIMIT ?"  # noqa: S608
            return [Summary(*row) for row in rows.all(query, after_name, limit)]

    def originals(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield the images as sent: see `Store`."""
        return self._originals(name, self.summary(name).id)

    def write(self, name: str, changes: Changes, request_id: str, expected_version: int = 0) -> Written:
        """Do all of `changes` or nothing: see `Store`."""

        def do(rows: Rows, taste: Summary) -> Written:
            return Writing(rows, taste, changes, self.limits).do()

        content = content_of_changes(changes)
        return self._once(do, name, request_id, content, expected_version, is_something_gone=changes.is_removing)

    def move(
        self,
        name: str,
        encoder: str,
        encoder_digest: str,
        embeddings: Mapping[str, F32],
        request_id: str,
        expected_version: int = 0,
    ) -> Written:
        """Change a taste's encoder: see `Store`."""

        def do(rows: Rows, taste: Summary) -> Written:
            return move(rows, taste, encoder, encoder_digest, embeddings)

        content = content_of_move(encoder, encoder_digest)
        return self._once(do, name, request_id, content, expected_version, is_something_gone=True)

    def delete(self, name: str, request_id: str, expected_version: int = 0) -> None:
        """Forget a taste: see `Store`."""
        check_name(name)
        check_request_id(request_id)
        request = hashlib.sha256(f"{name} {request_id}".encode()).hexdigest()  # no name outlives its taste
        with self._writing(name) as rows:
            if rows.all("SELECT seq FROM deletions WHERE request = ?", request):
                return
            taste = _summary(rows, name)
            _check_version(taste, expected_version)
            rows.run("DELETE FROM tastes WHERE id = ?", taste.id)
            seq, _ = _tick(rows, taste.id, -1)
            rows.run("INSERT INTO deletions (seq, id, request) VALUES (?, ?, ?)", seq, taste.id, request)
            old = rows.all("SELECT seq FROM deletions ORDER BY seq DESC LIMIT 1 OFFSET ?", KEPT_DELETIONS)
            for (last,) in old:
                rows.run("DELETE FROM deletions WHERE seq <= ?", last)
                rows.run("UPDATE clock SET forgotten = ?", last)
        self._after_write(is_something_gone=True)

    def changed_since(self, cursor: int) -> News:
        """Return which tastes changed since `cursor`: see `Store`."""
        with self._reading() as rows:
            ((seq, forgotten),) = rows.all("SELECT seq, forgotten FROM clock")
            if cursor == seq:
                return News(seq)
            if not forgotten <= cursor < seq:
                return News(seq, is_everything=True)
            ids = rows.all(
                "SELECT id FROM tastes WHERE seq > ? UNION SELECT id FROM deletions WHERE seq > ?", cursor, cursor
            )
        return News(seq, frozenset(taste_id for (taste_id,) in ids))

    def _once(
        self,
        do: Callable[[Rows, Summary], Written],
        name: str,
        request_id: str,
        content: str,
        expected_version: int,
        *,
        is_something_gone: bool,
    ) -> Written:
        """Change a taste, unless this request did so before."""
        check_name(name)
        check_request_id(request_id)
        with self._writing(name) as rows:
            taste = _summary(rows, name)
            request = Request(rows, taste.id, request_id, content)
            if earlier := request.earlier():
                return earlier
            _check_version(taste, expected_version)
            written = do(rows, taste)
            request.answer(written)
            _tick(rows, taste.id)
        self._after_write(is_something_gone=is_something_gone)
        return written

    def _originals(self, name: str, taste_id: str) -> Iterator[tuple[str, bytes]]:
        image = ""
        while True:
            with self._reading() as rows:
                if _summary(rows, name).id != taste_id:
                    raise TasteNotFound(f"taste {name!r} was deleted meanwhile", "name")
                found = rows.all(
                    "SELECT image, original FROM originals WHERE taste_id = ? AND image > ? ORDER BY image LIMIT 1",
                    *(taste_id, image),
                )
            if not found:
                return
            ((image, original),) = found
            yield image, original


def _told(changes: Changes) -> dict[str, Any]:
    """Return what an empty taste holds after `changes`, as `get` would."""
    verdicts = {it.image: it for it in changes.verdicts}
    choices = {key_of(it.better, it.worse): it for it in changes.choices}
    return {
        "verdicts": dict(sorted(verdicts.items())),
        "choices": [choice_of(*pair, outcome_of(it)) for pair, it in sorted(choices.items())],
        "embeddings": dict(sorted(changes.embeddings.items())),
    }


def _insert(rows: Rows, taste: Taste, request_id: str, made_of: str) -> None:
    now_s = time.time()
    rows.run(
        "INSERT INTO tastes (id, name, version, encoder, encoder_digest, dims, images, verdicts, choices,"
        " created_s, changed_s, request_id, seq, made_of) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, ?, ?, ?, 0, ?)",
        *(taste.id, taste.name, taste.version, taste.encoder, taste.encoder_digest, now_s, now_s, request_id, made_of),
    )


def _tick(rows: Rows, taste_id: str, more: int = 0) -> tuple[int, int]:
    """Count one write, of a taste, and `more` tastes; return the counts. Last in a transaction: others wait."""
    rows.run("UPDATE clock SET seq = seq + 1, tastes = tastes + ?", more)
    ((seq, tastes),) = rows.all("SELECT seq, tastes FROM clock")
    rows.run("UPDATE tastes SET seq = ? WHERE id = ?", seq, taste_id)
    return seq, tastes


def _summary(rows: Rows, name: str) -> Summary:
    found = rows.all(f"SELECT {_COLUMNS} FROM tastes WHERE name = ?", name)  # noqa: S608
    if not found:
        raise TasteNotFound(f"there is no taste {name!r}", "name")
    return Summary(*found[0])


def _check_version(taste: Summary, expected: int) -> None:
    if expected not in (0, taste.version):
        raise VersionConflict(
            f"taste {taste.name!r} is of version {taste.version}, not {expected}: read it again, then write",
            "expected_version",
        )


def _embedding_of(blob: bytes) -> F32:
    return np.frombuffer(blob, "<f4").astype(np.float32, copy=False)
