"""Connections: who waits, who goes on with a used one, and what happens to one that failed."""

import threading

import pytest

from beholder.errors import InvalidSample, StoreUnavailable
from beholder.store.pool import Pool


class Connection:
    """What a pool holds."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


class House:
    """A pool, and every connection that it made."""

    def __init__(self, size: int = 1, wait_s: float = 0.02) -> None:
        self.made: list[Connection] = []
        self.pool = Pool(self.connect, size, wait_s)

    def connect(self) -> Connection:
        self.made.append(Connection())
        return self.made[-1]


def test_a_connection_is_used_again() -> None:
    house = House()
    for _ in range(3):
        with house.pool.taken():
            pass
    assert len(house.made) == 1


def test_nobody_waits_for_ever() -> None:
    house = House()
    with house.pool.taken(), pytest.raises(StoreUnavailable, match=r"no turn within 0\.02 s"), house.pool.taken():
        pass
    with house.pool.taken():
        pass


def test_two_threads_never_hold_the_same() -> None:
    house = House(size=2, wait_s=5.0)
    together = threading.Barrier(2)
    held: list[Connection] = []

    def hold() -> None:
        with house.pool.taken() as connection:
            together.wait(5.0)
            held.append(connection)

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held[0] is not held[1]


def test_after_a_failure_of_the_database_every_idle_connection_is_new() -> None:
    house = House(size=3)
    with house.pool.taken(), house.pool.taken():
        pass
    with pytest.raises(OSError, match="gone"), house.pool.taken():
        raise OSError("gone")
    assert [connection.is_closed for connection in house.made] == [True, True]
    with house.pool.taken() as connection:
        assert not connection.is_closed


def test_an_answer_that_is_an_error_keeps_the_connection() -> None:
    house = House()
    with pytest.raises(InvalidSample), house.pool.taken():
        raise InvalidSample("no such taste")
    with house.pool.taken() as connection:
        assert not connection.is_closed
    assert len(house.made) == 1


def test_a_connection_that_cannot_be_made_takes_nobodys_turn() -> None:
    def connect() -> Connection:
        raise OSError("no server")

    pool = Pool(connect, 1, 0.01)
    for _ in range(3):
        with pytest.raises(OSError, match="no server"), pool.taken():
            pass


def test_closing_closes_the_idle_now_and_the_taken_when_they_come_back() -> None:
    house = House(size=2)
    with house.pool.taken() as taken:
        with house.pool.taken():
            pass
        house.pool.close()
        assert [connection.is_closed for connection in house.made] == [False, True]
        assert not taken.is_closed
    assert taken.is_closed
    with pytest.raises(StoreUnavailable, match="closed"), house.pool.taken():
        pass
