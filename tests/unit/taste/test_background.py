"""What a background must hold to, and what it refuses."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from taste_making import DIGEST, WIDTH, background, images, nuisances

from beholder.errors import ConfigError
from beholder.taste.background import MAX_DIMENSIONS, fit_background, read_background, shrinkage


def test_a_background_is_centred_and_about_white() -> None:
    z = background().whiten(images(4000, seed=2))
    covariance = np.cov(z.T)
    assert np.abs(z.mean(axis=0)).max() < 0.4
    seen = covariance + background().nuisance
    assert np.abs(np.diag(seen)[:12] - 1).max() < 0.2
    assert np.diag(seen).max() < 1.4  # what hardly varies is shrunk, never blown up
    assert np.abs(seen - np.diag(np.diag(seen))).max() < 0.35


def test_what_nobody_sees_moves_less_once_the_background_knows_it() -> None:
    blind = background()
    seeing = fit_background(images(200, seed=1), nuisances()[:0], encoder_digest=DIGEST)
    moved = [np.linalg.norm(one.whiten(images(60) + nuisances()) - one.whiten(images(60))) for one in (blind, seeing)]
    assert moved[0] < moved[1]


def test_the_nuisance_covariance_is_that_of_the_changes_in_the_whitened_space() -> None:
    z = (nuisances() @ background().whitener).astype(np.float64)
    assert np.allclose(z.T @ z / len(z), background().nuisance, atol=1e-5)


def test_spread_is_the_deviation_over_images_never_seen() -> None:
    weights = np.random.default_rng(3).normal(size=background().dimensions)
    expected = (background().whiten(images(4000, seed=2)) @ weights).std()
    assert background().spread(weights) == pytest.approx(expected, rel=0.15)


def test_one_image_in_a_hundred_is_far() -> None:
    lengths = np.linalg.norm(background().whiten(images(4000, seed=2)), axis=1)
    assert 0.001 < (lengths > background().far).mean() < 0.04
    assert np.median(lengths) == pytest.approx(background().typical, rel=0.1)


def test_fewer_images_than_numbers_are_enough() -> None:
    few = fit_background(images(12), nuisances(), encoder_digest=DIGEST)
    assert few.dimensions == 11
    assert np.isfinite(few.whiten(images(5, seed=9))).all()


def test_there_are_never_more_directions_than_the_limit() -> None:
    rows = np.random.default_rng(0).normal(size=(400, MAX_DIMENSIONS + 20))
    assert fit_background(rows, rows[:0], encoder_digest=DIGEST).dimensions == MAX_DIMENSIONS


def test_equal_images_make_a_background_that_tells_nothing_apart() -> None:
    flat = fit_background(np.ones((20, WIDTH)), np.zeros((0, WIDTH)), encoder_digest=DIGEST)
    assert np.isfinite(flat.whitener).all()
    assert np.all(flat.whiten(np.ones((2, WIDTH))) == 0)


def test_the_same_images_give_the_same_background() -> None:
    again = fit_background(images(200, seed=1), nuisances(), encoder_digest=DIGEST)
    assert np.array_equal(again.whitener, background().whitener)


def test_a_row_is_whitened_as_if_it_were_alone() -> None:
    rows = images(37, seed=6)
    together = background().whiten(rows)
    assert all(np.array_equal(background().whiten(row)[0], white) for row, white in zip(rows, together, strict=True))
    assert background().whiten(rows[:0]).shape == (0, background().dimensions)


def test_around_a_pool_the_pools_middle_is_zero() -> None:
    pool = images(30, seed=4) + 3
    assert np.abs(background().around(pool).whiten(pool).mean(axis=0)).max() < 1e-5


def test_shrinkage_is_ledoit_and_wolfs() -> None:
    """Against their definition, written out over all products."""
    for rows in (images(15), images(300)):
        centred = rows - rows.mean(axis=0, dtype=np.float64)
        own = centred.T @ centred / len(centred)
        level = np.trace(own) / WIDTH
        distance = ((own - level * np.eye(WIDTH)) ** 2).sum() / WIDTH
        noise = np.mean([((np.outer(row, row) - own) ** 2).sum() for row in centred]) / WIDTH / len(centred)
        assert shrinkage(centred) == pytest.approx(max(min(noise / distance, 1), 0.02), rel=1e-9)


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "background.npz"
    background().write(path)
    again = read_background(path)
    for field in dataclasses.fields(again):
        assert np.array_equal(getattr(again, field.name), getattr(background(), field.name)), field.name


def test_a_file_that_is_no_background_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "background.npz"
    with pytest.raises(ConfigError, match=r"background\.npz"):
        read_background(path)
    path.write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="can't be read"):
        read_background(path)
    np.savez(path, format=np.int64(1))
    with pytest.raises(ConfigError, match="can't be read"):
        read_background(path)
    np.savez(path, format=np.int64(7))
    with pytest.raises(ConfigError, match="format 7"):
        read_background(path)
    np.savez(path, format=np.array([object()]))
    with pytest.raises(ConfigError, match="can't be read"):
        read_background(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "background.npz"
    background().write(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigError, match="can't be read"):
        read_background(path)


@pytest.mark.parametrize("field", ["mean", "nuisance", "norms", "whitener"])
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, field: str) -> None:
    path = tmp_path / "background.npz"
    dataclasses.replace(background(), **{field: getattr(background(), field)[:-1]}).write(path)
    with pytest.raises(ConfigError, match="has the shape"):
        read_background(path)
    dataclasses.replace(background(), **{field: getattr(background(), field) * np.nan}).write(path)
    with pytest.raises(ConfigError, match="finite"):
        read_background(path)


def test_embeddings_of_another_encoder_or_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="24 numbers"):
        background().whiten(np.ones((2, WIDTH + 1)))
    with pytest.raises(ValueError, match="finite"):
        background().whiten(np.full((1, WIDTH), np.nan))
    with pytest.raises(ValueError, match="at least 10"):
        fit_background(images(9), nuisances(), encoder_digest=DIGEST)
    with pytest.raises(ValueError, match="finite"):
        fit_background(images(20) * np.inf, nuisances(), encoder_digest=DIGEST)
