"""The laws of learning a taste, and its answers against brute force."""

import dataclasses
import itertools
import time
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from taste_making import DIGEST, WIDTH, background, images, name, nuisances, told

from beholder.store.opinions import Taste
from beholder.taste.background import fit_background
from beholder.taste.evidence import RATING_SCALE
from beholder.taste.head import Head, Judgement
from beholder.taste.learner import BIAS_SD, PRIOR_SD, RATING_NOISE, fit, leave_one_out
from beholder.taste.prior import Prior

ROWS = images(60, seed=7)
MIXED = told(
    ROWS,
    likes=[0, 1, 2],
    dislikes=[3, 4],
    ratings={5: 0.5, 6: -1.0, 7: 0.0},
    choices=[(8, 9), (0, 3), (10, 11)],
    ties=[(12, 13)],
)


def judge(taste: Taste, rows: np.ndarray = ROWS, prior: Prior | None = None) -> Judgement:
    return fit(taste, background(), prior).judge(background().project(rows))


def same(one: Head, other: Head) -> bool:
    fields = (field.name for field in dataclasses.fields(one))
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in fields)


def test_who_was_told_nothing_knows_nothing() -> None:
    verdict = judge(told(ROWS))
    assert np.all(verdict.p_like == 0.5)
    assert np.all(verdict.percentile == 50)
    assert np.all(verdict.flips)
    assert np.median(verdict.sd) == pytest.approx(PRIOR_SD, rel=0.1)


def test_who_was_told_nothing_likes_what_most_people_like() -> None:
    prior = Prior(np.random.default_rng(0).normal(size=background().dimensions) * 0.3, 0.2)
    verdict = judge(told(ROWS), prior=prior)
    assert np.allclose(verdict.mean, background().project(ROWS) @ prior.weights + 0.2, atol=1e-12)


def test_examples_outweigh_what_most_people_like() -> None:
    prior = Prior(background().project(ROWS[:1])[0] * -0.1)
    alone = judge(told(ROWS), prior=prior).mean[0]
    assert alone < judge(told(ROWS, likes=[0]), prior=prior).mean[0]
    assert judge(told(ROWS, ratings={0: 1.0}), prior=prior).mean[0] > 0 > alone


@given(row=st.integers(0, 59))
def test_a_like_lifts_the_image_and_its_kin_and_a_dislike_sinks_them(row: int) -> None:
    kin = ROWS[row] + 0.05 * images(1, seed=row)[0]
    for taste, sign in ((told(ROWS, likes=[row]), 1), (told(ROWS, dislikes=[row]), -1)):
        verdict = judge(taste, np.stack([ROWS[row], kin]))
        assert np.all(verdict.mean * sign > 0)
        assert np.all((verdict.p_like - 0.5) * sign > 0)


def test_a_like_and_a_dislike_of_the_same_image_are_opposite() -> None:
    assert np.allclose(judge(told(ROWS, likes=[0])).mean, -judge(told(ROWS, dislikes=[0])).mean, atol=1e-12)


def test_one_like_alone_points_at_its_image() -> None:
    """As a discriminant against the background does, shrunk."""
    weights = fit(told(ROWS, likes=[0]), background()).weights
    z = background().project(ROWS[:1])[0]
    assert weights @ z / np.linalg.norm(weights) / np.linalg.norm(z) == pytest.approx(1, abs=1e-12)


def test_a_choice_and_its_mirror_are_opposite() -> None:
    one, mirror = judge(told(ROWS, choices=[(0, 1), (2, 3)])), judge(told(ROWS, choices=[(1, 0), (3, 2)]))
    assert np.allclose(one.mean, -mirror.mean, atol=1e-12)
    assert np.allclose(one.sd, mirror.sd, atol=1e-12)
    assert one.mean[0] > one.mean[1]


def test_a_tie_brings_two_images_together_and_has_no_order() -> None:
    apart = told(ROWS, likes=[0], dislikes=[1])
    tied = dataclasses.replace(apart, choices=told(ROWS, ties=[(0, 1)]).choices)
    mirror = dataclasses.replace(apart, choices=told(ROWS, ties=[(1, 0)]).choices)
    gap = [np.subtract(*judge(taste).mean[:2]) for taste in (apart, tied)]
    assert 0 < gap[1] < gap[0]
    assert same(fit(tied, background()), fit(mirror, background()))


