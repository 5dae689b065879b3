"""The graphs in git are what their export.py writes, byte for byte."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed: beholder[export]")
@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_export_makes_the_committed_graph(tmp_path: Path, name: str) -> None:
    output = tmp_path / "model.onnx"
    command = [sys.executable, "-B", str(MODELS / name / "export.py"), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    assert output.read_bytes() == (MODELS / name / "model.onnx").read_bytes()
    assert list(tmp_path.iterdir()) == [output], "the graph is whole in one file"
