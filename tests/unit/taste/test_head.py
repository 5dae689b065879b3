"""Judging: each image as if it were alone, in half the memory."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from taste_making import DIGEST, background, images, told

from beholder.store.opinions import Taste
from beholder.taste import learner
from beholder.taste.background import Background, fit_background
from beholder.taste.evidence import evidence_of
from beholder.taste.head import Head
from beholder.taste.learner import BIAS_SD, PRIOR_SD, fit

ROWS = images(60, seed=7)
TASTES = (
    told(ROWS),
    told(ROWS, likes=[0]),
    told(ROWS, likes=range(5)),
    told(ROWS, likes=range(3), dislikes=[9]),
    told(ROWS, choices=[(0, 1), (2, 3)], ties=[(4, 5)]),
    told(ROWS, ratings={row: float(np.sin(row)) for row in range(30)}),
)
HEADS = [fit(taste, background()) for taste in TASTES]
Z = background().project(ROWS)


def exact_variance(taste: Taste, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance in float64, by inverting the posterior's precision; and that before anything was said."""
    evidence = evidence_of(taste, background())
    scale = np.append(np.full(background().dimensions, PRIOR_SD / background().typical), BIAS_SD * evidence.has_bias)
    head = fit(taste, background())
    latent = evidence.design @ np.append(head.weights, head.bias)
    _, curvature = learner._derivatives(evidence, latent)
    rows = evidence.design * scale
    asked = np.hstack([z, np.ones((len(z), 1))]) * scale
    covariance = np.linalg.inv(np.eye(len(scale)) + (rows * curvature[:, None]).T @ rows)
    return np.einsum("ij,jk,ik->i", asked, covariance, asked), (asked * asked).sum(axis=1)


@pytest.mark.parametrize("head", HEADS)
def test_an_image_is_judged_among_others_as_alone_to_the_last_bit(head: Head) -> None:
    together = head.judge(Z)
    fields = [getattr(together, field.name).tolist() for field in dataclasses.fields(together)]
    assert list(zip(*fields, strict=True)) == [tuple(head.say(row)) for row in Z]


def wide() -> tuple[Background, np.ndarray, list[Head]]:
    rows = np.random.default_rng(0).normal(size=(300, 280)).astype(np.float32)
    place = fit_background(rows, rows[:0], encoder_digest=DIGEST)
    tastes = (
        told(rows, likes=range(at, at + n), dislikes=range(200, 200 + at)) for at, n in ((0, 1), (3, 5), (25, 25))
    )
    return place, place.project(rows), [fit(taste, place) for taste in tastes]


def test_how_the_images_lie_in_memory_makes_no_difference() -> None:
    one, other = HEADS[3].judge(Z), HEADS[3].judge(np.asfortranarray(Z))
    assert np.array_equal(one.mean, other.mean)
    assert np.array_equal(one.sd, other.sd)


@pytest.mark.parametrize("index", range(len(TASTES)))
def test_a_variance_is_what_float64_says_within_a_millionth_of_the_variance_before(index: int) -> None:
    expected, before = exact_variance(TASTES[index], Z)
    found = HEADS[index].judge(Z)
    assert np.abs(found.sd**2 - expected).max() < 1e-6 * before.min()
    assert np.abs(found.mean - (Z @ HEADS[index].weights + HEADS[index].bias)).max() < 1e-12


def test_many_examples_and_images_far_away_keep_that_tolerance() -> None:
    rows = images(2000, seed=3)
    taste = told(rows, likes=range(0, 2000, 2), dislikes=range(1, 2000, 2))
    for scale in (1e-3, 1.0, 1e3):
        expected, before = exact_variance(taste, Z * scale)
        assert np.all(np.abs(fit(taste, background()).judge(Z * scale).sd ** 2 - expected) < 1e-6 * before)


def test_the_largest_embeddings_have_finite_verdicts() -> None:
    for head in HEADS:
        verdict = head.judge(Z * (3e38 / np.abs(Z).max()))
        assert np.isfinite(verdict.sd).all()
        assert np.isfinite(verdict.p_like).all()


def test_a_head_takes_half_of_what_float64_would() -> None:
    _, z, heads = wide()
    head = heads[-1]
    assert len(head.factor) == 50
    assert head.factor.dtype == np.float32
    assert head.size_bytes <= 0.53 * 8 * (z.shape[1] + 1) * 51


def test_what_a_head_says_that_it_takes_is_what_it_takes() -> None:
    place, _, _ = wide()
    rows = np.random.default_rng(1).normal(size=(10, 280)).astype(np.float32)
    for taste in (told(rows), told(rows, likes=[1, 2], dislikes=[3])):
        fit(taste, place)
        tracemalloc.start()
        heads = [fit(taste, place) for _ in range(50)]
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert taken / 50 == pytest.approx(heads[0].size_bytes, rel=0.1)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        HEADS[0].judge(np.full((1, Z.shape[1]), np.inf))