def test_the_order_of_telling_makes_no_difference_at_all() -> None:
    first = fit(MIXED, background())
    for seed in range(4):
        order = np.random.default_rng(seed).permutation
        verdicts, embeddings = list(MIXED.verdicts.items()), list(MIXED.embeddings.items())
        shuffled = dataclasses.replace(
            MIXED,
            verdicts=dict(verdicts[at] for at in order(len(verdicts))),
            choices=[MIXED.choices[at] for at in order(len(MIXED.choices))],
            embeddings=dict(embeddings[at] for at in order(len(embeddings))),
        )
        assert same(fit(shuffled, background()), first)


def test_examples_near_make_surer_and_examples_far_hardly() -> None:
    z = background().project(ROWS)
    target = 0
    likeness = z @ z[target] / np.linalg.norm(z, axis=1) / np.linalg.norm(z[target])
    near = ROWS[target] + 0.05 * images(1)[0]
    unlike = ROWS[np.abs(likeness).argmin()]
    before = judge(told(ROWS)).sd[target]
    after_near = judge(told(np.stack([near]), likes=[0])).sd[target]
    after_far = judge(told(np.stack([unlike]), likes=[0])).sd[target]
    assert after_near < 0.9 * before
    assert 0.97 * before < after_far <= before


def test_each_more_thing_told_makes_surer_or_leaves_as_it_is() -> None:
    sds = [judge(told(ROWS, ratings=dict.fromkeys(range(count), 0.3))).sd for count in (1, 2, 5, 20, 50)]
    for before, after in itertools.pairwise(sds):
        assert np.all(after <= before * (1 + 1e-6))


def test_an_image_like_no_other_is_far_until_it_is_an_example() -> None:
    strange = (ROWS[:1] - 1) * 20
    assert not judge(told(ROWS, likes=[1])).is_far[1]
    assert judge(told(ROWS, likes=[1]), strange).is_far[0]
    assert not judge(told(strange, ratings={0: 0.5}), strange).is_far[0]


def test_verdicts_flip_where_invisible_changes_may_turn_them() -> None:
    head = fit(told(ROWS, likes=[0, 1], dislikes=[2, 3]), background())
    rng = np.random.default_rng(1)
    before, after = ROWS[20:40].repeat(60, axis=0), ROWS[20:40].repeat(60, axis=0)
    after = after + nuisances()[rng.integers(0, 60, len(after))]
    first, second = (head.judge(background().project(rows)) for rows in (before, after))
    turned = (first.mean > 0) != (second.mean > 0)
    assert turned.any()
    assert turned[~first.flips].mean() < 0.03
    assert turned[first.flips].mean() > 5 * turned[~first.flips].mean()


def test_the_percentile_is_the_share_of_the_background_that_is_liked_less() -> None:
    head = fit(MIXED, background())
    many = head.judge(background().project(images(3000, seed=2)))
    rank = 100 * many.mean.argsort().argsort() / 3000
    assert np.abs(rank - many.percentile).max() < 12
    assert np.abs(rank - many.percentile).mean() < 5


def test_likes_count_as_much_as_dislikes_however_many_there_are() -> None:
    rows = np.concatenate([ROWS[:10], ROWS[:1] * 0.98])
    few = judge(told(rows, likes=[0], dislikes=[1, 2, 3, 4, 5, 6]))
    assert few.mean[0] > 0 > few.mean[1:7].mean()
    assert abs(fit(told(rows, likes=[0], dislikes=[1, 2, 3, 4, 5, 6]), background()).bias) < 0.5


def test_likes_alone_have_no_bias_and_ratings_have_one() -> None:
    assert fit(told(ROWS, likes=range(9)), background()).bias == 0
    assert fit(told(ROWS, choices=[(0, 1)]), background()).bias == 0
    assert fit(told(ROWS, ratings=dict.fromkeys(range(9), 0.8)), background()).bias > 0.3


