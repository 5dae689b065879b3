"""Colourfulness and sharpness of images whose scores can be worked out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import laplace

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device

MODELS = Path(__file__).resolve().parents[2] / "models"
FARTHEST = 255 * math.sqrt(1.25)
"""How far from grey red, green, cyan and magenta are."""
U8 = NDArray[np.uint8]


def ask(name: str, candidate: U8) -> float:
    """Run a committed graph on one image."""
    session = open_session(name, (MODELS / name / "model.onnx").read_bytes(), Device("cpu", 0, 1), {})
    return float(session.run({"candidate": candidate[None]})["score"][0])


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> U8:
    image = np.empty((12, 20, 3), np.uint8)
    image[:, :10], image[:, 10:] = left, right
    return image


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((80, 80, 80), (200, 200, 200), 0),
        ((255, 0, 0), (255, 0, 0), 0.3 * FARTHEST),
        ((0, 0, 255), (0, 0, 255), 0.3 * 255),
        ((255, 0, 0), (0, 255, 255), FARTHEST),
        ((0, 0, 255), (255, 255, 0), 255),
        ((255, 0, 0), (0, 255, 0), 255 + 0.3 * 127.5),
    ],
)
def test_colourfulness_is_the_spread_of_colours_and_less_their_distance_from_grey(
    left: tuple[int, int, int], right: tuple[int, int, int], expected: float
) -> None:
    assert ask("colourfulness", halves(left, right)) == pytest.approx(expected, abs=1e-4)


def test_no_image_is_more_colourful_than_the_range_says() -> None:
    """Red and its opposite where the distance of their mean adds most: 0.3 of the spread."""
    share = 0.5 + 0.15 / math.sqrt(1.09)
    image = np.zeros((1, 10000, 3), np.uint8)
    image[:, : round(share * 10000)] = (255, 0, 0)
    image[:, round(share * 10000) :] = (0, 255, 255)
    most = math.sqrt(1.09) * FARTHEST
    assert ask("colourfulness", image) == pytest.approx(most, abs=1e-3)
    assert most < 297.7


def test_colourfulness_does_not_see_where_pixels_are() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    shuffled = rng.permutation(image.reshape(-1, 3)).reshape(40, 30, 3)
    assert ask("colourfulness", shuffled) == pytest.approx(ask("colourfulness", image), rel=1e-6)


@pytest.mark.parametrize("shape", [(2, 2), (2, 9), (37, 53), (64, 96)])
def test_sharpness_equals_scipy_on_opencvs_grey(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(2).integers(0, 256, (*shape, 3), dtype=np.uint8)
    grey = (image @ np.array([9798, 19235, 3735]) + 2**14) >> 15
    expected = laplace(grey.astype(np.float64), mode="mirror").var()
    assert ask("sharpness", image) == pytest.approx(expected, rel=1e-6)


def test_a_chessboard_of_pixels_is_the_sharpest_there_is() -> None:
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    assert ask("sharpness", board) == (4 * 255) ** 2


def test_a_slope_is_not_sharp_at_any_brightness_and_an_edge_is() -> None:
    slope = np.tile(np.arange(0, 250, 5, dtype=np.uint8)[:, None], (20, 1, 3))
    edge = halves((0, 0, 0), (255, 255, 255))
    inside = np.pad(slope, ((0, 0), (40, 40), (0, 0)), mode="edge")
    assert ask("sharpness", inside) < 1 < ask("sharpness", edge)
    assert ask("sharpness", slope * 0 + 77) == 0
