"""What an engine process tells all fronts of its lanes."""

from dataclasses import dataclass

import pytest

from beholder.engine.cost import Cost, CostModel
from beholder.fronts.board import SIZE_BYTES, Board
from beholder.fronts.memory import Memory, shared_file
from beholder.types import Priority


@dataclass
class FakeLane:
    """What a board asks of a lane."""

    cost: Cost | None = None
    is_ready: bool = True
    turn_s: float = 0.25


def test_a_front_reads_what_the_engine_wrote() -> None:
    board = Board(Memory(shared_file(SIZE_BYTES)))
    assert not board.is_ready(3)
    assert board.cost(3) is None
    board.add_rows(3, Priority.BATCH, 5)
    board.add_rows(3, Priority.BATCH, -2)
    board.tell(3, FakeLane(Cost(0.5, 0.125, 7.0)))  # type: ignore[arg-type]
    assert (board.rows(3, Priority.INTERACTIVE), board.rows(3, Priority.BATCH)) == (0, 3)
    assert board.is_ready(3)
    assert board.turn_s(3) == 0.25
    assert board.cost(3) == Cost(0.5, 0.125, 7.0)
    assert not board.is_ready(2)
    assert not board.is_ready(4)


def test_what_a_model_hands_on_predicts_as_it_does() -> None:
    model = CostModel()
    assert model.known() is None
    for rows in (1, 2, 4, 8, 3):
        model.observe(rows, rows * 1.5, 0.01 + 0.002 * rows, now=float(rows))
    known = model.known()
    assert known is not None
    for batches, rows in ((1, 1), (2, 7), (1, 8)):
        assert known.predict(batches, rows, 9.0) == pytest.approx(model.predict(batches, rows, 9.0))
    assert known.predict(1, 1, 100.0) is model.predict(1, 1, 100.0) is None
