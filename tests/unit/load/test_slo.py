"""Objectives, and the search for the highest rate that holds one."""

import math
import random
from collections.abc import Callable

import pytest

from beholder.load.histogram import Histogram
from beholder.load.slo import Objective, enough, interval, judge, parse_slo, search


def test_an_objective_is_read() -> None:
    assert parse_slo("p99=50ms") == [Objective(99.0, 0.05)]
    assert parse_slo("p50=20ms, p99.9 = 0.5s") == [Objective(50.0, 0.02), Objective(99.9, 0.5)]
    assert str(Objective(99.9, 0.5)) == "p99.9=500ms"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "want a percentile and a time with its unit"),
        ("p99", "such as p99=50ms"),
        ("p99=50", "got 'p99=50'"),
        ("p99<50ms", "got 'p99<50ms'"),
        ("mean=5ms", "got 'mean=5ms'"),
        ("p100=5ms", "below 100, got p100"),
        ("p0=5ms", "above 0"),
        ("p99=0ms", "a time above 0"),
        ("p99=50ms,", "got ''"),
    ],
)
def test_a_text_that_is_no_objective_says_what_one_is(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("<", "<")):
        parse_slo(text)


def latencies(*seconds: float) -> Histogram:
    histogram = Histogram()
    for one in seconds:
        histogram.record(one)
    return histogram


def test_an_objective_is_held_by_its_share_of_all_requests() -> None:
    objective = Objective(90.0, 0.05)
    assert judge(objective, latencies(*[0.04] * 9, 0.2), 0).is_held
    assert not judge(objective, latencies(*[0.04] * 8, 0.2, 0.2), 0).is_held


def test_a_request_that_was_refused_at_once_was_not_fast() -> None:
    objective = Objective(90.0, 0.05)
    assert not judge(objective, latencies(*[0.04] * 8), lost=2).is_held
    assert judge(objective, latencies(*[0.04] * 8), lost=2).seen_s == math.inf
    assert not judge(objective, latencies(), lost=0).is_held


def fake(edge: float, flips: float = 0.0, seed: int = 1) -> tuple[Callable[[float], bool], list[float]]:
    """Return a system that holds below `edge`, and at random near it, and the rates that it was asked."""
    dice, asked = random.Random(seed), list[float]()

    def holds(rate: float) -> bool:
        asked.append(rate)
        near = abs(math.log(rate / edge)) < 0.1
        return (rate <= edge) != (near and dice.random() < flips)

    return holds, asked


@pytest.mark.parametrize("edge", [3.0, 55.0, 70.0, 71.0, 1234.0])
def test_the_highest_rate_is_found_from_anywhere(edge: float) -> None:
    holds, asked = fake(edge)
    found = search(holds, 70.0, lowest=1.0)
    assert edge / 1.05 <= found.rate <= edge < found.broken <= found.rate * 1.05
    assert (found.runs, found.held) == (3, 3)
    assert asked == [rate for rate, _ in found.tried]
    assert asked[-3:] == [found.rate] * 3
    assert f"held in 3 of 3 runs at {found.rate:.3g}/s" in found.sentence


def test_what_holds_by_luck_is_not_found() -> None:
    for seed in range(40):
        holds, _ = fake(100.0, flips=0.3, seed=seed)
        found = search(holds, 50.0, lowest=1.0)
        assert 80 < found.rate < 111, seed
        assert [held for rate, held in found.tried][-3:] == [True] * 3


def test_one_unlucky_run_does_not_give_a_rate_up() -> None:
    fails = iter([False, True])  # the first run alone

    def holds(rate: float) -> bool:
        return next(fails, rate <= 100)

    assert search(holds, 90.0, lowest=1.0).rate > 95


def test_nothing_holds() -> None:
    found = search(lambda rate: False, 64.0, lowest=4.0)
    assert (found.rate, found.broken) == (0.0, 4.0)
    assert found.sentence == "no rate held it, down to 4/s"


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    low, high = interval(1.0, 100)
    assert (low, high) == pytest.approx((0.963, 1.0), abs=1e-3)
    assert interval(math.nan, 0) == (0.0, 1.0)


def test_ten_requests_should_exceed_a_percentile() -> None:
    assert [enough([Objective(percent, 1.0)]) for percent in (50, 90, 99, 99.9)] == [20, 100, 1000, 10_000]
