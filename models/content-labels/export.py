"""Writes the ImageNet classifier of EfficientNet-Lite0 as a head: 1280 features in, 1000 probabilities out."""

import sys
from pathlib import Path

import onnx
import torch
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import parse_arguments, save

FEATURES, CLASSES = 1280, 1000


def build(weight: torch.Tensor, bias: torch.Tensor) -> onnx.ModelProto:
    """Build the graph: embedding (N, 1280) -> labels (N, 1000), which sum to 1, and score (N,), their maximum."""
    tensors = [numpy_helper.from_array(weight.numpy(), "weight"), numpy_helper.from_array(bias.numpy(), "bias")]
    nodes = [
        helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["labels"], axis=1),
        helper.make_node("ReduceMax", ["labels"], ["score"], axes=[1], keepdims=0),
    ]
    embedding = helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["batch", FEATURES])
    score = helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["batch"])
    labels = helper.make_tensor_value_info("labels", onnx.TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "content-labels", [embedding], [score, labels], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", 17)])


if __name__ == "__main__":
    arguments = parse_arguments(weights=1)
    state = torch.load(arguments.weights[0], map_location="cpu", weights_only=True)
    save(build(state["_fc.weight"], state["_fc.bias"]), arguments.output)
