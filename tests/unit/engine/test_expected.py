"""The estimate of when new rows would be done: rounds of batches, company, and what runs already."""

import pytest

from beholder.engine.cost import CostModel
from beholder.engine.expected import Waiting, done_s, line_s, run_s

NOW = 100.0


def model(batch_s: float, row_s: float) -> CostModel:
    cost = CostModel()
    for rows in (1, 2, 4, 8):
        cost.observe(rows, float(rows), batch_s + row_s * rows, NOW)
    return cost


def seconds(rows: int, behind: int = 0, running: int = 0, runners: int = 1, turn_s: float = 0.0) -> float:
    found = run_s(model(0.010, 0.001), Waiting(rows, behind, running), 8, runners, turn_s, NOW)
    assert found is not None
    return found


def test_a_lone_row_takes_its_batch() -> None:
    assert seconds(1) == pytest.approx(0.011)


def test_rows_behind_ride_along_and_make_the_batch_longer() -> None:
    assert seconds(1, behind=100) == pytest.approx(0.018)


def test_a_batch_that_runs_counts_as_if_it_had_just_begun() -> None:
    assert seconds(1, running=1) == pytest.approx(0.022)


def test_batches_leave_in_rounds_one_for_each_runner() -> None:
    assert seconds(17, runners=2) == pytest.approx(2 * 0.018)


def test_free_runners_share_the_rows() -> None:
    assert seconds(4, runners=2) == pytest.approx(0.012)


def test_each_round_waits_for_its_turn_among_other_graphs() -> None:
    assert seconds(16, turn_s=0.1) == pytest.approx(2 * 0.118)


def test_nobody_knows_before_the_cost_is_learned() -> None:
    assert run_s(CostModel(), Waiting(1, 0, 0), 8, 1, 0.0, NOW) is None


def test_a_request_is_done_with_its_slowest_graph_after_it_is_prepared() -> None:
    prepare = CostModel()
    for _ in range(3):
        prepare.observe(1, 1.0, 0.002, NOW)
    assert done_s(prepare, 10, 2, [0.1, None, 0.3], NOW) == pytest.approx(0.010 + 0.3)
    assert done_s(prepare, 1, 2, [None], NOW) is None


def test_who_stands_in_line_for_threads_waits_for_all_that_is_before_it_and_on_its_way() -> None:
    each = CostModel()
    for _ in range(3):
        each.observe(1, 1.0, 0.010, NOW)

    def seconds(rows: int, running: int, together: int = 1, threads: int = 2) -> float | None:
        return line_s(each, Waiting(rows, 0, running), together, threads, NOW)

    assert seconds(1, 0) == pytest.approx(0.010)
    assert seconds(8, 2) == pytest.approx(0.050)
    assert seconds(1, 2, together=2) == pytest.approx(0.025)
    assert seconds(8, 2, together=2) == pytest.approx(0.065)
    assert line_s(CostModel(), Waiting(1, 0, 0), 1, 2, NOW) is None
