"""When requests are sent."""

import itertools

import numpy as np
import pytest

from beholder.load.arrivals import Rate, Recorded, Segment, bursts, constant, ramp, share


def test_even_arrivals_have_one_gap() -> None:
    times = list(constant(10, 2, is_even=True).times(1))
    assert times == pytest.approx(np.arange(20) / 10 + 0.05)


def test_poisson_arrivals_have_the_mean_and_the_spread_of_independent_callers() -> None:
    times = np.array(list(constant(1000, 20).times(1)))
    gaps = np.diff(times)
    assert len(times) == pytest.approx(20_000, abs=5 * 20_000**0.5)
    assert gaps.mean() == pytest.approx(1e-3, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    counts = np.bincount((times * 10).astype(int))
    assert counts.var() == pytest.approx(counts.mean(), rel=0.3)
    assert (np.diff(times) >= 0).all()


def test_the_seed_alone_decides() -> None:
    pattern = constant(100, 2)
    assert list(pattern.times(3)) == list(pattern.times(3))
    assert list(pattern.times(3)) != list(pattern.times(4))


def test_a_ramp_has_its_rate_at_every_moment() -> None:
    times = np.array(list(ramp(0, 200, 10, is_even=True).times(1)))
    assert len(times) == 1000
    # The number before t is the integral of the rate: 200 t^2 / 20.
    expected = [200 * moment**2 / 20 for moment in (1, 3, 7)]
    assert [float((times < moment).sum()) for moment in (1, 3, 7)] == pytest.approx(expected, abs=1)
    down = list(ramp(200, 0, 10, is_even=True).times(1))
    assert down == pytest.approx(sorted(10 - times), abs=1e-6)


def test_bursts_come_after_quiet_and_end_with_the_leg() -> None:
    pattern = bursts(10, 100, 1, 5, 12, is_even=True)
    assert [(one.seconds, one.first) for one in pattern.segments] == [(4, 10), (1, 100), (4, 10), (1, 100), (2, 10)]
    counts = np.bincount(np.array(list(pattern.times(1))).astype(int), minlength=12)
    assert counts[4] == counts[9] == 100
    assert counts[[0, 1, 2, 3, 5, 8, 11]].tolist() == [10] * 7
    assert pattern.peak == 100
    assert pattern.mean == pytest.approx(300 / 12)


def test_a_stretch_of_no_load_sends_nothing() -> None:
    pattern = Rate((Segment(1, 5, 5), Segment(3, 0, 0), Segment(1, 5, 5)), is_even=True)
    times = list(pattern.times(1))
    assert len(times) == 10
    assert not [moment for moment in times if 1 < moment < 4]


def test_workers_share_all_arrivals_and_none_twice() -> None:
    pattern = constant(50, 3)
    parts = [list(share(pattern.times(2), worker, 3)) for worker in range(3)]
    whole = sorted(itertools.chain(*parts))
    assert [number for number, _ in whole] == list(range(len(whole)))
    assert [moment for _, moment in whole] == list(pattern.times(2))


def test_a_recording_is_played_as_it_is() -> None:
    recorded = Recorded((0.0, 0.1, 0.1, 2.5), (-1, 0, -1, -1), (-1, -1, -1, 2))
    assert list(recorded.times(1)) == [0.0, 0.1, 0.1, 2.5]
    assert (recorded.seconds, recorded.mean, recorded.peak) == (2.5, 1.6, 3.0)
