"""Whom the parent links with whom, and whom it tells of memory that is lent."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from beholder.fronts import control
from beholder.fronts.keeper import RELINK, Keeper, Plan
from beholder.fronts.member import ENGINE, FRONT

PLAN = Plan(2, lambda _: 1, lambda *_: None, 0, 0.0, 0.0)


@dataclass(eq=False)
class FakeMember:
    """What the parent knows of a process, without the process."""

    role: str
    number: int
    is_up: bool = False
    memory: int = 0
    value: Any = None
    told: list[tuple[str, object]] = field(default_factory=list)

    def tell(self, what: str, value: object = None, descriptors: object = ()) -> None:
        self.told.append((what, value))


@pytest.fixture
def engine() -> FakeMember:
    return FakeMember(ENGINE, 0)


@pytest.fixture
def fronts() -> list[FakeMember]:
    return [FakeMember(FRONT, number) for number in range(2)]


@pytest.fixture
def keeper(engine: FakeMember, fronts: list[FakeMember]) -> Keeper:
    keeper = Keeper(PLAN, lambda _: None)
    keeper._members = {(one.role, one.number): one for one in (engine, *fronts)}  # type: ignore[misc]
    return keeper


def test_all_that_are_up_are_linked_once(keeper: Keeper, engine: FakeMember, fronts: list[FakeMember]) -> None:
    keeper._handle(control.BUILT, fronts[0], None)  # type: ignore[arg-type]
    assert not fronts[0].told
    keeper._handle(control.READY, engine, None)  # type: ignore[arg-type]
    keeper._handle(control.BUILT, fronts[1], None)  # type: ignore[arg-type]
    assert [front.told for front in fronts] == [[(control.LINK, 0)]] * 2
    assert engine.told == [(control.LINK, 0), (control.LINK, 1)]


def test_a_link_that_breaks_between_two_that_live_is_made_again(
    keeper: Keeper, engine: FakeMember, fronts: list[FakeMember]
) -> None:
    for what, one in ((control.READY, engine), *((control.BUILT, front) for front in fronts)):
        keeper._handle(what, one, None)  # type: ignore[arg-type]
    keeper._handle(control.LOST, fronts[1], 0)  # type: ignore[arg-type]
    what, _, value = keeper._events.get(timeout=10)
    assert what == RELINK
    keeper._handle(what, None, value)  # type: ignore[arg-type]
    assert [len(one.told) for one in (engine, *fronts)] == [3, 1, 2]


@pytest.fixture
def descriptor() -> Iterator[int]:
    ours, theirs = os.pipe()
    yield ours
    os.close(ours)
    os.close(theirs)


def test_memory_is_known_once_all_fronts_that_are_there_said_so(
    keeper: Keeper, fronts: list[FakeMember], descriptor: int
) -> None:
    keeper._handle(control.BUILT, fronts[0], None)  # type: ignore[arg-type]
    found = list[bool]()
    lender = threading.Thread(target=lambda: found.append(keeper.know(b"token", 7, descriptor)))
    lender.start()
    what, _, known = keeper._events.get(timeout=10)
    keeper._handle(what, None, known)  # type: ignore[arg-type]
    assert not known.by_all.is_set()
    keeper._handle(control.BUILT, fronts[1], None)  # type: ignore[arg-type]
    keeper._handle(control.KNOWN, fronts[0], b"token")  # type: ignore[arg-type]
    assert known.by_all.is_set()
    lender.join()
    assert found == [True]
    assert [front.told for front in fronts] == [[(control.KNOW, (b"token", 7))]] * 2
    keeper.forget(b"token")
    for what, _, value in (keeper._events.get(timeout=10), (control.FORGET, None, b"never lent")):
        keeper._handle(what, None, value)  # type: ignore[arg-type]
    assert [front.told[1:] for front in fronts] == [[(control.FORGET, b"token")]] * 2
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(known.descriptor)


def test_who_does_not_say_so_is_not_waited_for_for_long(
    keeper: Keeper, fronts: list[FakeMember], descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beholder.fronts.keeper.KNOWN_S", 0.01)
    keeper._handle(control.BUILT, fronts[0], None)  # type: ignore[arg-type]
    assert not keeper.know(b"token", 7, descriptor)
    assert not keeper.know(b"token", 7, -1)
