"""Agreement of two tastes and certainty of one, against brute force on sampled images."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from taste_making import background, images, told

from beholder.taste.agreement import certainty, compare, correlation, rank_correlation
from beholder.taste.head import Head
from beholder.taste.learner import fit

ROWS = images(60, seed=7)
Z = background().project(ROWS)
ANN = fit(told(ROWS, likes=range(6), dislikes=range(10, 14)), background())
BOB = fit(told(ROWS, likes=[0, 1, 20, 21], choices=[(2, 3), (30, 31)]), background())
FOE = fit(told(ROWS, likes=range(10, 14), dislikes=range(6)), background())
RATER = fit(told(ROWS, ratings={row: float(np.sin(row)) for row in range(25)}), background())
NOBODY = fit(told(ROWS), background())
EVERYBODY = (ANN, BOB, FOE, RATER, NOBODY)


def sampled(count: int = 200_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, background().dimensions)) * np.sqrt(background().variance)


@pytest.mark.parametrize("other", [BOB, FOE, RATER])
def test_agreement_is_the_correlation_of_opinions_on_sampled_images(other: Head) -> None:
    z = sampled()
    expected = np.corrcoef(z @ ANN.weights + ANN.bias, z @ other.weights + other.bias)[0, 1]
    assert correlation(ANN, other, background()) == pytest.approx(expected, abs=0.01)


def test_agreement_on_the_images_of_the_background_is_exact() -> None:
    """Its variance is theirs, along axes on which they do not vary together."""
    z = background().project(images(200, seed=1))
    expected = np.corrcoef(z @ ANN.weights, z @ BOB.weights)[0, 1]
    assert correlation(ANN, BOB, background()) == pytest.approx(expected, abs=1e-4)


def test_agreement_is_mutual_whole_with_oneself_and_opposite_with_ones_opposite() -> None:
    for one in EVERYBODY:
        for other in EVERYBODY:
            found = correlation(one, other, background())
            assert -1 <= found <= 1
            assert found == pytest.approx(correlation(other, one, background()), abs=1e-12)
    assert correlation(ANN, ANN, background()) == pytest.approx(1, abs=1e-12)
    assert correlation(ANN, FOE, background()) == pytest.approx(-1, abs=1e-6)


def test_agreement_is_of_what_is_liked_not_of_how_much() -> None:
    warm = dataclasses.replace(BOB, weights=BOB.weights * 9, bias=3.0)
    assert correlation(ANN, warm, background()) == pytest.approx(correlation(ANN, BOB, background()), abs=1e-12)


def test_who_says_nothing_agrees_with_nobody() -> None:
    assert correlation(ANN, NOBODY, background()) == correlation(NOBODY, NOBODY, background()) == 0
    found = compare(ANN, NOBODY, Z)
    assert found.rank_correlation == 0
    assert np.all(found.second == 0.5)


def test_candidates_are_compared_by_what_each_taste_says_of_them_the_most_disputed_first() -> None:
    found = compare(ANN, BOB, Z)
    assert np.array_equal(found.first, ANN.judge(Z).p_like)
    assert np.array_equal(found.second, BOB.judge(Z).p_like)
    apart = np.abs(found.first - found.second)[found.order]
    assert np.all(np.diff(apart) <= 0)
    assert sorted(found.order) == list(range(60))


def test_tastes_that_agree_everywhere_dispute_candidates_in_the_order_they_came() -> None:
    found = compare(ANN, ANN, Z)
    assert list(found.order) == list(range(60))
    assert found.rank_correlation == pytest.approx(1, abs=1e-12)
    assert compare(ANN, FOE, Z).rank_correlation == pytest.approx(-1, abs=1e-12)


def test_no_candidates_and_one_have_nothing_to_rank() -> None:
    for count in (0, 1):
        found = compare(ANN, BOB, Z[:count])
        assert len(found.order) == len(found.first) == len(found.second) == count
        assert found.rank_correlation == 0


def by_hand(values: list[int]) -> np.ndarray:
    return np.array([sum(o < v for o in values) + (sum(o == v for o in values) - 1) / 2 for v in values])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12))
def test_ranks_correlate_as_counted_by_hand_where_equals_share_their_middle_rank(both: list[tuple[int, int]]) -> None:
    one, other = (by_hand([pair[side] for pair in both]) for side in (0, 1))
    expected = 0.0 if one.std() == 0 or other.std() == 0 else np.corrcoef(one, other)[0, 1]
    found = rank_correlation(*np.array(both, dtype=np.float64).T)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("head", EVERYBODY)
def test_certainty_is_the_mean_square_doubt_about_sampled_images(head: Head) -> None:
    after, before = certainty(head, background())
    z = sampled(50_000)
    assert after == pytest.approx(np.sqrt(np.mean(head.judge(z).sd ** 2)), rel=0.01)
    variance = head.weight_sd**2 * (z * z).sum(axis=1) + head.bias_sd**2
    assert before == pytest.approx(np.sqrt(variance.mean()), rel=0.01)


def test_who_was_told_nothing_is_as_unsure_as_before_and_each_thing_told_makes_surer() -> None:
    after, before = certainty(NOBODY, background())
    assert after == before
    sds = [certainty(fit(told(ROWS, likes=range(count)), background()), background()) for count in (1, 3, 9, 27)]
    assert all(one[0] > two[0] for one, two in zip([(after, before), *sds], sds, strict=False))
    assert {found[1] for found in sds} == {before}


def test_a_taste_of_another_space_is_refused() -> None:
    other = dataclasses.replace(ANN, weights=np.zeros(3))
    with pytest.raises(ValueError, match="3 weights"):
        correlation(ANN, other, background())
    with pytest.raises(ValueError, match="3 weights"):
        certainty(other, background())
