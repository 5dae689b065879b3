"""PSNR-HVS and PSNR-HVS-M on images whose errors can be worked out by hand, and on what masks and what does not."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device, Session
from beholder.scoring.strips import Mean, Strips, StripSession

MODELS = Path(__file__).resolve().parents[2] / "models"
NAMES = ("psnr-hvs", "psnr-hvs-m")
MEAN_WEIGHT = 1.608443
"""CSFCof of a block's mean."""
U8 = NDArray[np.uint8]


def open_graph(name: str) -> Session:
    """Open a committed graph."""
    return open_session(name, (MODELS / name / "model.onnx").read_bytes(), Device("cpu", 0, 1), {})


def score(session: Session, candidate: U8, reference: U8) -> float:
    """Score one pair."""
    return float(session.run({"candidate": candidate[None], "reference": reference[None]})["score"][0])


def ask(name: str, candidate: U8, reference: U8) -> float:
    """Run a committed graph on one pair."""
    return score(open_graph(name), candidate, reference)


def grey(luma: NDArray[np.int64]) -> U8:
    """Return an RGB image with this luma, whole numbers of 16 to 235."""
    levels = np.ceil((luma - 16.5) * 255 / 219)
    assert (np.rint(16 + levels * 219 / 255) == luma).all()
    return levels.clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def flat(luma: int, height: int = 16, width: int = 24) -> U8:
    return grey(np.full((height, width), luma))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("first", "second"), [(16, 235), (100, 101), (120, 150)])
def test_a_shift_of_brightness_is_an_error_of_the_mean_and_is_never_masked(name: str, first: int, second: int) -> None:
    expected = 20 * math.log10(255 / (MEAN_WEIGHT * (second - first)))
    assert ask(name, flat(first), flat(second)) == pytest.approx(expected, abs=1e-4)


def test_one_wave_is_weighed_by_the_sensitivity_for_it() -> None:
    """One row of the block up, one down: its coefficients come from the definition of the transform."""
    luma = np.full((8, 8), 100)
    luma[2], luma[5] = 110, 90
    weights = 25.73509 / np.array([16, 12, 14, 14, 18, 24, 49, 72])  # down the first column of JPEG's table
    waves = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(8) + 1) / 16) / 2
    coefficients = waves @ (luma[:, 0] - 100) * math.sqrt(8)
    expected = 10 * math.log10(255**2 / (np.sum((coefficients * weights) ** 2) / 64))
    assert ask("psnr-hvs", grey(luma), flat(100, 8, 8)) == pytest.approx(expected, abs=1e-3)


def test_what_fills_no_block_counts_for_nothing() -> None:
    """As in the authors' program, whose window stops where it no longer fits."""
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (2, 29, 45, 3), dtype=np.uint8)
    for name in NAMES:
        assert ask(name, *images) == ask(name, *images[:, :24, :40])


def test_noise_is_masked_by_noise_and_not_by_flat_grey_or_an_edge() -> None:
    rng = np.random.default_rng(3)
    noise, rough = rng.integers(-3, 4, (32, 32)), 120 + rng.integers(-40, 41, (32, 32))
    edge = np.full((32, 32), 80)
    edge[:, 4::8], edge[:, 5::8], edge[:, 6::8], edge[:, 7::8] = (160,) * 4
    plain, masked = (
        [ask(name, grey(scene + noise), grey(scene)) for scene in (np.full((32, 32), 120), edge, rough)]
        for name in NAMES
    )
    assert plain == pytest.approx([plain[0]] * 3, abs=1e-4)
    on_grey, on_edge, on_rough = (after - before for before, after in zip(plain, masked, strict=True))
    assert 0 <= on_grey < on_edge < 4
    assert on_rough > 10


def test_masking_never_costs() -> None:
    rng = np.random.default_rng(5)
    for amount in (1, 5, 60):
        reference = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        candidate = np.clip(reference + rng.normal(0, amount, reference.shape), 0, 255).astype(np.uint8)
        assert ask("psnr-hvs-m", candidate, reference) >= ask("psnr-hvs", candidate, reference)


@pytest.mark.parametrize("name", NAMES)
def test_colour_of_the_same_luma_and_a_dot_of_one_level_reach_the_cap(name: str) -> None:
    """Luma is rounded to eight bits before anything else; 100 dB is one level of one pixel in about 390 by 390."""
    red, green = np.zeros((2, 16, 16, 3), np.uint8)
    red[..., 0], green[..., 1] = 171, 87  # both have luma 60
    assert ask(name, red, green) == 100
    dot = np.full((512, 512), 100)
    dot[7, 9] += 1
    assert ask(name, grey(dot), flat(100, 512, 512)) == 100


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dots", [24, 9, 4, 1])
def test_strips_without_error_do_not_pull_a_score_near_the_cap_down(name: str, dots: int) -> None:
    """Of eight strips five or more have none; for one dot the whole is beyond the cap."""
    session, reference = open_graph(name), np.full((512, 400), 120)
    candidate = reference.copy()
    candidate[np.arange(dots) * 8 + 3, np.arange(dots) * 16 + 5] += 1
    pair = grey(candidate), grey(reference)
    whole = score(session, *pair)
    assert (88 < whole < 100) if dots > 1 else (whole == 100)
    strips = StripSession(session, 64 * 400, Strips(overlap_px=0, step_px=8, of=Mean.DECIBEL))
    assert score(strips, *pair) == pytest.approx(whole, abs=2e-5)


def test_luma_is_exact_for_every_fourth_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against whole numbers; the peer's float64 sums round 40 of the 197 colours at exactly half the other way."""
    torch = pytest.importorskip("torch", reason="torch is not installed: beholder[export]")
    monkeypatch.syspath_prepend(str(MODELS))
    from _psnr_hvs import to_luma

    levels = np.arange(256, dtype=np.int32)
    red, green, blue = np.meshgrid(levels[3::4], levels, levels, indexing="ij", sparse=True)
    whole = 16 * 85000 + 21827 * red + 42851 * green + 8322 * blue
    luma, rest = np.divmod(whole, 85000)
    luma += (rest > 42500) | ((rest == 42500) & (luma % 2 == 1))
    colours = np.stack(np.broadcast_arrays(red, green, blue), axis=3).astype(np.uint8)
    assert (to_luma(torch.from_numpy(colours))[:, 0].numpy() + 126 == luma).all()
