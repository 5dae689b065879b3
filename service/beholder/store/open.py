"""Which store the operator's address names."""

from pathlib import Path

from beholder.errors import ConfigError
from beholder.store.sqlite import SqliteStore
from beholder.store.store import Limits, Store

SCHEMES = ("postgresql://", "postgres://")


def open_store(address: str, limits: Limits) -> Store:
    """Open the store at `address`: postgresql://… or the path of a file.

    Raises:
        ConfigError: it can't be opened, or PostgreSQL's client is not installed.
    """
    if not address.startswith(SCHEMES):
        return SqliteStore(Path(address), limits)
    try:
        from beholder.store.postgres import PostgresStore
    except ImportError as error:
        raise ConfigError(
            "a store of tastes in PostgreSQL needs its client: pip install 'beholder[postgres]'"
        ) from error
    return PostgresStore(address, limits)
