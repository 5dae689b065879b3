"""Questions: what they are expected to teach, and that they do."""

import itertools
import time
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taste_making import background, images, told

from beholder.taste.head import DOUBT, Head
from beholder.taste.learner import fit
from beholder.taste.questions import Question, information, suggest

ROWS = images(40, seed=9)
Z = background().project(ROWS)
HEAD = fit(told(ROWS, likes=[0, 1], dislikes=[2], choices=[(3, 4), (5, 6)]), background())
KNOWS_NOTHING = fit(told(ROWS), background())


def pairs(questions: list[Question]) -> list[tuple[int, int]]:
    return [(question.first, question.second) for question in questions]


def integral(gap: float, variance: float) -> float:
    """Return the mutual information of a logistic answer and a normal opinion by brute force."""
    steps = np.linspace(-9, 9, 6001)
    weight = np.exp(-steps * steps / 2)
    weight /= weight.sum()
    opinion = gap + np.sqrt(variance) * steps
    likely = 1 / (1 + np.exp(-opinion))
    mean = float(weight @ likely)
    known = weight @ (likely * np.logaddexp(0, -opinion) + (1 - likely) * np.logaddexp(0, opinion))
    return float(-mean * log(mean) - (1 - mean) * log(1 - mean) - known)


def variance_of_gap(head: Head, one: int, other: int, z: np.ndarray = Z) -> float:
    apart = head.weight_sd * (z[one] - z[other])
    return float(apart @ apart - np.sum((head.factor.astype(np.float64) @ apart) ** 2))


