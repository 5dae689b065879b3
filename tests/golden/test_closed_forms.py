"""Scores that a pencil can check."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device

MODELS = Path(__file__).resolve().parents[2] / "models"


def ask(name: str, candidates: NDArray[np.uint8], references: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run a committed graph on a batch of pairs."""
    session = open_session(name, (MODELS / name / "model.onnx").read_bytes(), Device("cpu", 0, 1), {})
    return session.run({"candidate": candidates, "reference": references})["score"]


def test_vif_p_learns_nothing_from_a_flat_reference_of_any_level() -> None:
    """A variance of 0 must be found to be 0, or noise in the candidate would seem to tell of it: 1 is 0 of 0."""
    levels = np.arange(256, dtype=np.uint8)[:, None, None, None]
    flat = np.broadcast_to(levels, (256, 41, 41, 3)).copy()
    flat[128:, ..., 1] = 60
    noise = np.random.default_rng(0).integers(0, 256, flat.shape, dtype=np.uint8)
    assert (ask("vif-p", noise, flat) == 1).all()
    assert (ask("vif-p", flat, noise) < 1e-6).all()


def test_vif_p_counts_twice_the_contrast_as_more_than_the_reference() -> None:
    rng = np.random.default_rng(1)
    reference = rng.integers(96, 160, (1, 64, 64, 3), dtype=np.uint8)
    [score] = ask("vif-p", (reference - 96) * 2 + 64, reference)
    # log(1 + 4 s / 2) / log(1 + s / 2) for variances s from 150 on the finest scale down to a few.
    assert 1.1 < score < 2


def test_ms_ssim_of_black_and_white_is_the_luminance_term_alone() -> None:
    black = np.zeros((1, 170, 161, 3), np.uint8)
    [score] = ask("ms-ssim", black, black + 255)
    assert score == pytest.approx((1e-4 / (1 + 1e-4)) ** 0.1333, abs=1e-6)


def test_psnr_y_of_one_level_of_one_channel_is_its_share_of_luma() -> None:
    grey = np.full((1, 9, 7, 3), 90, np.uint8)
    for channel, share in enumerate((0.299, 0.587, 0.114)):
        other = grey.copy()
        other[..., channel] += 1
        expected = -10 * math.log10((share / 255) ** 2 + 1e-8)
        assert ask("psnr-y", other, grey) == pytest.approx(expected, abs=2e-5)


def test_haarpsi_mdsi_and_ms_gmsd_c_see_colour_and_gmsd_does_not() -> None:
    """The lower half turns from grey to a blue of the same luma, to within half a level."""
    grey = np.full((1, 64, 64, 3), 100, np.uint8)
    blue = grey.copy()
    blue[:, 32:] = (82, 100, 147)
    assert ask("gmsd", blue, grey)[0] < 1e-4
    assert ask("haarpsi", blue, grey)[0] < 0.99
    assert ask("ms-gmsd-c", blue, grey)[0] > 0.05
    assert ask("mdsi", blue, grey)[0] > 0.3
