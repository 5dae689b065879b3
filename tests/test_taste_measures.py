"""The numbers of docs/taste.md are what they are called: AUC, pairs, intervals over people, calibration."""

from pathlib import Path

import numpy as np
import pytest

from bench.taste.people import People
from bench.taste.splits import COUNTS, is_liked, splits
from bench.taste.statistics import (
    FEWEST,
    auc,
    calibration,
    calibration_error,
    difference,
    estimate,
    pairs_right,
    tenths,
)
from bench.taste.ways import logistic, nearest

RNG = np.random.default_rng(3)


def test_auc_counts_who_beats_whom() -> None:
    score, liked = RNG.integers(0, 6, 40).astype(float), RNG.random(40) < 0.4
    wins = [(a > b) + 0.5 * (a == b) for a in score[liked] for b in score[~liked]]
    assert auc(score, liked) == pytest.approx(np.mean(wins))
    assert auc(liked.astype(float), liked) == 1
    assert auc(-liked.astype(float), liked) == 0
    assert auc(np.zeros(40), liked) == 0.5


def test_pairs_of_one_content_are_those_alone() -> None:
    opinion, contents = np.array([1.0, 2, 3, 4]), np.array([0, 0, 1, 1])
    score = np.array([5.0, 6, 2, 1])
    assert pairs_right(score, opinion, contents) == 0.5
    assert pairs_right(score, opinion) == pytest.approx(1 / 6)
    assert np.isnan(pairs_right(score, opinion, np.arange(4)))


def test_an_interval_is_as_wide_as_theory_has_it() -> None:
    values = RNG.normal(0.7, 0.1, 200)
    found = estimate(values)
    half = 1.96 * values.std() / np.sqrt(200)
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.mean == pytest.approx(half, rel=0.1)
    assert found.mean - found.low == pytest.approx(half, rel=0.1)


def test_few_people_have_no_interval_and_no_verdict() -> None:
    found = estimate([0.1] * (FEWEST - 1) + [float("nan")])
    assert not found.is_known
    assert found.sign == 0
    assert (found.people, found.positive) == (FEWEST - 1, FEWEST - 1)


def test_a_difference_is_person_by_person() -> None:
    people = RNG.normal(0.7, 0.2, 20)
    assert difference(list(people + 0.01), list(people)).sign == 1
    assert difference(list(people - 0.01), list(people)).sign == -1
    assert difference(list(people + RNG.normal(0, 0.1, 20) * np.tile([1, -1], 10)), list(people)).people == 20


def test_tenths_keep_the_ends() -> None:
    counts = tenths(np.array([0.0, 0.05, 0.95, 1.0]), np.array([False, True, True, True]))
    assert counts[0].tolist() == [2, 0.05, 1]
    assert counts[9].tolist() == [2, 1.95, 2]
    assert counts[1:9].sum() == 0


def test_calibration_error_is_the_mean_gap() -> None:
    said = np.array([0.25] * 4 + [0.75] * 4)
    assert calibration_error(tenths(said, np.array([True, False, False, False] * 2))) == pytest.approx(0.25)
    true = np.array([True, False, False, False, True, True, True, False])
    assert calibration_error(tenths(said, true)) == pytest.approx(0)


def test_calibration_is_of_all_people_together() -> None:
    sure = [tenths(np.full(10, 0.95), np.full(10, wins)) for wins in (True, False)] * 4
    found = calibration(np.stack(sure))
    assert found.mean == pytest.approx(0.45)
    assert found.low < found.mean <= found.high
    assert not calibration(np.stack(sure[:2])).is_known


def people_of(series: int) -> People:
    contents = np.arange(120) // series
    opinions = {name: RNG.normal(size=120) for name in ("ann", "bob")}
    return People("some", "", [Path(str(index)) for index in range(120)], contents, opinions, splits=3)


@pytest.mark.parametrize("series", [1, 3])
def test_no_content_is_on_both_sides_of_a_split(series: int) -> None:
    people = people_of(series)
    for count in COUNTS:
        for split, _ in splits(people, "ann", count):
            shown = np.concatenate([split.likes, split.dislikes, split.drawn])
            assert len(split.likes) == len(split.dislikes) == count
            assert is_liked(people.opinions["ann"])[split.likes].all()
            assert not is_liked(people.opinions["ann"])[split.dislikes].any()
            assert not set(people.contents[shown]) & set(people.contents[split.held_out])


def test_draws_are_the_same_for_whoever_asks() -> None:
    people = people_of(1)
    one, other = ([split.likes.tolist() for split, _ in splits(people, "bob", 5)] for _ in range(2))
    assert one == other
    assert len({tuple(likes) for likes in one}) == 3


def test_simpler_ways_find_what_tells_likes_from_dislikes() -> None:
    people = people_of(1)
    rows = RNG.normal(size=(120, 8)).astype(np.float32)
    rows[:, 0] += 4 * is_liked(people.opinions["ann"])
    for split, _ in splits(people, "ann", 8):
        for way in (nearest, logistic):
            found = auc(way(rows, split)[split.held_out], is_liked(people.opinions["ann"])[split.held_out])
            assert found > 0.85, way
