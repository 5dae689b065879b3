"""The store of tastes that needs nothing else: one SQLite file, which other processes of the same machine may share."""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from beholder.errors import ConfigError, StoreFailed, StoreUnavailable
from beholder.store.pool import Pool
from beholder.store.rows import Row, Rows
from beholder.store.schema import MIGRATIONS, missing
from beholder.store.sql import SqlStore
from beholder.store.store import Limits

log = logging.getLogger(__name__)

APPLICATION_ID = 0x6265686F
"""Says in the file's header whose it is: "beho"."""
LOG_BYTES = 2**26
"""What the write-ahead log keeps of the disk after a write that needed more."""
READERS = 4
_WRONG = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked by another process",
    sqlite3.SQLITE_FULL: "has no room left on its disk",
    sqlite3.SQLITE_READONLY: "can't be written",
    sqlite3.SQLITE_CANTOPEN: "can't be opened",
    sqlite3.SQLITE_PERM: "can't be opened",
    sqlite3.SQLITE_IOERR: "can't be read or written: its disk fails",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is damaged, or no SQLite database",
}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class SqliteStore(SqlStore[sqlite3.Connection]):
    """Tastes in one file; every write is synced before it is answered, and what is deleted is overwritten.

    Args:
        path: of the file; it and its folders are made where they are missing. Not on a network's file system.
        busy_s: how long to wait for another writer.

    Raises:
        ConfigError: the file can't be made, opened or written, is damaged, locked, not ours or of a newer version.
    """

    def __init__(self, path: Path, limits: Limits = Limits(), busy_s: float = 5.0) -> None:  # noqa: B008
        super().__init__(limits, Pool(self._connect, READERS, busy_s), Pool(self._connect, 1, busy_s))
        self._path, self._busy_s = path.absolute(), busy_s
        self._has_leftovers = False
        try:
            with self._opening(), self._writers.taken() as connection:
                self._prepare(connection)
        except ConfigError:
            self.close()
            raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Rows]:
        with self._using(), self._readers.taken() as connection, _transaction(connection, "BEGIN"):
            yield _Rows(connection)

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[Rows]:
        with self._using(), self._writers.taken() as connection, _transaction(connection, "BEGIN IMMEDIATE"):
            yield _Rows(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the file this version's, or leave it as it is."""
        with _transaction(connection, "BEGIN IMMEDIATE"):
            ((owner,),) = connection.execute("PRAGMA application_id")
            ((version,),) = connection.execute("PRAGMA user_version")
            ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
            if owner != APPLICATION_ID and (owner or version or tables):
                raise ConfigError(f"{self._path} is another program's database")
            for statement in missing(version, str(self._path), text="TEXT", blob="BLOB"):
                connection.execute(statement)
            if version < len(MIGRATIONS):
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        self._turn_to_wal(connection)

    def _turn_to_wal(self, connection: sqlite3.Connection) -> None:
        """Change how the file is written; SQLite does not wait for others here, so this does."""
        deadline_s = time.monotonic() + self._busy_s
        while True:
            try:
                ((mode,),) = connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise ConfigError(f"{self._path}: its file system can't do what a write-ahead log needs")

    def _after_write(self, *, is_something_gone: bool) -> None:
        """Empty the write-ahead log, which holds what the tables forgot; where that fails, after the next write."""
        self._has_leftovers |= is_something_gone
        if not self._has_leftovers:
            return
        try:
            with self._using(), self._writers.taken() as connection:
                ((is_busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._has_leftovers = bool(is_busy)
        except (StoreUnavailable, StoreFailed) as error:
            log.warning("what was deleted is still in the log of %s: %s", self._path, error)

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        """Tell the operator what is wrong."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(0o600)
            yield
        except OSError as error:
            raise ConfigError(f"the store of tastes {self._path} can't be opened: {error.strerror}") from error
        except sqlite3.Error as error:
            what = _WRONG.get(_code_of(error), "fails")
            raise ConfigError(f"the store of tastes {self._path} {what}: {error}") from error

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        """Tell the log what is wrong, and the caller what to expect."""
        try:
            yield
        except sqlite3.Error as error:
            code = _code_of(error)
            log.exception("the store of tastes %s failed", self._path)
            if code in _DAMAGE or code not in _WRONG:
                raise StoreFailed("the store of tastes failed; the server's log has the reason") from error
            raise StoreUnavailable(f"the store of tastes {_WRONG[code]}; nothing was written", 1.0) from error


class _Rows:
    """See `Rows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self, sql: str, *values: Any) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> None:
        self._connection.execute(sql, values)

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        self._connection.executemany(sql, rows)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # some failures, such as a full disk, have rolled back already
            connection.execute("ROLLBACK")


def _code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary code; -1 where the error is Python's own."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the log's index could not grow
        return sqlite3.SQLITE_FULL
    return code & 0xFF if code >= 0 else code
