"""The graphs in git hold nothing that a CUDA device would send back to the CPU, and nothing that is not a formula."""

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: beholder[export]")

MODELS = Path(__file__).resolve().parents[2] / "models"
OURS = sorted(MODELS.glob("*/*.onnx"))
# fmt: off
ON_CUDA = frozenset([
    "Abs", "Add", "And", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Conv", "Cos", "CumSum", "DepthToSpace", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten",
    "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "GlobalAveragePool", "Greater", "GreaterOrEqual",
    "Identity", "InstanceNormalization", "LayerNormalization", "Less", "LessOrEqual", "Log", "MatMul", "Max",
    "MaxPool", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceL2", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round",
    "Shape", "Sigmoid", "Sign", "Sin", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum",
    "Tanh", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
])
# fmt: on
"""Operators with a CUDA kernel in ONNX Runtime (docs/OperatorKernels.md; the names in its 1.30 CUDA library).

Left out on purpose: If, Loop, Scan and NonZero, which have one and wait for the CPU at every step. Shape arithmetic
stays on the CPU by design; it moves no pixels.
"""


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_operator_has_a_cuda_kernel(path: Path) -> None:
    graph = onnx.load(path).graph
    assert {node.op_type for node in graph.node} <= ON_CUDA


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_nothing_is_computed_in_float64(path: Path) -> None:
    """A constant may be written so, where the next node casts it."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    doubles = {value.name for value in graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE}
    computed = {name for node in graph.node if node.op_type != "Constant" for name in node.output}
    assert not doubles & computed
