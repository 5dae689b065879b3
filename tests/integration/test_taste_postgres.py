"""PostgreSQL as replicas meet it: it goes away and comes back, is read-only, full of others' locks, or refuses."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import postgres_server
from beholder.errors import ConfigError, StoreUnavailable
from beholder.store.postgres import PostgresStore
from beholder.store.store import Limits
from postgres_server import PostgresServer
from taste_values import DIGEST, ENCODER, changes, dislike, image, like, tell_one

BUSY_S = 0.3


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server.running() as server:
        yield server


@pytest.fixture
def address(server: PostgresServer) -> str:
    return server.empty_database()


@pytest.fixture
def store(address: str) -> Iterator[PostgresStore]:
    store = PostgresStore(address, busy_s=BUSY_S)
    store.create("ann", ENCODER, DIGEST, "make")
    yield store
    store.close()


def test_a_server_that_crashes_loses_nothing_and_is_found_again(store: PostgresStore, server: PostgresServer) -> None:
    for number in range(20):
        tell_one(store, "ann", number, f"r{number}")
    store.get("ann")
    server.crash()
    for act in (lambda: store.get("ann"), lambda: tell_one(store, "ann", 20, "r20"), lambda: store.changed_since(0)):
        with pytest.raises(StoreUnavailable, match="out of reach") as caught:
            act()
        assert caught.value.retry_after_s > 0.0
    server.start()
    assert set(store.get("ann").verdicts) == set(map(image, range(20)))
    assert tell_one(store, "ann", 20, "r20").version == 22


def test_a_connection_that_was_cut_is_not_used_twice(store: PostgresStore, address: str) -> None:
    tell_one(store, "ann", 1, "a")
    with psycopg.connect(address, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'beholder' AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailable):
        store.write("ann", changes(dislike(1)), "b")
    assert store.write("ann", changes(dislike(1)), "b").replaced == (like(1),)


def test_a_taste_that_is_locked_refuses_in_time_and_others_go_on(store: PostgresStore, address: str) -> None:
    store.create("bob", ENCODER, DIGEST, "make")
    with psycopg.connect(address) as other:
        other.execute("SELECT 1 FROM beholder.tastes WHERE name = 'ann' FOR UPDATE")
        start_s = time.monotonic()
        with pytest.raises(StoreUnavailable, match="written by others"):
            tell_one(store, "ann", 1, "a")
        assert time.monotonic() - start_s < 5.0
        assert store.get("ann").version == 1
        assert tell_one(store, "bob", 1, "a").version == 2
    assert tell_one(store, "ann", 1, "a").version == 2


def test_a_read_only_server_still_answers_readers(store: PostgresStore, address: str, server: PostgresServer) -> None:
    tell_one(store, "ann", 1, "a")
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("ALTER ROLE beholder SET default_transaction_read_only = on")
    try:
        replica = PostgresStore(address, busy_s=BUSY_S)
        assert replica.get("ann").version == 2
        with pytest.raises(StoreUnavailable):
            tell_one(replica, "ann", 2, "b")
        replica.close()
    finally:
        with psycopg.connect(address, autocommit=True) as other:
            other.execute("SET default_transaction_read_only = off")
            other.execute("ALTER ROLE beholder RESET default_transaction_read_only")


def test_acknowledged_means_synced_even_where_the_operator_turned_that_off(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("ALTER ROLE beholder SET synchronous_commit = off")
    try:
        store = PostgresStore(address, busy_s=BUSY_S)
        with store._writers.taken() as connection:
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        store.close()
    finally:
        with psycopg.connect(address, autocommit=True) as other:
            other.execute("ALTER ROLE beholder RESET synchronous_commit")


def test_writers_wait_for_each_other_whatever_isolation_the_operator_prefers(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("ALTER ROLE beholder SET default_transaction_isolation = serializable")
    try:
        stores = [PostgresStore(address) for _ in range(2)]
        stores[0].create("ann", ENCODER, DIGEST, "make")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: tell_one(stores[n % 2], "ann", n, f"r{n}"), range(60)))
        assert stores[0].get("ann").version == 61
        for store in stores:
            store.close()
    finally:
        with psycopg.connect(address, autocommit=True) as other:
            other.execute("ALTER ROLE beholder RESET default_transaction_isolation")


def test_a_server_out_of_reach_is_said_in_one_line(server: PostgresServer) -> None:
    with pytest.raises(ConfigError, match="the store of tastes: ") as caught:
        PostgresStore(f"postgresql://ann:secret@/none?host={server.folder}/nowhere", Limits(), BUSY_S)
    assert "\n" not in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "address", ["postgresql://ann:secret@host/db?nonsense=1", "postgresql://ann:sec ret@[host/db", "ann:secret"]
)
def test_an_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ConfigError, match="libpq") as caught:
        PostgresStore(address, Limits(), BUSY_S)
    assert "secret" not in caught.value.message
    assert "sec ret" not in caught.value.message


def test_a_user_who_may_not_make_the_tables_is_told(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("CREATE ROLE guest LOGIN")
    try:
        with pytest.raises(ConfigError, match="permission denied"):
            PostgresStore(address.replace("beholder@", "guest@"), Limits(), BUSY_S)
    finally:
        with psycopg.connect(address, autocommit=True) as other:
            other.execute("DROP ROLE guest")
