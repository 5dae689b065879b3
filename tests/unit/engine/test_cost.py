"""The cost model learns a line and forgets the past."""

import pytest

from beholder.engine.cost import CostModel


def test_it_answers_nothing_before_it_has_seen_enough() -> None:
    model = CostModel()
    model.observe(1, 1.0, 0.1)
    model.observe(2, 2.0, 0.2)
    assert model.predict(1, 1) is None


def test_it_finds_the_cost_of_a_batch_and_of_a_row() -> None:
    model = CostModel()
    for rows in (1, 2, 4, 8, 3, 5):
        model.observe(rows, float(rows), 0.010 + 0.002 * rows)
    assert model.coefficients() == pytest.approx((0.010, 0.002))
    assert model.predict(2, 16) == pytest.approx(2 * 0.010 + 16 * 0.002)


def test_with_one_batch_size_seen_cost_is_proportional() -> None:
    model = CostModel()
    for _ in range(5):
        model.observe(4, 4.0, 0.020)
    assert model.predict(1, 8) == pytest.approx(0.040)


def test_rows_of_native_size_count_by_their_mean_work() -> None:
    model = CostModel()
    for rows in (1, 2, 3, 4):
        model.observe(rows, 0.5 * rows, 0.1 * rows)
    assert model.predict(1, 10) == pytest.approx(1.0)


def test_a_machine_that_gets_slower_is_followed() -> None:
    model = CostModel()
    for rows in (1, 2, 4, 8) * 10:
        model.observe(rows, float(rows), 0.001 * rows)
    for rows in (1, 2, 4, 8) * 60:
        model.observe(rows, float(rows), 0.003 * rows)
    assert model.predict(1, 8) == pytest.approx(0.024, rel=0.05)


def test_noise_never_makes_a_cost_negative() -> None:
    model = CostModel()
    for rows, seconds in ((1, 0.9), (8, 0.1), (2, 0.8), (7, 0.2)):
        model.observe(rows, float(rows), seconds)
    predicted = model.predict(1, 100)
    assert predicted is not None
    assert predicted > 0.0
