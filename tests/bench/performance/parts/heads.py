"""What four more heads on one encoder cost: the image is decoded once and embedded once."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from beholder.scoring.catalog import load_catalog, shipped_models
from bench.performance.asked import Asked, Json, Part
from bench.performance.turns import Entrant, in_turn, settings
from bench.performance.words import cell, doubts, over, ratio
from bench.scorer_report import table

REAL_HEAD = "content-labels"
IN_FLIGHT = (1, 8)
ONE, FIVE = "one head", "five heads"
HEAD = """\
name = "{name}"
version = 1
kind = "QUALITY"
direction = "HIGHER_IS_BETTER"
range = [0, 1]
summary = "Random weights, to measure with."
licence = "Apache-2.0"
encoder = "{encoder}"

[graph]
sha256 = "{digest}"
"""


class Heads(Part):
    """One scorer and five of the same encoder, in turn."""

    name = "heads"
    title = "Five heads on one image"

    def measure(self, asked: Asked) -> Json:
        """Drive a server of a real head and of four with random weights."""
        with tempfile.TemporaryDirectory(prefix="beholder-") as folder:
            names = [REAL_HEAD, *make_heads(Path(folder), 4)]
            its = settings(",".join(names), models=folder)
            entrants = [
                Entrant(_name(what, calls), asked.mix(*heads), calls, its)
                for calls in IN_FLIGHT
                for what, heads in ((ONE, names[:1]), (FIVE, names))
            ]
            return in_turn(entrants, asked)

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell the CPU of five over one."""
        calls = max(IN_FLIGHT)
        cpu = ratio(found[_name(FIVE, calls)], found[_name(ONE, calls)], "server_ms")
        yield f"five heads over one, {calls} in flight", f"{cell(cpu)} times the CPU", ""

    def told(self, found: Json) -> Iterator[str]:
        """Tell what five cost over one."""
        yield (
            f"`{REAL_HEAD}`, alone and with four heads of random weights on the same encoder, EfficientNet-Lite0, "
            "which runs once. Factors of each round."
        )
        rows = []
        for calls in IN_FLIGHT:
            one, five = found[_name(ONE, calls)], found[_name(FIVE, calls)]
            cells = [f"{calls} in flight"]
            for key, digits in (("per_s", 1), ("server_ms", 2)):
                cells += [f"{over(its, key).median:.{digits}f}" for its in (one, five)]
                cells.append(cell(ratio(five, one, key)))
            rows.append(cells)
        head = ("", "one, per s", "five, per s", "factor", "one, CPU ms", "five, CPU ms", "factor")
        yield from table(head, rows)
        yield from filter(None, ["\n".join(doubts(one for rounds in found.values() for one in rounds))])


def _name(what: str, calls: int) -> str:
    return f"{what}, {calls} in flight"


def make_heads(folder: Path, count: int) -> list[str]:
    """Copy the encoder and its head, and make `count` more heads; return their names."""
    catalog = load_catalog([shipped_models()])
    head = catalog.scorers[REAL_HEAD]
    encoder = catalog.encoders[head.encoder]
    for spec in (head, encoder):
        shutil.copytree(spec.folder, folder / spec.name)
    width = onnx.load(head.graph.file.path).graph.input[0].type.tensor_type.shape.dim[1].dim_value
    names = [f"random-{number}" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).mkdir()
        graph = random_head(width, seed=number)
        (folder / name / "model.onnx").write_bytes(graph)
        digest = hashlib.sha256(graph).hexdigest()
        (folder / name / "scorer.toml").write_text(HEAD.format(name=name, encoder=encoder.name, digest=digest))
    return names


def random_head(width: int, seed: int) -> bytes:
    """Return a graph: score = sigmoid(embedding · w), with w random."""
    weights = np.random.default_rng(seed).normal(0, width**-0.5, (width,)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["embedding", "weights"], ["product"]),
        helper.make_node("Sigmoid", ["product"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
