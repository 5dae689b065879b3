"""A folder of models with an encoder that tastes can use, small enough for any test: real graphs, real background."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from beholder.taste.background import fit_background
from beholder.types import F32
from scorer_folder import ENCODER, write_scorer
from server_process import REPO
from taste_house import SIDE_PX, look, pixels

EYE, OTHER_EYE = "eye", "other-eye"
SCORERS = ("psnr",)


def write_models(models: Path) -> Path:
    """Write two encoders with their backgrounds beside a scorer of fidelity, and return the folder."""
    for name in SCORERS:
        shutil.copytree(REPO / "models" / name, models / name)
    for version, name in enumerate((EYE, OTHER_EYE), 1):
        graph = _graph(name)
        steps = [{"op": "resize", "size_px": [SIDE_PX, SIDE_PX], "filter": "bicubic"}]
        folder = write_scorer(models, name, graph, {"image": {"steps": steps}}, **ENCODER)
        seen = np.stack([pixels(number, number % 2 == 0) for number in range(1000, 1120)])
        rows: F32 = look({"candidate": seen})["embedding"].astype(np.float32)
        digest = hashlib.sha256(graph).hexdigest()
        nothing = np.zeros((0, rows.shape[1]))
        fit_background(rows, nothing, encoder_digest=digest, version=version).write(folder / "background.npz")
    return models


def _graph(name: str) -> bytes:
    """Return `taste_house.look` as a graph."""
    rows = "rows"
    scale = numpy_helper.from_array(np.array(1 / 255, np.float32), "scale")
    flat = numpy_helper.from_array(np.array([0, -1], np.int64), "flat")
    nodes = [
        helper.make_node("Cast", ["candidate"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["squares"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["squares"], ["pixels"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["pixels", "flat"], ["embedding"]),
    ]
    images = helper.make_tensor_value_info("candidate", TensorProto.UINT8, [rows, SIDE_PX, SIDE_PX, 3])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [rows, 48])
    graph = helper.make_graph(nodes, name, [images], [embedding], [scale, flat])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()
