"""The store of tastes that several replicas share: a PostgreSQL database.

What is deleted is gone from every answer at once, and from the server's files when its own vacuum, log recycling and
backups have passed: those are the operator's.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
from psycopg import errors

from beholder.errors import ConfigError, StoreFailed, StoreUnavailable
from beholder.store.pool import Pool
from beholder.store.rows import Row, Rows
from beholder.store.schema import MIGRATIONS, missing
from beholder.store.sql import SqlStore
from beholder.store.store import Limits

log = logging.getLogger(__name__)

KEEPALIVE_S = 5
"""A server that fell silent is noticed after three times this, not after the minutes that TCP would wait."""
LOCKS = 0x6265686F
"""Sets our advisory locks apart from those of others in the same database: "beho"."""
READERS, WRITERS = 4, 4

_SETTINGS = (
    b"SELECT set_config('lock_timeout', %(lock_ms)s::text, false)",
    b"SELECT set_config('search_path', 'beholder', false)",
    b"SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)

Connection = psycopg.Connection[Row]


class PostgresStore(SqlStore[Connection]):
    """Tastes in the schema `beholder` of a database, which is made where it is missing.

    Args:
        address: as libpq takes it, such as postgresql://user@host/database.
        busy_s: how long to wait for a connection, or for another writer of the same taste.

    Raises:
        ConfigError: out of reach, not allowed, or of a newer version.
    """

    def __init__(self, address: str, limits: Limits = Limits(), busy_s: float = 5.0) -> None:  # noqa: B008
        super().__init__(limits, Pool(self._connect_reader, READERS, busy_s), Pool(self._connect, WRITERS, busy_s))
        self._address, self._busy_s = address, busy_s
        try:
            with self._writers.taken() as connection:
                _prepare(connection)
        except psycopg.ProgrammingError as error:  # of an address; never repeat it, it may hold a password
            what = error.diag.message_primary or "the address is none that PostgreSQL's libpq can read"
            raise ConfigError(f"the store of tastes: {what}") from None
        except psycopg.Error as error:
            raise ConfigError(f"the store of tastes: {' '.join(str(error).split())}") from error
        except ConfigError:
            self.close()
            raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Rows]:
        with _using(), self._readers.taken() as connection, connection.transaction():
            yield _Rows(connection)

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[Rows]:
        with _using(), self._writers.taken() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (LOCKS, name))
            yield _Rows(connection)

    def _connect(self) -> Connection:
        connection = psycopg.connect(
            self._address,
            autocommit=True,
            application_name="beholder",
            connect_timeout=max(2, round(self._busy_s)),
            keepalives_idle=KEEPALIVE_S,
            keepalives_interval=KEEPALIVE_S,
            keepalives_count=2,
            tcp_user_timeout=3 * KEEPALIVE_S * 1000,
        )
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # a writer waits, then sees what others did
        try:
            for statement in _SETTINGS:
                connection.execute(statement, {"lock_ms": round(self._busy_s * 1000)})
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> Connection:
        connection = self._connect()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection


class _Rows:
    """See `Rows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self, sql: str, *values: Any) -> list[Row]:
        return self._connection.execute(_query(sql), values, binary=True).fetchall()

    def run(self, sql: str, *values: Any) -> None:
        self._connection.execute(_query(sql), values)

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_query(sql), rows)


def _query(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _prepare(connection: Connection) -> None:
    """Bring the schema to this version, or leave it as it is."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (LOCKS,))
        if not _has(connection, "to_regnamespace('beholder')"):
            connection.execute("CREATE SCHEMA beholder")
        if not _has(connection, "to_regclass('beholder.migrations')"):
            connection.execute("CREATE TABLE migrations (version BIGINT NOT NULL)")
            connection.execute("INSERT INTO migrations VALUES (0)")
        ((version,),) = connection.execute("SELECT version FROM migrations").fetchall()
        for statement in missing(version, "the store of tastes", text='TEXT COLLATE "C"', blob="BYTEA"):
            connection.execute(statement.encode())
        if version < len(MIGRATIONS):
            connection.execute("UPDATE migrations SET version = %s", (len(MIGRATIONS),))


def _has(connection: Connection, what: str) -> bool:
    ((found,),) = connection.execute(f"SELECT {what} IS NOT NULL".encode()).fetchall()
    return bool(found)


@contextlib.contextmanager
def _using() -> Iterator[None]:
    """Tell the log what is wrong, and the caller what to expect."""
    try:
        yield
    except psycopg.Error as error:
        log.exception("the store of tastes failed")
        if isinstance(error, errors.DiskFull):
            raise StoreUnavailable("the store of tastes has no room left; nothing was written", 1.0) from error
        if isinstance(error, errors.LockNotAvailable):
            raise StoreUnavailable("the taste is being written by others; nothing was written", 1.0) from error
        if isinstance(error, psycopg.OperationalError | errors.ReadOnlySqlTransaction):
            raise StoreUnavailable("the store of tastes is out of reach", 1.0) from error
        raise StoreFailed("the store of tastes failed; the server's log has the reason") from error
