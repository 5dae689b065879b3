"""What a background must hold to, and what it refuses."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from taste_making import DIGEST, WIDTH, background, images, nuisances

from beholder.errors import ConfigError
from beholder.taste.background import MAX_DIMENSIONS, fit_background, read_background


def test_a_background_is_centred_and_its_axes_vary_apart() -> None:
    own = background().project(images(200, seed=1))
    assert np.allclose(own.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(np.cov(own.T, bias=True), np.diag(background().variance), atol=1e-3)
    others = background().project(images(4000, seed=2))
    assert np.trace(np.cov(others.T)) == pytest.approx(background().variance.sum(), rel=0.1)


def test_directions_are_kept_as_they_are_and_scaled_together() -> None:
    rows = images(40, seed=8).astype(np.float64)
    apart, kept = (np.linalg.norm(one[:20] - one[20:], axis=1) for one in (rows, background().project(rows)))
    assert np.allclose(kept / apart, (kept / apart)[0], rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-4, 1, 1e4])
def test_what_takes_most_of_a_file_has_twelve_binary_digits_at_any_scale(scale: float) -> None:
    made = fit_background(scale * images(200), scale * nuisances(), encoder_digest=DIGEST)
    for values in (made.axes, made.nuisance):
        digits = np.frexp(values)[0] * 2**12
        assert np.array_equal(digits, np.rint(digits))
    assert made.typical == pytest.approx(fit_background(images(200), nuisances(), encoder_digest=DIGEST).typical, 1e-3)


def test_what_nobody_sees_moves_less_once_the_background_knows_it() -> None:
    blind = fit_background(images(200, seed=1), nuisances(), encoder_digest=DIGEST, nuisance_weight=5)
    seeing = background()
    moved = [np.linalg.norm(one.project(images(60) + nuisances()) - one.project(images(60))) for one in (blind, seeing)]
    assert np.all(moved[0] < 0.8 * moved[1])


def test_the_nuisance_covariance_is_that_of_the_changes_in_the_projected_space() -> None:
    z = (nuisances() @ background().axes).astype(np.float64)
    assert np.allclose(z.T @ z / len(z), background().nuisance, rtol=2e-4, atol=1e-6)


def test_spread_is_the_deviation_over_images_never_seen() -> None:
    weights = np.random.default_rng(3).normal(size=background().dimensions)
    expected = (background().project(images(4000, seed=2)) @ weights).std()
    assert background().spread(weights) == pytest.approx(expected, rel=0.15)


def test_one_image_in_a_hundred_is_far() -> None:
    lengths = np.linalg.norm(background().project(images(4000, seed=2)), axis=1)
    assert 0.001 < (lengths > background().far).mean() < 0.04
    assert np.median(lengths) == pytest.approx(background().typical, rel=0.1)


def test_fewer_images_than_numbers_are_enough() -> None:
    few = fit_background(images(12), nuisances(), encoder_digest=DIGEST)
    assert few.dimensions == 11
    assert np.isfinite(few.project(images(5, seed=9))).all()


def test_there_are_never_more_directions_than_the_limit() -> None:
    rows = np.random.default_rng(0).normal(size=(400, MAX_DIMENSIONS + 20))
    assert fit_background(rows, rows[:0], encoder_digest=DIGEST).dimensions == MAX_DIMENSIONS


def test_equal_images_make_a_background_that_tells_nothing_apart() -> None:
    flat = fit_background(np.ones((20, WIDTH)), np.zeros((0, WIDTH)), encoder_digest=DIGEST)
    assert np.isfinite(flat.axes).all()
    assert np.all(flat.project(np.ones((2, WIDTH))) == 0)


def test_the_same_images_give_the_same_background() -> None:
    again = fit_background(images(200, seed=1), nuisances(), encoder_digest=DIGEST)
    assert np.array_equal(again.axes, background().axes)


def test_a_row_is_projected_as_if_it_were_alone() -> None:
    rows = images(37, seed=6)
    together = background().project(rows)
    assert all(np.array_equal(background().project(row)[0], white) for row, white in zip(rows, together, strict=True))
    assert background().project(rows[:0]).shape == (0, background().dimensions)


def test_around_a_pool_the_pools_middle_is_zero() -> None:
    pool = images(30, seed=4) + 3
    assert np.abs(background().around(pool).project(pool).mean(axis=0)).max() < 1e-5


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


@pytest.mark.parametrize("field", ["mean", "variance", "nuisance", "norms", "axes"])
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
        background().project(np.ones((2, WIDTH + 1)))
    with pytest.raises(ValueError, match="finite"):
        background().project(np.full((1, WIDTH), np.nan))
    with pytest.raises(ValueError, match="at least 10"):
        fit_background(images(9), nuisances(), encoder_digest=DIGEST)
    with pytest.raises(ValueError, match="finite"):
        fit_background(images(20) * np.inf, nuisances(), encoder_digest=DIGEST)