def test_ratings_alone_are_ridge_regression() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 30)
    head = fit(told(ROWS, ratings=dict(enumerate(values))), background())
    design = np.hstack([background().project(ROWS[:30]), np.ones((30, 1))])
    scale = np.full(design.shape[1], PRIOR_SD / background().typical)
    scale[-1] = BIAS_SD
    penalty = np.diag(RATING_NOISE**2 / scale**2)
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ values * RATING_SCALE)
    assert np.allclose(np.append(head.weights, head.bias), expected, atol=1e-10)
    covariance = RATING_NOISE**2 * np.linalg.inv(design.T @ design + penalty)
    asked = np.hstack([background().project(ROWS), np.ones((60, 1))])
    variance = np.einsum("ij,jk,ik->i", asked, covariance, asked)
    assert np.allclose(head.judge(background().project(ROWS)).sd, np.sqrt(variance), atol=1e-10)


def test_likes_dislikes_and_choices_are_the_maximum_that_plain_descent_finds() -> None:
    taste = told(ROWS, likes=[0, 1, 2], dislikes=[3, 4, 5], choices=[(6, 7), (8, 9)], ties=[(10, 11)])
    prior = Prior(np.random.default_rng(2).normal(size=background().dimensions) * 0.2, 0.1)
    head = fit(taste, background(), prior)
    z = np.hstack([background().project(ROWS), np.ones((60, 1))])
    rows = np.concatenate([z[:6], z[[6, 8, 10]] - z[[7, 9, 11]]])
    target = np.array([1, 1, 1, 0, 0, 0, 1, 1, 0.5])
    scale = np.append(np.full(background().dimensions, PRIOR_SD / background().typical), BIAS_SD)
    start = np.append(prior.weights, prior.bias)
    at = np.zeros(len(scale))
    for _ in range(20_000):
        slope = (rows * scale).T @ (target - 1 / (1 + np.exp(-rows @ (start + scale * at)))) - at
        at += 0.05 * slope
    assert np.abs(slope).max() < 1e-12
    assert np.allclose(np.append(head.weights, head.bias), start + scale * at, atol=1e-8)
    likely = 1 / (1 + np.exp(-rows @ (start + scale * at)))
    precision = np.diag(1 / scale**2) + (rows * (likely * (1 - likely))[:, None]).T @ rows
    variance = np.einsum("ij,ij->i", z, np.linalg.solve(precision, z.T).T)
    assert np.allclose(head.judge(z[:, :-1]).sd, np.sqrt(variance), atol=1e-8)


def test_more_examples_than_dimensions_give_what_few_dimensions_would() -> None:
    """The two forms of the same system meet where they change over."""
    count = background().dimensions
    for extra in (0, 1, 2):
        values = {row: float(np.sin(row)) for row in range(count + extra)}
        head = fit(told(ROWS, ratings=values), background())
        assert head.factor.shape[0] == min(count + extra, count + 1)
        sd = head.judge(background().project(ROWS[:1])).sd
        design = np.hstack([background().project(ROWS[: count + extra]), np.ones((count + extra, 1))])
        scale = np.append(np.full(count, head.weight_sd), head.bias_sd)
        covariance = np.linalg.inv(design.T @ design / RATING_NOISE**2 + np.diag(scale**-2.0))
        asked = np.append(background().project(ROWS[:1])[0], 1)
        assert sd[0] == pytest.approx(np.sqrt(asked @ covariance @ asked), rel=1e-5)


def test_left_out_ratings_are_predicted_as_by_fits_without_them() -> None:
    values = {row: float(np.sin(row)) for row in range(20)}
    losses, right = [], 0
    for row, value in values.items():
        rest = fit(told(ROWS, ratings={at: other for at, other in values.items() if at != row}), background())
        verdict = rest.judge(background().project(ROWS[row : row + 1]))
        signed = float(verdict.mean[0] * np.sign(value))
        right += signed > 0
        losses.append(np.logaddexp(0, -signed / np.sqrt(1 + np.pi * verdict.sd[0] ** 2 / 8)))
    left_out = leave_one_out(told(ROWS, ratings=values), background())
    used = [row for row, value in values.items() if value != 0]
    assert left_out.count == len(used)
    assert left_out.right == pytest.approx(sum(np.array(losses)[used] < log(2)) / len(used))
    assert left_out.log_loss == pytest.approx(np.array(losses)[used].mean(), abs=1e-6)


