"""CIEDE2000 against the pairs that its formula is tested with, at its discontinuities, and against scikit-image."""

import importlib
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device

MODELS = Path(__file__).resolve().parents[2] / "models"
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Compare = Callable[[F64, F64], F64]


def ask(name: str, candidate: U8, reference: U8) -> float:
    """Run a committed graph on one pair."""
    session = open_session(name, (MODELS / name / "model.onnx").read_bytes(), Device("cpu", 0, 1), {})
    return float(session.run({"candidate": candidate[None], "reference": reference[None]})["score"][0])


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Compare:
    """Return the torch code of CIEDE2000, for CIELAB colours (N, 3) in float32."""
    torch = pytest.importorskip("torch", reason="torch is not installed: beholder[export]")
    monkeypatch.setattr(sys, "path", [str(MODELS), *sys.path])
    module = importlib.import_module("_ciede2000")

    def differences(first: F64, second: F64) -> F64:
        tensors = (torch.from_numpy(lab).float()[:, :, None, None] for lab in (first, second))
        return module.ciede2000(*tensors).flatten().double().numpy()

    return differences


def by_angles(first: F64, second: F64) -> float:
    """Compute CIEDE2000 of two CIELAB colours as the paper writes it: with angles, and their cases."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * math.sqrt(mean**7 / (mean**7 + 25**7))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn, hue = h2 - h1, (h1 + h2) / 2
    if c1 * c2 == 0:
        turn, hue = 0, h1 + h2
    elif abs(turn) > 180 + 1e-9:  # exactly opposite hues take the branch above, whatever the rounding
        turn -= math.copysign(360, turn)
        hue += 180 if hue < 180 else -180
    weight = 1 - 0.17 * cos(hue - 30) + 0.24 * cos(2 * hue) + 0.32 * cos(3 * hue + 6) - 0.2 * cos(4 * hue - 63)
    lightness, chroma = (l1 + l2) / 2 - 50, (c1 + c2) / 2
    dl = (l2 - l1) / (1 + 0.015 * lightness**2 / math.sqrt(20 + lightness**2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2)) / (1 + 0.015 * chroma * weight)
    rotation = -2 * math.sqrt(chroma**7 / (chroma**7 + 25**7))
    rotation *= math.sin(math.radians(60 * math.exp(-(((hue - 275) / 25) ** 2))))
    return math.sqrt(max(0, dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_the_34_pairs_of_sharma_come_out_both_ways_round(shared: Path, compare: Compare) -> None:
    table = np.loadtxt(shared / "testdata" / "scikit-image" / "ciede2000_test_data.txt")
    first, expected, second = table[:, 2:5], table[:, 15], table[:, 17:20]
    assert len(table) == 34
    assert compare(first, second) == pytest.approx(expected, abs=1e-4)
    assert compare(second, first) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_exactly_opposite_hues_have_the_mean_hue_of_the_paper(compare: Compare, scale: float) -> None:
    hues = [(a, b) for a in range(-90, 91, 30) for b in range(-90, 91, 30) if a or b]
    first = np.array([(40.0, a, b) for a, b in hues])
    second = np.array([(55.0, -scale * a, -scale * b) for a, b in hues])
    expected = [by_angles(*pair) for pair in zip(first, second, strict=True)]
    assert compare(first, second) == pytest.approx(expected, abs=1e-4)


def test_hues_just_beyond_opposite_turn_the_other_way(compare: Compare) -> None:
    first = np.array([(50.0, 60.0, 10.0)] * 2)
    second = np.array([(50.0, -60.0, -10.0 + off) for off in (-0.01, 0.01)])
    expected = [by_angles(*pair) for pair in zip(first, second, strict=True)]
    assert abs(expected[0] - expected[1]) > 1
    assert compare(first, second) == pytest.approx(expected, abs=1e-3)


def test_grey_has_no_hue(compare: Compare) -> None:
    greys, colours = np.array([(50.0, 0, 0)] * 8), np.array([(50.0, 30 * cos(h), 30 * cos(h - 90)) for h in range(8)])
    expected = [by_angles(*pair) for pair in zip(greys, colours, strict=True)]
    assert compare(greys, colours) == pytest.approx(expected, abs=1e-4)
    lighter = greys + np.array((7.0, 0, 0))
    assert compare(greys, lighter) == pytest.approx(by_angles(greys[0], lighter[0]), abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (4, 5), (3, 7), (2, 11), (37, 53), (64, 96)])
def test_mean_and_percentile_of_any_number_of_pixels_equal_scikit_image_and_numpy(shape: tuple[int, int]) -> None:
    """Between two pixels (at 2 and 22), on one (at 21), and the only one (at 1)."""
    rng = np.random.default_rng(sum(shape))
    reference = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    candidate = np.clip(reference + rng.normal(0, 15, reference.shape), 0, 255).astype(np.uint8)
    differences = deltaE_ciede2000(rgb2lab(candidate), rgb2lab(reference))
    assert ask("ciede2000", candidate, reference) == pytest.approx(differences.mean(), abs=1e-4)
    assert ask("ciede2000-p95", candidate, reference) == pytest.approx(np.percentile(differences, 95), abs=1e-3)


def test_the_percentile_passes_over_a_twentieth_of_the_pixels() -> None:
    white = np.full((20, 20, 3), 255, np.uint8)
    spoilt = white.copy()
    spoilt.reshape(-1, 3)[:19] = 0
    assert ask("ciede2000-p95", spoilt, white) == 0
    spoilt.reshape(-1, 3)[:21] = 0
    assert ask("ciede2000-p95", spoilt, white) == pytest.approx(100, abs=1e-3)
    assert ask("ciede2000", spoilt, white) == pytest.approx(100 * 21 / 400, abs=1e-3)
