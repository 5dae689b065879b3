"""Scorers that may be prepared faster move about as little as their cards tell, and are found by names of their own."""

import dataclasses
from pathlib import Path

import pytest

from beholder.scoring.catalog import load_catalog
from beholder.scoring.image import ImageSpec
from bench.pictures import jpegs
from bench.preparing import score, ways_of
from bench.variants import write_variant
from golden.test_golden import ASSETS, Find, finder

pytest.importorskip("cykooz_resizer", reason="cykooz.resizer is not installed: beholder[fast]")

MOST = {
    "content-labels": {"fast": 0.004, "decode_small": 0.036},
    "image-safety": {"fast": 0.0071, "decode_small": 0.0099},
    "open-nsfw": {"fast": 0.013, "decode_small": 0.039},
}
"""The most that the cards tell, of photographs; the assets are drawings, whose edges are harder."""
DRAWN = 2.0


@pytest.fixture(scope="module")
def on_cpu() -> Find:
    """Return a function that loads a scorer by name."""
    return finder("cpu")


@pytest.mark.parametrize("name", MOST)
@pytest.mark.parametrize("side_px", [600, 1200])
def test_a_faster_way_moves_the_score_about_as_its_card_tells(name: str, side_px: int, on_cpu: Find) -> None:
    scorer = on_cpu(name)
    ways = ways_of(scorer)
    for data in jpegs(ASSETS, side_px, 4):
        exact = score(scorer, ways["exact"], data).value
        for way, most in MOST[name].items():
            assert abs(score(scorer, ways[way], data).value - exact) <= DRAWN * most, way


def test_a_variant_is_a_scorer_of_its_own_on_an_encoder_of_its_own(tmp_path: Path, on_cpu: Find) -> None:
    on_cpu("content-labels")
    name = write_variant(tmp_path, "content-labels", "fast-small")
    catalog = load_catalog([tmp_path])
    encoder = catalog.encoders[catalog.scorers[name].encoder]
    assert (name, encoder.name) == ("content-labels-fast-small", "efficientnet-lite0-fast-small")
    assert isinstance(encoder.image, ImageSpec)
    exact, faster = on_cpu("content-labels").graph.image.steps, encoder.image.steps
    assert dataclasses.replace(exact[-1], fast=True) == faster[-1]
    assert [type(step).__name__ for step in faster] == ["DecodeSmall", "CropSquare", "Resize"]
    assert encoder.graph.file.sha256 == on_cpu("content-labels").graph.spec.graph.file.sha256
