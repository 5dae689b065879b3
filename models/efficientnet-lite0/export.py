"""Writes EfficientNet-Lite0 as an encoder: uint8 pixels in, 1280 pooled features out.

The layers are spelled out as ONNX nodes: the network of Tan and Le (2019) as the Lite family has it, with ReLU6 and no
squeeze-and-excitation. Weights stay bit for bit and keep the names that they were published under.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _efficientnet import NORM_EPSILON, STAGES
from _export import parse_arguments, save

SIDE_PX, FEATURES = 224, 1280


class Graph:
    """A graph that grows layer by layer; each layer reads what the last one made."""

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.last = "candidate"

    def add(self, operator: str, *others: str, **attributes: object) -> None:
        """Append one node that reads the last output and `others`."""
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.last, *others], [output], **attributes))
        self.last = output

    def constant(self, name: str, value: NDArray[np.float32]) -> str:
        """Store a constant and return its name."""
        self.tensors.append(numpy_helper.from_array(value, name))
        return name

    def conv(self, name: str, norm: str, stride: int = 1) -> None:
        """Append a convolution that keeps the size (or halves it, stride 2) and its batch normalisation."""
        kernel = self.weights[f"{name}.weight"]
        padding_px = kernel.shape[-1] // 2
        if stride == 2:
            # TensorFlow pads one pixel less before than behind. A row and a column of zeros before the kernel say the
            # same with equal pads; ONNX Runtime fails on unequal ones with newer cuDNN (onnxruntime issue 26274).
            kernel = np.pad(kernel, ((0, 0), (0, 0), (1, 0), (1, 0)))
        group = len(kernel) if kernel.shape[1] == 1 else 1
        weight = self.constant(f"{name}.weight", kernel)
        self.add("Conv", weight, group=group, pads=[padding_px] * 4, strides=[stride] * 2)
        parts = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        self.add(
            "BatchNormalization", *(self.constant(part, self.weights[part]) for part in parts), epsilon=NORM_EPSILON
        )

    def relu6(self) -> None:
        """Append a clip to 0 to 6."""
        self.add("Clip", "zero", "six")

    def block(self, name: str, stride: int) -> None:
        """Append an inverted residual block: widen (but in the first block), filter each channel, narrow."""
        if f"{name}._expand_conv.weight" in self.weights:
            self.conv(f"{name}._expand_conv", f"{name}._bn0")
            self.relu6()
        self.conv(f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.relu6()
        self.conv(f"{name}._project_conv", f"{name}._bn2")


def build(weights: dict[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """Build the graph: candidate uint8 RGB (N, 224, 224, 3) -> embedding (N, 1280)."""
    graph = Graph(weights)
    for name, value in (("zero", 0), ("six", 6), ("mean", 127), ("deviation", 128)):
        graph.constant(name, np.array(value, np.float32))
    graph.add("Cast", to=onnx.TensorProto.FLOAT)
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.add("Sub", "mean")
    graph.add("Div", "deviation")
    graph.conv("_conv_stem", "_bn0", stride=2)
    graph.relu6()
    index = 0
    for blocks, stride in STAGES:
        graph.block(f"_blocks.{index}", stride)
        for following in range(index + 1, index + blocks):
            before = graph.last
            graph.block(f"_blocks.{following}", stride=1)
            graph.add("Add", before)
        index += blocks
    graph.conv("_conv_head", "_bn1")
    graph.relu6()
    graph.add("GlobalAveragePool")
    graph.add("Flatten")
    graph.nodes[-1].output[0] = "embedding"
    pixels = helper.make_tensor_value_info("candidate", onnx.TensorProto.UINT8, ["batch", SIDE_PX, SIDE_PX, 3])
    embedding = helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["batch", FEATURES])
    made = helper.make_graph(graph.nodes, "efficientnet-lite0", [pixels], [embedding], graph.tensors)
    return helper.make_model(made, opset_imports=[helper.make_operatorsetid("", 17)])


if __name__ == "__main__":
    arguments = parse_arguments(weights=1)
    state = torch.load(arguments.weights[0], map_location="cpu", weights_only=True)
    save(build({name: tensor.numpy() for name, tensor in state.items()}), arguments.output)
