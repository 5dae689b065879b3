"""Turn the published image-safety-classifier-s graph into one that takes uint8 pixels and ends at the score.

The author's weights stay bit for bit; the two ends of the graph, its metadata and the spelling of GELU change.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import helper

SIDE_PX = 224
OPSET, IR_VERSION = 20, 10
"""The first opset with Gelu; no operator of the graph means anything else than in its own opset 18."""


def build(weights: Path) -> onnx.ModelProto:
    """Wrap the author's graph: pixels (N, 224, 224, 3) uint8 RGB -> score (N,), labels (N, 3)."""
    model = onnx.load(weights)
    graph = model.graph
    theirs_in, theirs_out = graph.input[0].name, graph.output[0].name
    before = [
        helper.make_node("Cast", ["candidate"], ["candidate_float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["candidate_float"], [theirs_in], perm=[0, 3, 1, 2]),
    ]
    after = [
        helper.make_node("Slice", ["labels", "unsafe_from", "unsafe_to", "class_axis"], ["unsafe"]),
        helper.make_node("ReduceSum", ["unsafe", "class_axis"], ["unsafe_sum"], keepdims=0),
        helper.make_node("Clip", ["unsafe_sum", "zero", "one"], ["score"]),
    ]
    middle = with_gelu(graph.node)
    for node in middle:
        node.output[:] = ["labels" if name == theirs_out else name for name in node.output]
        node.ClearField("doc_string")
        del node.metadata_props[:]
    nodes = [*before, *middle, *after]
    read = {name for node in nodes for name in node.input}
    initializers = [
        *(tensor for tensor in graph.initializer if tensor.name in read),
        helper.make_tensor("unsafe_from", onnx.TensorProto.INT64, [1], [0]),  # classes: NSFL, NSFW, SFW
        helper.make_tensor("unsafe_to", onnx.TensorProto.INT64, [1], [2]),
        helper.make_tensor("class_axis", onnx.TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero", onnx.TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("one", onnx.TensorProto.FLOAT, [], [1.0]),
    ]
    for tensor in initializers:
        tensor.ClearField("doc_string")
        del tensor.metadata_props[:]
    wrapped = helper.make_graph(
        nodes,
        "image-safety",
        [helper.make_tensor_value_info("candidate", onnx.TensorProto.UINT8, ["rows", SIDE_PX, SIDE_PX, 3])],
        [
            helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["rows"]),
            helper.make_tensor_value_info("labels", onnx.TensorProto.FLOAT, ["rows", 3]),
        ],
        initializers,
    )
    opset = helper.make_operatorsetid("", OPSET)
    result = helper.make_model(wrapped, opset_imports=[opset], ir_version=IR_VERSION, producer_name="beholder")
    onnx.checker.check_model(result, full_check=True)
    return result


def with_gelu(nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Write x · (0.5 · (1 + erf(x / √2))) as the one operator that it is; ONNX Runtime does not see it in this form."""
    maker = {output: node for node in nodes for output in node.output}
    written: list[onnx.NodeProto] = []
    replaced: set[str] = set()
    for node in nodes:
        chain = _chain_up(node, maker)
        if [link.op_type for link in chain] == ["Mul", "Mul", "Add", "Erf", "Div"] and chain[-1].input[0] == node.input[
            0
        ]:
            replaced.update(link.output[0] for link in chain[1:])
            node = helper.make_node("Gelu", [node.input[0]], list(node.output))
        written.append(node)
    return [node for node in written if node.output[0] not in replaced]


def _chain_up(node: onnx.NodeProto, maker: dict[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Follow the input of each node that another node makes, the last such, for five nodes at most."""
    chain = [node]
    while len(chain) < 5:
        made = [maker[name] for name in chain[-1].input if name in maker]
        if not made:
            break
        chain.append(made[-1])
    return chain


def main() -> None:
    """Read the command line and write the graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="image-safety-classifier-s.onnx")
    options = parser.parse_args()
    options.output.write_bytes(build(options.weights).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
