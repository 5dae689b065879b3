"""Whom the parent links with whom."""

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
