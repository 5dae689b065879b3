"""What holds for every scorer whatever it is shown: any size, any content, any company."""

import dataclasses
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from beholder.errors import InvalidSample
from beholder.scoring.check import check_pixels
from beholder.scoring.scorer import GraphScorer
from beholder.scoring.strips import StripSession
from beholder.types import U8, Direction, Kind, RawImage
from golden.test_golden import BATCH_TOLERANCE, CATALOG, FIDELITY, NAMES, Find, Pair, finder, laws, run, worst

NATIVE = [name for name in NAMES if (image := CATALOG.scorers[name].image) and not image.steps]
few = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
on_any_size = (st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**32 - 1))


@pytest.fixture(scope="session")
def on_cpu() -> Find:
    """Return a function that loads a scorer by name."""
    return finder("cpu")


def side(scorer: GraphScorer) -> int:
    return max(scorer.graph.image.min_side_px, 8)


def painting(height: int, width: int, seed: int) -> U8:
    """Paint waves of any length and direction, with edges and some noise: as smooth or as rough as images get."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin((rows * rng.normal() + columns * rng.normal()) * rng.uniform(0.01, 1) + c) for c in range(3)]
    image = np.stack(waves, axis=2) * rng.uniform(20, 127) + rng.uniform(60, 190)
    image[rows > columns + rng.integers(-width, height)] += rng.normal(0, 60, 3)
    image += rng.normal(0, rng.choice([0, 2, 20]), image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def changed(image: U8, seed: int) -> U8:
    """Change an image a little or much: noise, fewer levels, another brightness, or a lost block."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, rng.choice([1, 8, 40]), image.shape)
    noisy = image * rng.choice([1.0, 0.8]) + noise if seed % 2 else image // 16 * 16
    changed = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    changed[: image.shape[0] // 3, : image.shape[1] // 3] = rng.integers(0, 256, 3)
    return changed


def pair(candidate: U8, reference: U8) -> Pair:
    return RawImage(candidate), RawImage(reference)


@pytest.mark.parametrize("name", FIDELITY)
@few
@given(*on_any_size)
def test_nothing_is_better_than_the_same_image(on_cpu: Find, name: str, taller: int, wider: int, seed: int) -> None:
    scorer = on_cpu(name)
    reference = painting(side(scorer) + taller, side(scorer) + wider, seed)
    [same, other] = run(scorer, [pair(reference, reference), pair(changed(reference, seed), reference)])
    is_higher = scorer.spec.direction is Direction.HIGHER_IS_BETTER
    low, high = scorer.spec.range_
    assert same.value == laws(name).get("identity", high if is_higher else low)
    assert (other.value < same.value) if is_higher else (other.value > same.value)


@pytest.mark.parametrize("name", [name for name in FIDELITY if laws(name).get("is_symmetric", True)])
@few
@given(*on_any_size)
def test_candidate_and_reference_may_change_places(on_cpu: Find, name: str, taller: int, wider: int, seed: int) -> None:
    scorer = on_cpu(name)
    reference = painting(side(scorer) + taller, side(scorer) + wider, seed)
    other = changed(reference, seed)
    [score, turned] = run(scorer, [pair(other, reference), pair(reference, other)])
    assert score.value == pytest.approx(turned.value, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", NATIVE)
@few
@given(*on_any_size, st.integers(2, 4))
@example(0, 0, 0, 4)
def test_company_of_any_size_changes_no_score(
    on_cpu: Find, name: str, taller: int, wider: int, seed: int, rows: int
) -> None:
    scorer = on_cpu(name)
    has_reference = scorer.spec.kind is Kind.FIDELITY
    images = [painting(side(scorer) + taller, side(scorer) + wider, seed + row) for row in range(rows)]
    pairs = [
        (RawImage(changed(image, seed + row)), RawImage(image) if has_reference else None)
        for row, image in enumerate(images)
    ]
    together = run(scorer, pairs)
    assert max(worst(together[row], run(scorer, [one])[0]) for row, one in enumerate(pairs)) <= BATCH_TOLERANCE


@pytest.mark.parametrize("name", [name for name in NATIVE if CATALOG.scorers[name].image.strips])
def test_an_image_cut_into_strips_scores_as_the_whole(on_cpu: Find, name: str) -> None:
    scorer = on_cpu(name)
    reference = painting(side(scorer) * 5 + 3, side(scorer) * 2 + 1, 11)
    candidate = changed(reference, 12)
    spec = scorer.graph.image
    small = StripSession(scorer.graph.session, reference.shape[1] * (side(scorer) + 9), spec.strips)
    cut = dataclasses.replace(scorer, graph=dataclasses.replace(scorer.graph, session=small))
    [whole, strips] = run(scorer, [pair(candidate, reference)]) + run(cut, [pair(candidate, reference)])
    assert strips.value == pytest.approx(whole.value, rel=2e-6)


def extremes(side_px: int) -> dict[str, tuple[U8, U8]]:
    """Return pairs that divide by nothing, overflow or have no structure, by name."""
    shape = (side_px, side_px + 3, 3)
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    grey = np.full(shape, 128, np.uint8)
    red, green = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    red[..., 0], green[..., 1] = 255, 255
    checks = np.indices(shape[:2]).sum(axis=0)[..., None].repeat(3, axis=2).astype(np.uint8) % 2 * 255
    noise = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    dot = black.copy()
    dot[side_px // 2, side_px // 2] = 255
    wide = np.random.default_rng(4).integers(0, 256, (2, side_px, 24 * side_px, 3), dtype=np.uint8)
    return {
        "black": (black, black),
        "white": (white, white),
        "grey": (grey, grey),
        "inverse": (white, black),
        "red-green": (red, green),
        "one-level": (grey + 1, grey),
        "checks": (255 - checks, checks),
        "noise-flat": (noise, grey),
        "flat-noise": (grey, noise),
        "dot": (dot, black),
        "wide": (wide[0], wide[1]),
        "tall": (wide[0].transpose(1, 0, 2).copy(), wide[1].transpose(1, 0, 2).copy()),
    }


@pytest.mark.parametrize("name", NATIVE)
def test_extreme_images_have_a_score_within_the_range(on_cpu: Find, name: str) -> None:
    """`run` fails on a number that is not finite or lies outside the declared range."""
    scorer = on_cpu(name)
    has_reference = scorer.spec.kind is Kind.FIDELITY
    for candidate, reference in extremes(side(scorer)).values():
        [score] = run(scorer, [(RawImage(candidate), RawImage(reference) if has_reference else None)])
        [again] = run(scorer, [(RawImage(candidate), RawImage(reference) if has_reference else None)])
        assert score == again


@pytest.mark.parametrize("name", NATIVE)
def test_too_small_an_image_and_another_size_are_refused_with_both_sizes(name: str) -> None:
    spec = CATALOG.scorers[name].image
    assert spec
    side_px = max(spec.min_side_px, 2)
    image = np.zeros((side_px, side_px + 1, 3), np.uint8)
    small, other = image[: spec.min_side_px - 1], np.zeros((side_px + 1, side_px + 1, 3), np.uint8)
    check_pixels(spec, image, image, "samples[0]")
    if spec.min_side_px > 1:
        with pytest.raises(
            InvalidSample, match=f"at least {spec.min_side_px} px .* got {side_px + 1}x{side_px - 1} px"
        ):
            check_pixels(spec, small, small, "samples[0]")
    with pytest.raises(InvalidSample, match=f"{side_px + 1}x{side_px} px, got {side_px + 1}x{side_px + 1} px"):
        check_pixels(spec, image, other, "samples[0]")


def test_paintings_differ_from_seed_to_seed() -> None:
    assert len({zlib.crc32(painting(20, 30, seed).tobytes()) for seed in range(50)}) == 50
