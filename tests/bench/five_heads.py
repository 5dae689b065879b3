"""Measures what four more heads on one encoder cost: the image is decoded once and embedded once.

PYTHONPATH=tests python -m bench.five_heads
"""

import argparse
import hashlib
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import server_process
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.v1 import scoring_service_pb2 as pb
from bench.closed_loop import Run, closed_loop, quantiles_ms
from bench.pictures import jpegs

REAL_HEAD = "content-labels"
IN_FLIGHT = (1, 8)
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


def measure(images: Sequence[bytes], seconds: float, rounds: int) -> None:
    """Print the cost of one head and of five, in rounds that alternate."""
    with tempfile.TemporaryDirectory(prefix="beholder-") as folder:
        names = [REAL_HEAD, *make_heads(Path(folder), 4)]
        server = server_process.start(models=[folder], cache_mb=0)
        try:
            _measure(server, names, images, seconds, rounds)
        finally:
            server.stop()
            server.log.unlink()


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


def _measure(
    server: server_process.ServerProcess, names: Sequence[str], images: Sequence[bytes], seconds: float, rounds: int
) -> None:
    asked = {"one head": names[:1], "five heads": names}
    requests = {
        what: [
            pb.ScoreRequest(samples=[{"candidate": {"encoded": image}}], scorers=scorers).SerializeToString()
            for image in images
        ]
        for what, scorers in asked.items()
    }
    runs: dict[tuple[str, int], list[Run]] = {}
    for _ in range(rounds):
        for in_flight in IN_FLIGHT:
            for what in asked:
                runs.setdefault((what, in_flight), []).append(closed_loop(server, requests[what], in_flight, seconds))
    print(f"{'':24} {'per s':>8} {'cost':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}")
    for (what, in_flight), its in runs.items():
        ones = runs["one head", in_flight]
        cost = statistics.median(one.rate / run.rate for one, run in zip(ones, its, strict=True))
        p50, p99 = quantiles_ms(its)
        rate, cpu_ms = statistics.median(run.rate for run in its), statistics.median(run.cpu_ms for run in its)
        label = f"{what}, {in_flight} in flight"
        print(f"{label:24} {rate:8.1f} {cost:8.2f} {p50:8.1f} {p99:8.1f} {cpu_ms:8.1f}")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    measure(jpegs(server_process.REPO / "tests" / "assets", 512, 24), options.seconds, options.rounds)


if __name__ == "__main__":
    main()