def test_left_out_choices_are_predicted_nearly_as_by_fits_without_them() -> None:
    z = background().project(ROWS)
    order = [(a, b) if z[a, 0] > z[b, 0] else (b, a) for a, b in zip(range(0, 40, 2), range(1, 40, 2), strict=True)]
    right = 0
    for pair in order:
        rest = fit(told(ROWS, choices=[other for other in order if other != pair]), background())
        right += (z[pair[0]] - z[pair[1]]) @ rest.weights > 0
    left_out = leave_one_out(told(ROWS, choices=order), background())
    assert left_out.count == 20
    assert abs(left_out.right - right / 20) <= 0.1
    assert left_out.right > 0.6


def test_what_says_nothing_is_not_left_out() -> None:
    left_out = leave_one_out(told(ROWS, ratings={0: 0.0}, ties=[(1, 2)]), background())
    assert (left_out.count, left_out.right, left_out.log_loss) == (0, 0.5, log(2))


def test_no_images_get_no_judgement() -> None:
    assert fit(MIXED, background()).judge(np.zeros((0, background().dimensions))).mean.shape == (0,)


def test_the_background_middle_is_neither_liked_nor_disliked_by_likes() -> None:
    verdict = judge(told(ROWS, likes=range(5)), background().mean[None])
    assert verdict.p_like[0] == pytest.approx(0.5, abs=1e-6)


def test_contradictions_cancel() -> None:
    circle = judge(told(ROWS, choices=[(0, 1), (1, 2), (2, 0)]))
    assert np.abs(np.diff(circle.mean[:3])).max() < 1e-9
    both = judge(told(np.stack([ROWS[0], ROWS[0]]), likes=[0], dislikes=[1]), ROWS[:1])
    assert both.p_like[0] == pytest.approx(0.5)


def test_an_image_against_itself_says_nothing() -> None:
    assert np.all(judge(told(ROWS, choices=[(0, 0)])).mean == 0)


@settings(max_examples=30, deadline=None)
@given(scale=st.sampled_from([0.0, 1e-30, 1.0, 1e6, 1e15]), count=st.integers(1, 6))
def test_any_finite_embedding_gives_finite_answers(scale: float, count: int) -> None:
    rows = (ROWS * scale).astype(np.float32)
    verdict = judge(told(rows, likes=range(count), dislikes=range(count, 2 * count), choices=[(20, 21)]), rows)
    for field in dataclasses.fields(verdict):
        assert np.isfinite(getattr(verdict, field.name)).all(), field.name
    assert np.all((verdict.p_like >= 0) & (verdict.p_like <= 1))


def test_ten_thousand_examples_are_learned() -> None:
    rows = images(10_000, seed=3)
    truth = np.random.default_rng(1).normal(size=WIDTH)
    liked = (rows - 1) @ truth > 0
    taste = told(rows, likes=np.flatnonzero(liked), dislikes=np.flatnonzero(~liked))
    head = fit(taste, background())
    assert head.factor.shape[0] <= background().dimensions + 1
    fresh = images(1000, seed=4)
    right = (head.judge(background().project(fresh)).mean > 0) == ((fresh - 1) @ truth > 0)
    assert right.mean() > 0.97
    assert leave_one_out(taste, background()).right > 0.97


def test_what_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        fit(told(ROWS * np.nan, likes=[0]), background())
    with pytest.raises(ValueError, match="24 numbers"):
        fit(told(ROWS[:, :-1], likes=[0]), background())
    with pytest.raises(ValueError, match=name(99)):
        fit(told(ROWS, likes=[99]), background())
    with pytest.raises(ValueError, match="prior"):
        fit(MIXED, background(), Prior(np.zeros(3)))
    with pytest.raises(ValueError, match="finite"):
        fit(MIXED, background()).judge(np.full((1, background().dimensions), np.nan))


def test_fifty_examples_are_learned_in_milliseconds() -> None:
    """Five of them where nothing else runs; the bound leaves room for a busy machine."""
    wide = np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32)
    large = fit_background(wide, wide[:0], encoder_digest=DIGEST)
    taste = told(wide, likes=range(25), dislikes=range(25, 50))
    times = []
    for _ in range(10):
        start = time.perf_counter()
        fit(taste, large)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02
