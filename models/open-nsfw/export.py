"""Turn the published open_nsfw graph into one that takes uint8 pixels and ends at the score.

The author's nodes and weights stay as they are; only names, metadata and the two ends of the graph change.
"""

import argparse
from pathlib import Path

import onnx
from onnx import helper

SIDE_PX = 224
MEAN_BGR = (104.0, 117.0, 123.0)
"""Subtracted by the Caffe original, classify_nsfw.py."""


def build(weights: Path) -> onnx.ModelProto:
    """Wrap the author's graph: pixels (N, 224, 224, 3) uint8 RGB -> score (N,), the probability of NSFW."""
    model = onnx.load(weights)
    graph = model.graph
    theirs_in, theirs_out = graph.input[0].name, graph.output[0].name
    before = [
        helper.make_node("Cast", ["candidate"], ["candidate_rgb"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", ["candidate_rgb", "rgb_to_bgr"], ["candidate_bgr"], axis=3),
        helper.make_node("Sub", ["candidate_bgr", "mean_bgr"], [theirs_in]),
    ]
    after = [
        helper.make_node("Gather", [theirs_out, "nsfw_class"], ["nsfw"], axis=1),
        helper.make_node("Clip", ["nsfw", "zero", "one"], ["score"]),
    ]
    for node in graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    nodes = [*before, *graph.node, *after]
    initializers = [
        *graph.initializer,
        helper.make_tensor("rgb_to_bgr", onnx.TensorProto.INT64, [3], [2, 1, 0]),
        helper.make_tensor("mean_bgr", onnx.TensorProto.FLOAT, [3], MEAN_BGR),
        helper.make_tensor("nsfw_class", onnx.TensorProto.INT64, [], [1]),  # classes: SFW, NSFW
        helper.make_tensor("zero", onnx.TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("one", onnx.TensorProto.FLOAT, [], [1.0]),
    ]
    for tensor in initializers:
        tensor.ClearField("doc_string")
        del tensor.metadata_props[:]
    wrapped = helper.make_graph(
        nodes,
        "open-nsfw",
        [helper.make_tensor_value_info("candidate", onnx.TensorProto.UINT8, ["rows", SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["rows"])],
        initializers,
    )
    result = helper.make_model(wrapped, opset_imports=list(model.opset_import), ir_version=8, producer_name="beholder")
    onnx.checker.check_model(result, full_check=True)
    return result


def main() -> None:
    """Read the command line and write the graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="open_nsfw.onnx")
    options = parser.parse_args()
    options.output.write_bytes(build(options.weights).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
