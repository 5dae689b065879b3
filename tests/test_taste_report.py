"""docs/taste.md and its figures say what docs/taste.json holds."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bench.taste.eye import CATALOG
from bench.taste.report import DOCS, KEPT, pages
from bench.taste.statistics import Estimate
from bench.taste.words import compared, gate, of_100

KNOWN = json.loads(KEPT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["taste.md", "taste_curves.svg", "taste_reliability.svg"])
def test_the_page_and_its_figures_are_those_of_the_measurement(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages(KNOWN)[DOCS / name], "make taste ARGS=--render"


def test_the_measurement_is_of_the_encoders_that_ship() -> None:
    shipped = {name: CATALOG.encoders[name].graph.file_for("cpu").sha256 for name in KNOWN["encoders"]}
    assert {name: one["digest"] for name, one in KNOWN["encoders"].items()} == shipped, "make taste"


def test_figures_are_whole_svg_with_finite_numbers() -> None:
    for path, text in pages(KNOWN).items():
        if path.suffix == ".svg":
            assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own text
            assert "nan" not in text


def test_serving_figures_get_a_table_where_they_are_at_hand() -> None:
    serving = {"about": "One core.", "rows": [{"what": "judging 64 images", "value": 0.5, "unit": "ms"}]}
    page = pages(KNOWN | {"serving": serving})[DOCS / "taste.md"]
    assert "One core." in page
    assert "| judging 64 images | 0.5 ms |" in page


def test_what_is_not_significant_is_called_so() -> None:
    assert compared(Estimate(0.01, -0.01, 0.03, 11)).endswith(": not significant")
    assert compared(Estimate(0.02, 0.01, 0.03, 11)).endswith(": better")
    assert compared(Estimate(-0.02, -0.03, -0.01, 11)).endswith(": worse")
    assert compared(Estimate(0.02, np.nan, np.nan, 2, 1)) == "+0.020, higher for 1 of 2"


def test_a_gate_is_kept_missed_or_not_shown() -> None:
    assert "missed" in gate("x", Estimate(0.03, 0.02, 0.04, 30), 0.02)
    assert "kept on average, not shown" in gate("x", Estimate(0.015, 0.01, 0.03, 30), 0.02)
    assert gate("x", Estimate(0.01, 0.005, 0.015, 30), 0.02).endswith(": kept")
    assert "too few people" in gate("x", Estimate(0.01, np.nan, np.nan, 2), 0.02)


def test_nearly_all_are_not_all() -> None:
    assert [of_100(share) for share in (0.5, 0.994, 0.996, 1.0)] == ["50", "99", ">99", "100"]
