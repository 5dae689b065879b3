"""The cost model learns a line and forgets the past."""

import pytest

from beholder.engine.cost import STALE_S, CostModel

NOW = 100.0


def test_it_answers_nothing_before_it_has_seen_enough() -> None:
    model = CostModel()
    model.observe(1, 1.0, 0.1, NOW)
    model.observe(2, 2.0, 0.2, NOW)
    assert model.predict(1, 1, NOW) is None


def test_it_finds_the_cost_of_a_batch_and_of_a_row() -> None:
    model = CostModel()
    for rows in (1, 2, 4, 8, 3, 5):
        model.observe(rows, float(rows), 0.010 + 0.002 * rows, NOW)
    assert model.coefficients() == pytest.approx((0.010, 0.002))
    assert model.predict(2, 16, NOW) == pytest.approx(2 * 0.010 + 16 * 0.002)


def test_with_one_batch_size_seen_cost_is_proportional() -> None:
    model = CostModel()
    for _ in range(5):
        model.observe(4, 4.0, 0.020, NOW)
    assert model.predict(1, 8, NOW) == pytest.approx(0.040)


def test_rows_of_native_size_count_by_their_mean_work() -> None:
    model = CostModel()
    for rows in (1, 2, 3, 4):
        model.observe(rows, 0.5 * rows, 0.1 * rows, NOW)
    assert model.predict(1, 10, NOW) == pytest.approx(1.0)


def test_a_machine_that_gets_slower_is_followed() -> None:
    model = CostModel()
    for rows in (1, 2, 4, 8) * 10:
        model.observe(rows, float(rows), 0.001 * rows, NOW)
    for rows in (1, 2, 4, 8) * 60:
        model.observe(rows, float(rows), 0.003 * rows, NOW)
    assert model.predict(1, 8, NOW) == pytest.approx(0.024, rel=0.05)


def test_noise_never_makes_a_cost_negative() -> None:
    model = CostModel()
    for rows, seconds in ((1, 0.9), (8, 0.1), (2, 0.8), (7, 0.2)):
        model.observe(rows, float(rows), seconds, NOW)
    predicted = model.predict(1, 100, NOW)
    assert predicted is not None
    assert predicted > 0.0


def test_after_a_while_without_a_batch_it_begins_anew_so_that_one_slow_batch_is_not_held_against_all() -> None:
    model = CostModel()
    for seconds in (0.01, 0.01, 60.0):
        model.observe(1, 1.0, seconds, NOW)
    later = NOW + STALE_S
    assert model.predict(1, 1, later) == pytest.approx(20.0, rel=0.1)
    assert model.predict(1, 1, later + 0.1) is None
    for _ in range(3):
        model.observe(1, 1.0, 0.01, later + 0.2)
    assert model.predict(1, 1, later + 0.2) == pytest.approx(0.01)


def test_a_batch_that_stalled_is_not_taken_for_what_batches_cost() -> None:
    model = CostModel()
    for rows in (1, 2, 4, 8) * 10:
        model.observe(rows, float(rows), 0.001 * rows, NOW)
    model.observe(4, 4.0, 5.0, NOW)
    assert model.predict(1, 8, NOW) == pytest.approx(0.008, rel=0.25)


def test_a_machine_that_is_twenty_times_slower_all_at_once_is_believed_after_a_hundred_batches() -> None:
    model = CostModel()
    for rows in (1, 2, 4, 8) * 10:
        model.observe(rows, float(rows), 0.001 * rows, NOW)
    for rows in (1, 2, 4, 8) * 25:
        model.observe(rows, float(rows), 0.020 * rows, NOW)
    assert model.predict(1, 8, NOW) == pytest.approx(0.160, rel=0.5)
