"""LPIPS and its kin against numbers that their authors and others published."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from golden.test_golden import MODELS


def test_st_lpips_of_the_authors_own_pair_is_what_their_readme_says(shared: Path) -> None:
    graph = MODELS / "st-lpips-alex" / "model.onnx"
    if not graph.exists():
        pytest.skip("run `beholder export st-lpips-alex`")
    folder = shared / "testdata" / "lpips"
    pair = [np.asarray(Image.open(folder / name).convert("RGB"))[None] for name in ("ex_p0.png", "ex_ref.png")]
    session = open_session("st-lpips-alex", graph.read_bytes(), Device("cpu", 0, 1), {})
    scores = session.run(dict(zip(("candidate", "reference"), pair, strict=True)))["score"]
    assert float(scores[0]) == pytest.approx(0.7777554988861084, abs=1e-6)
