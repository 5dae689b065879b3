"""Histograms against numpy's percentiles of the same numbers."""

import json
import math

import numpy as np
import pytest

from beholder.load.histogram import Histogram, bucket_of, highest_us, merged

PERCENTS = (0.1, 1, 25, 50, 90, 99, 99.9, 100)


def histogram_of(seconds: np.ndarray) -> Histogram:
    histogram = Histogram()
    for one in seconds.tolist():
        histogram.record(one)
    return histogram


@pytest.mark.parametrize("name", ["lognormal", "uniform", "two humps", "alike"])
def test_percentiles_are_numpys_to_a_thousandth(name: str) -> None:
    dice = np.random.default_rng(7)
    seconds = {
        "lognormal": dice.lognormal(-4, 1.5, 20_011),
        "uniform": dice.uniform(0.0005, 3.0, 20_011),
        "two humps": np.concatenate([dice.normal(0.01, 0.001, 19_000), dice.normal(2.0, 0.1, 1_011)]),
        "alike": np.full(50, 0.0123),
    }[name]
    histogram = histogram_of(seconds)
    expected = np.percentile(seconds, PERCENTS, method="inverted_cdf")
    found = [histogram.percentile_s(percent) for percent in PERCENTS]
    assert found == pytest.approx(expected, rel=1e-3, abs=1.01e-6)
    assert all(one >= value for one, value in zip(found, expected, strict=True)), "a percentile flatters"
    assert histogram.mean_s == pytest.approx(seconds.mean())
    assert histogram.max_s == seconds.max()


def test_buckets_are_contiguous_and_never_wider_than_a_thousandth() -> None:
    for bucket in range(60_000):
        top = highest_us(bucket)
        assert bucket_of(top) == bucket
        assert bucket_of(top + 1) == bucket + 1
        assert top - highest_us(bucket - 1) <= max(1, top / 1000) if bucket else top == 0


def test_histograms_of_processes_add_up_to_that_of_all() -> None:
    seconds = np.random.default_rng(8).lognormal(-4, 1, 3_000)
    whole = histogram_of(seconds)
    parts = merged([histogram_of(part) for part in np.array_split(seconds, 3)])
    assert parts.counts == whole.counts
    assert parts.total_s == pytest.approx(whole.total_s)
    assert parts.max_s == whole.max_s


def test_what_is_written_is_read_again() -> None:
    whole = histogram_of(np.random.default_rng(9).lognormal(-2, 2, 500))
    again = Histogram.from_json(json.loads(json.dumps(whole.to_json())))
    assert again.counts == whole.counts
    assert again.percentile_s(99) == pytest.approx(whole.percentile_s(99), abs=1e-6)


def test_requests_that_were_never_answered_are_the_slowest() -> None:
    histogram = histogram_of(np.full(98, 0.01))
    assert histogram.percentile_s(98, never=2) == pytest.approx(0.01, rel=1e-3)
    assert histogram.percentile_s(99, never=2) == math.inf
    assert Histogram().percentile_s(50, never=1) == math.inf
    assert math.isnan(Histogram().percentile_s(50))


def test_within_counts_what_is_not_longer() -> None:
    histogram = histogram_of(np.array([0.010, 0.020, 0.030]))
    assert [histogram.within(limit) for limit in (0.009, 0.010, 0.025, 1.0)] == [0, 1, 2, 3]
