"""LPIPS and its kin against numbers that their authors and others published."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import onnxruntime
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


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed: beholder[export]")
def test_our_squeezenet_gives_the_features_of_a_real_one(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained by others than torchvision, so that a distance on it is no LPIPS; the network is the same."""
    import onnx
    import torch

    monkeypatch.setattr(sys, "path", [str(MODELS), *sys.path])
    trunks = importlib.import_module("_trunks")
    theirs = (shared / "weights" / "onnx" / "squeezenet1_1_onnxzoo.onnx").read_bytes()
    tensors = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load_from_string(theirs).graph.initializer
    }
    state = {
        f"{name}.{part}": tensors[f"{part[0]}{index}"]
        for index, name in enumerate(trunks.SQUEEZENET)
        for part in ("weight", "bias")
    }
    image = np.random.default_rng(4).normal(size=(1, 3, 75, 98)).astype(np.float32)
    taps = onnxruntime.InferenceSession(theirs).run([f"tap{index}" for index in range(7)], {"input": image})
    x = torch.from_numpy(image)
    with torch.inference_mode():
        for stage, expected in zip(trunks.squeezenet(state), taps, strict=True):
            x = stage(x)
            np.testing.assert_allclose(x.numpy(), expected, rtol=1e-4, atol=1e-5 * expected.max())
