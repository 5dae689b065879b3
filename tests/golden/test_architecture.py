"""Scorers whose weights are not here equal their peer's own module on random weights, which both are given.

The numbers of the peers are in models/*/architecture.json.
"""

import importlib.util
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beholder.inputs import steps
from beholder.inputs.image import Limits, decode
from beholder.runtime.ort import open_session
from beholder.runtime.session import Device, Session
from beholder.scoring.spec import ScorerSpec, read_spec
from beholder.types import U8
from golden.test_golden import MODELS, read

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
FOLDERS = sorted(path.parent for path in MODELS.glob("*/architecture.json"))
LIMITS = Limits(max_bytes=2**24, max_pixels=4 * 10**7)


class Untried:
    """A scorer that is exported with random weights as `beholder export` would with the real ones."""

    def __init__(self, folder: Path, work: Path) -> None:
        spec = read_spec(folder)
        assert isinstance(spec, ScorerSpec)
        assert spec.image
        self.spec, self.image, self.folder, self._work = spec, spec.image, folder, work
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", [*sys.path])  # export.py adds its own folder's parent
            self._weights = runpy.run_path(str(folder / "export.py"))["random_weights"](work)

    def session(self, *options: str) -> Session:
        """Export a graph and open it."""
        output, script = self._work / "graph.onnx", str(self.folder / "export.py")
        weights = [part for path in self._weights for part in ("--weights", str(path))]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [script, "--output", str(output), *weights, *options])
            patch.setattr(sys, "path", [*sys.path])
            runpy.run_path(script, run_name="__main__")
        return open_session(self.spec.name, output.read_bytes(), Device("cpu", 0, 2), {})

    def prepare(self, asset: str) -> U8:
        """Decode an image and prepare it, as a batch of one."""
        return steps.apply(self.image.steps, decode(read(asset), LIMITS, "candidate"))[None]

    def noise(self) -> dict[str, U8]:
        """Return a pair of the smallest size that the scorer takes."""
        height, width = steps.output_size(self.image.steps) or (self.image.min_side_px, self.image.min_side_px + 1)
        images = np.random.default_rng(3).integers(0, 256, (2, 1, height, width, 3), dtype=np.uint8)
        return {"candidate": images[0], "reference": images[1]}


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def untried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Untried:
    return Untried(request.param, tmp_path_factory.mktemp("weights"))


def test_a_network_of_random_weights_scores_as_its_peers(untried: Untried) -> None:
    session = untried.session()
    cases: list[dict[str, Any]] = json.loads((untried.folder / "architecture.json").read_text())["cases"]
    for case in cases:
        pair = {role: untried.prepare(case[role]) for role in ("candidate", "reference")}
        [score] = session.run(pair)["score"]
        assert score == pytest.approx(case["expected"]["value"], abs=case["tolerance"], rel=0), case["candidate"]
        same = dict.fromkeys(pair, pair["reference"])
        together = {role: np.concatenate([pair[role], same[role]]) for role in pair}
        assert session.run(together)["score"] == pytest.approx([score, 0], abs=1e-6)
        assert session.run(same)["score"] == 0
    [smallest] = session.run(untried.noise())["score"]
    assert 0 < smallest < untried.spec.range_[1]


def test_its_map_is_black_where_images_agree_and_has_their_size(untried: Untried) -> None:
    if not untried.spec.map:
        pytest.skip("this scorer draws no map")
    session = untried.session("--map")
    pair = untried.noise()
    drawn = session.run(pair)
    assert drawn["map"].shape == pair["candidate"].shape[:3]
    assert drawn["map"].min() >= 0
    assert drawn["map"].mean() > 0
    assert not session.run(dict.fromkeys(pair, pair["reference"]))["map"].any()
