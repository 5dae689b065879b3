"""Stores of tastes that tests of this folder share: each test runs on every kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import postgres_server
from beholder.store.open import open_store
from beholder.store.store import Limits, Store
from taste_values import DIGEST, ENCODER

Open = Callable[..., Store]


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.PostgresServer]:
    """Return a real PostgreSQL server; shared, so leave it as it is."""
    with postgres_server.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store of tastes, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "tastes.db")
    server: postgres_server.PostgresServer = request.getfixturevalue("postgres")
    return server.empty_database()


@pytest.fixture
def open_it(address: str) -> Iterator[Open]:
    """Return a function that opens that store; all are closed at the end."""
    opened: list[Store] = []

    def open_one(limits: Limits = Limits()) -> Store:  # noqa: B008
        opened.append(open_store(address, limits))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_it: Open) -> Store:
    """Return that store."""
    return open_it()


@pytest.fixture
def ann(store: Store) -> Store:
    """Return that store, with an empty taste of this name."""
    store.create("ann", ENCODER, DIGEST, "make")
    return store