@pytest.mark.parametrize("gap", [0.0, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("variance", [1e-3, 0.1, 1.0, 8.0, 70.0, 1000.0])
def test_what_an_answer_teaches_is_its_mutual_information_with_the_taste(gap: float, variance: float) -> None:
    found = float(information(np.array([gap]), np.array([variance]))[0])
    assert found == pytest.approx(integral(gap, variance), abs=0.05)


@given(gap=st.floats(-1e9, 1e9), variance=st.floats(0, 1e30))
def test_no_answer_teaches_less_than_nothing_or_more_than_one_bit(gap: float, variance: float) -> None:
    found = information(np.array([gap, -gap, gap]), np.array([variance, variance, 2 * variance]))
    assert np.all((found >= 0) & (found <= log(2)))
    assert found[0] == pytest.approx(found[1], abs=1e-12)


def test_what_is_known_teaches_nothing_and_what_is_not_teaches_more() -> None:
    assert information(np.array([2.0]), np.zeros(1))[0] == 0
    assert np.all(np.diff(information(np.full(50, 1.0), np.geomspace(1e-3, 1e3, 50))) > 0)
    assert np.all(np.diff(information(np.linspace(0, 20, 50), np.full(50, 4.0))) < 0)


def test_the_first_question_is_the_best_of_all_by_brute_force() -> None:
    gains = {
        (one, other): integral(float((Z[one] - Z[other]) @ HEAD.weights), DOUBT * variance_of_gap(HEAD, one, other))
        for one, other in itertools.combinations(range(len(Z)), 2)
    }
    question = suggest(HEAD, Z, 1)[0]
    assert gains[question.first, question.second] > max(gains.values()) - 0.02
    assert question.gain == pytest.approx(gains[question.first, question.second], abs=0.05)


def test_of_a_taste_that_knows_nothing_the_two_images_furthest_apart_are_asked() -> None:
    distance = np.linalg.norm(Z[:, None] - Z[None], axis=2)
    assert pairs(suggest(KNOWS_NOTHING, Z, 1)) == [tuple(sorted(np.unravel_index(distance.argmax(), distance.shape)))]


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 12), limit=st.integers(0, 80), seed=st.integers(0, 99))
def test_no_pair_is_asked_twice_and_no_image_before_all_were(count: int, limit: int, seed: int) -> None:
    z = background().project(images(count, seed=seed)) if count else Z[:0]
    asked = pairs(suggest(HEAD, z, limit))
    assert len(set(asked)) == len(asked) == min(limit, count * (count - 1) // 2)
    assert all(0 <= one < other < count for one, other in asked)
    early = [image for pair in asked[: count // 2] for image in pair]
    assert len(set(early)) == len(early)


@settings(max_examples=30, deadline=None)
@given(groups=st.lists(st.sampled_from(["", "cat", "dog", "sea"]), min_size=2, max_size=9))
def test_pairs_of_one_group_are_all_asked_before_any_other(groups: list[str]) -> None:
    asked = pairs(suggest(HEAD, Z[: len(groups)], 99, groups))
    together = [bool(groups[one]) and groups[one] == groups[other] for one, other in asked]
    assert together == sorted(together, reverse=True)
    assert len(asked) == len(groups) * (len(groups) - 1) // 2


def test_within_a_group_images_not_yet_asked_about_come_first() -> None:
    asked = pairs(suggest(HEAD, Z[:7], 3, ["a", "b", "a", "b", "a", "a", ""]))
    assert len({image for pair in asked for image in pair}) == 6


def test_two_questions_do_not_ask_the_same() -> None:
    """Rows 2 and 3 are nearly rows 0 and 1: their pair teaches hardly anything once that of 0 and 1 is answered."""
    apart = np.zeros((6, Z.shape[1]))
    apart[:4, 0] = [6, -6, 5.9, -5.9]
    apart[4:, 1] = [4, -4]
    asked = suggest(KNOWS_NOTHING, apart, 2)
    assert pairs(asked) == [(0, 1), (4, 5)]
    alone = suggest(KNOWS_NOTHING, apart[2:4], 1)[0].gain
    after = next(question.gain for question in suggest(KNOWS_NOTHING, apart, 3) if question.first == 2)
    assert after < 0.7 * alone


def test_gains_after_a_question_are_those_of_a_taste_that_was_told_the_answer() -> None:
    """On average over what the answer may be, and as nearly as an answer can be foreseen."""
    first, second = suggest(KNOWS_NOTHING, Z, 2)
    head = fit(told(ROWS, choices=[(first.first, first.second)]), background())
    gap = float((Z[second.first] - Z[second.second]) @ head.weights)
    variance = variance_of_gap(head, second.first, second.second)
    assert second.gain == pytest.approx(integral(gap, DOUBT * variance), abs=0.08)


def test_equals_are_asked_about_in_the_order_of_their_rows_and_never_against_each_other() -> None:
    twins = np.concatenate([Z[:4], Z[:4]])
    asked = pairs(suggest(HEAD, twins, 99))
    assert asked[0][1] < 4
    assert len(asked) == 28 - 4
    assert not {(row, row + 4) for row in range(4)} & set(asked)
    assert suggest(HEAD, np.repeat(Z[:1], 5, axis=0), 3) == []
    assert suggest(HEAD, twins, 9) == suggest(HEAD, twins, 9)


def test_few_candidates_make_few_questions() -> None:
    assert suggest(HEAD, Z[:0], 5) == suggest(HEAD, Z[:1], 5) == suggest(HEAD, Z, 0) == []
    assert len(suggest(HEAD, Z[:3], 5)) == 3


@pytest.mark.parametrize("scale", [1e-30, 1e6, 1e15, 1e37])
def test_candidates_of_any_size_make_finite_gains(scale: float) -> None:
    assert all(0 <= question.gain <= log(2) for question in suggest(HEAD, Z * scale, 5))


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="3 groups are given for 40 candidates"):
        suggest(HEAD, Z, 1, ["a", "b", "c"])
    with pytest.raises(ValueError, match="finite"):
        suggest(HEAD, Z * np.nan, 1)


def area(scores: np.ndarray, liked: np.ndarray) -> float:
    ranks = scores.argsort().argsort()
    count = liked.sum()
    return float((ranks[liked].sum() - count * (count - 1) / 2) / count / (len(liked) - count))


def learned(seed: int, at_once: int) -> float:
    """Return the AUC after 12 answers about 40 images by somebody who likes a direction, and now and then errs.

    Args:
        at_once: so many questions are asked before any of them is answered; 0 asks random pairs.
    """
    rng = np.random.default_rng(seed)
    rows, fresh = images(40, seed=2000 + seed), images(200, seed=3000 + seed)
    z, unseen = background().project(rows), background().project(fresh)
    weights = rng.normal(size=z.shape[1])
    weights *= 3 / background().spread(weights)
    answers: list[tuple[int, int]] = []
    waiting: list[tuple[int, int]] = []
    while len(answers) < 12:
        head = fit(told(rows, choices=answers), background())
        waiting = pairs(suggest(head, z, at_once)) if at_once else [tuple(rng.choice(40, 2, replace=False))]
        for one, other in waiting:
            is_first = rng.random() < 1 / (1 + np.exp(-(z[one] - z[other]) @ weights))
            answers.append((int(one), int(other)) if is_first else (int(other), int(one)))
    liking = unseen @ weights
    return area(unseen @ fit(told(rows, choices=answers), background()).weights, liking > np.median(liking))


def test_questions_teach_more_than_random_pairs() -> None:
    """By at least 0.02 in AUC, three standard errors and more above nothing; also where four are asked at once."""
    random = np.array([learned(seed, 0) for seed in range(60)])
    for at_once in (1, 4):
        gain = np.array([learned(seed, at_once) for seed in range(60)]) - random
        assert gain.mean() > 0.02
        assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_256_candidates_make_questions_in_milliseconds() -> None:
    """Two where nothing else runs; the bound leaves room for a busy machine."""
    z = np.random.default_rng(0).normal(size=(256, Z.shape[1]))
    times = []
    for _ in range(10):
        start = time.perf_counter()
        suggest(HEAD, z, 3)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03
