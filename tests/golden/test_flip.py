"""FLIP's published statistics, and what its scale and its filters say must hold."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from beholder.types import Tensor

MODELS = Path(__file__).resolve().parents[2] / "models"
U8 = NDArray[np.uint8]


def draw(candidate: U8, reference: U8) -> tuple[float, Tensor]:
    """Return FLIP's mean and its map."""
    session = open_session("flip", (MODELS / "flip" / "map.onnx").read_bytes(), Device("cpu", 0, 2), {})
    outputs = session.run({"candidate": candidate[None], "reference": reference[None]})
    return float(outputs["score"][0]), outputs["map"][0]


def weighted_quantile(errors: Tensor, share: float) -> float:
    """Return the error below which lies this share of all error."""
    ordered = np.sort(errors, axis=None).astype(np.float64)
    return float(ordered[np.searchsorted(np.cumsum(ordered), share * ordered.sum())])


def test_the_published_statistics_come_out(shared: Path) -> None:
    folder = shared / "testdata" / "flip"
    reference, candidate = (np.asarray(Image.open(folder / f"tree-{x}.png").convert("RGB")) for x in ("ref", "test"))
    with (folder / "expected.csv").open() as file:
        expected = {row["statistic"]: row["expected"] for row in csv.DictReader(file)}
    score, errors = draw(candidate, reference)
    assert score == pytest.approx(float(expected["mean"]), abs=1e-4)
    assert errors.min() == pytest.approx(float(expected["min"]), abs=1e-4)
    assert errors.max() == pytest.approx(float(expected["max"]), abs=1e-4)
    for name, share in (("weighted_q1", 0.25), ("weighted_median", 0.5), ("weighted_q3", 0.75)):
        published = float(expected[name].split()[0])  # of 67 pixels per degree exactly; the default is 67.02
        assert weighted_quantile(errors, share) == pytest.approx(published, abs=1e-4)


def test_the_map_equals_the_published_picture(shared: Path) -> None:
    """The picture holds FLIP in 256 steps, in magma's colours: darker and lighter as the error is."""
    folder = shared / "testdata" / "flip"
    reference, candidate = (np.asarray(Image.open(folder / f"tree-{x}.png").convert("RGB")) for x in ("ref", "test"))
    picture = np.asarray(Image.open(folder / "tree-comparison-cli.png").convert("RGB")).astype(int).sum(axis=2)
    _, errors = draw(candidate, reference)
    steps = np.rint(errors * 255).astype(int)
    shades = [picture[steps == step] for step in range(256) if (steps == step).sum() > 100]
    medians = [float(np.median(shade)) for shade in shades]
    assert medians == sorted(medians)
    assert max(float(np.percentile(np.abs(shade - np.median(shade)), 90)) for shade in shades) <= 9


def test_green_against_blue_is_the_most_there_is() -> None:
    green, blue = np.zeros((2, 24, 24, 3), np.uint8)
    green[..., 1], blue[..., 2] = 255, 255
    score, errors = draw(green, blue)
    assert score == pytest.approx(1, abs=1e-6)
    assert errors == pytest.approx(1, abs=1e-6)


def test_an_error_is_seen_no_farther_than_the_filters_reach() -> None:
    """The filters are 21 px wide at 67 pixels per degree."""
    reference = np.random.default_rng(4).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    candidate = reference.copy()
    candidate[20, 30] = 255 - candidate[20, 30]
    _, errors = draw(candidate, reference)
    rows, columns = np.nonzero(errors)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 30, 20, 40)


def test_a_shift_of_brightness_costs_less_where_it_draws_no_edge() -> None:
    grey = np.full((48, 48, 3), 128, np.uint8)
    brighter, half = grey + 8, grey.copy()
    half[:, 24:] += 8
    assert draw(brighter, grey)[1].max() < draw(half, grey)[1].max()
