"""The graphs in git are what their export.py writes, byte for byte, and nothing stands in a graph twice."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[2] / "models"


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: beholder[export]"
)


@needs_torch
@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_export_makes_the_committed_graph(tmp_path: Path, name: str) -> None:
    output = tmp_path / "model.onnx"
    command = [sys.executable, "-B", str(MODELS / name / "export.py"), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True)
    assert output.read_bytes() == (MODELS / name / "model.onnx").read_bytes()
    assert list(tmp_path.iterdir()) == [output], "the graph is whole in one file"


@needs_torch
def test_a_trace_holds_each_constant_and_each_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(MODELS), *sys.path])
    onnx, torch = importlib.import_module("onnx"), importlib.import_module("torch")

    class Repeats(torch.nn.Module):
        def forward(self, candidate: "torch.Tensor", reference: "torch.Tensor") -> "torch.Tensor":
            first, second = (candidate.float() * torch.tensor([0.5, 2.0, 4.0]) + 3 for _ in range(2))
            other = reference.float() * torch.tensor([0.5, 2.0, 4.0]) + 3
            return (first * second - other).sum(dim=(1, 2, 3))

    importlib.import_module("_export").trace_pair(Repeats(), tmp_path / "model.onnx", side_px=8)
    graph = onnx.load(tmp_path / "model.onnx").graph
    steps = sorted(node.op_type for node in graph.node)
    assert steps == ["Add", "Add", "Cast", "Cast", "Mul", "Mul", "Mul", "ReduceSum", "Sub"]
    values = [onnx.numpy_helper.to_array(constant).tolist() for constant in graph.initializer]
    assert sorted(map(str, values)) == ["3.0", "[0.5, 2.0, 4.0]", "[1, 2, 3]"]
