"""Proves where the exported graphs run, that their scores agree with the CPU's on real images, and shows how fast.

Exits with 1 if anything is not as it should be. `--device cpu --small` runs the same steps anywhere, in seconds.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import server_process
from beholder.errors import BeholderError, ConfigError
from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import apply
from beholder.runtime.device import choose_device
from beholder.runtime.ort import CUDA_OPTIONS, PROVIDERS, import_onnxruntime
from beholder.runtime.session import Device
from beholder.scoring.asked import CANDIDATE, Graph
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.scoring.load import Loaded, load_scorers
from beholder.scoring.scorer import GraphScorer
from beholder.scoring.spec import ScorerSpec
from beholder.types import EncodedImage, Score, Tensor
from beholder.v1 import scoring_service_pb2 as pb
from bench.closed_loop import closed_loop, quantiles_ms
from bench.pictures import jpegs
from server_process import REPO

onnxruntime = import_onnxruntime()

TOLERANCES = {"psnr": 1e-2}
"""How far a score may be from the CPU's; psnr is in decibels, all others are near 0 to 1."""
TOLERANCE = 1e-3
SHAPE_OPS = {"Add", "Cast", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Floor", "Gather", "Max", "Min"} | {
    *("Mod", "Mul", "Neg", "Range", "ReduceProd", "Reshape", "Shape", "Slice", "Squeeze", "Sub", "Unsqueeze", "Where"),
}
"""What ONNX Runtime computes on the CPU by design, on a handful of numbers: the shapes of other tensors."""
QUALITIES = (10, 30, 50, 70, 90)
TOGETHER, TURNS = (2, 3), 2
"""Batches that two threads run at the same time, and how often."""
LIMITS = Limits(max_bytes=2**30, max_pixels=10**9)


class Report:
    """Prints what holds and what does not, and remembers whether all did."""

    def __init__(self) -> None:
        self.failures = 0

    def check(self, what: str, holds: bool, found: str) -> None:
        """Print one line."""
        self.failures += not holds
        print(f"{'ok' if holds else 'FAILED':8}{what}: {found}", flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--device-id", type=int, default=0)
    parser.add_argument("--scorers", default="", help="names; empty: all that were exported")
    parser.add_argument("--images", type=Path, default=REPO / "tests" / "assets", help="folder of pictures")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--small", action="store_true", help="few images, small batches, short measurements")
    return parser.parse_args()


def check_providers(loaded: Loaded, device: Device, report: Report) -> None:
    """Check where each graph's session and each of its nodes is."""
    wanted = PROVIDERS[device.kind]
    for name, graph in loaded.graphs.items():
        report.check(f"{name} runs on {wanted}", graph.session.provider == wanted, graph.session.provider)
        places = node_places(graph, device)
        elsewhere = {op for (place, op), _ in places.items() if place != wanted}
        counts = Counter[str]()
        for (place, _), count in places.items():
            counts[place] += count
        found = f"{dict(counts)}, elsewhere: {' '.join(sorted(elsewhere)) or 'nothing'}"
        report.check(f"{name} has only shape arithmetic elsewhere", elsewhere <= SHAPE_OPS, found)
    if device.kind == "cuda":
        mapped = Path("/proc/self/maps").read_text()
        for library in ("libcuda.so", "libonnxruntime_providers_cuda.so", "libcudnn"):
            report.check(
                f"{library} is loaded", library in mapped, "in this process" if library in mapped else "absent"
            )


def raw_session(graph: Graph, device: Device, **entries: str) -> Any:
    """Open the graph's file with ONNX Runtime itself, set as the service sets it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = device.intra_op_threads
    for key, value in entries.items():
        options.add_session_config_entry(f"session.{key}", value)
    cuda = CUDA_OPTIONS | {"device_id": str(device.id)} | dict(graph.spec.graph.options["cuda"])
    provider = (PROVIDERS[device.kind], cuda if device.kind == "cuda" else {})
    drawing = graph.spec.map if graph.draws and isinstance(graph.spec, ScorerSpec) else None
    path = drawing.file.path if drawing else graph.spec.graph.file_for(device.kind).path
    return onnxruntime.InferenceSession(str(path), options, providers=[provider], enable_fallback=0)


def node_places(graph: Graph, device: Device) -> Mapping[tuple[str, str], int]:
    """Return (provider, operator) -> number of nodes."""
    session = raw_session(graph, device, record_ep_graph_assignment_info="1")
    info = session.get_provider_graph_assignment_info()
    return Counter((part.ep_name, node.op_type) for part in info for node in part.get_nodes())


def prepare(graph: Graph, pictures: Sequence[bytes]) -> dict[str, Tensor]:
    """Decode and stack pictures of one size; where the graph wants a reference, it is the first of them."""
    steps = graph.image.steps
    pixels = [apply(steps, decode(EncodedImage(data), LIMITS, CANDIDATE)) for data in pictures]
    return {role: np.stack(pixels if role == CANDIDATE else [pixels[0]] * len(pixels)) for role in graph.roles}


def side_of(graph: Graph, side_px: int) -> int:
    """Return the side of square images that a graph takes, as near to the one wanted as may be."""
    return max(graph.image.min_side_px, min(side_px, graph.image.max_side_px or side_px))


def check_scores(loaded: Loaded, on_cpu: Loaded, folder: Path, side_px: int, count: int, report: Report) -> None:
    """Compare every scorer's scores on the device with those on the CPU, on batches of one shape after another."""
    pairs = [(scorer, on_cpu.scorers[name]) for name, scorer in loaded.scorers.items()]
    pairs += [(scorer, on_cpu.drawing[name]) for name, scorer in loaded.drawing.items()]
    for scorer, reference in pairs:
        name, side = scorer.graph.name if scorer.draws else scorer.spec.name, side_of(scorer.graph, side_px)
        batches = list(zip(*(jpegs(folder, side, count, quality) for quality in QUALITIES), strict=True))
        try:
            worst = max(apart(scorer, reference, pictures) for pictures in batches)
        except BeholderError as error:
            report.check(f"{name} scores as on the CPU", False, error.message)
            continue
        limit, found = TOLERANCES.get(scorer.spec.name, TOLERANCE), len(batches) * len(QUALITIES)
        report.check(f"{name} scores as on the CPU", worst <= limit, f"at most {worst:.2g} apart on {found} images")


def apart(scorer: GraphScorer, on_cpu: GraphScorer, pictures: Sequence[bytes]) -> float:
    """Return how far the scores of a batch are from those on the CPU, at most; inf where one is no score."""
    inputs = prepare(scorer.graph, pictures)
    size_px = inputs[CANDIDATE].shape[1:3]
    there, here = (its.scores(its.graph.session.run(inputs), size_px) for its in (scorer, on_cpu))
    worst = 0.0
    for one, other in zip(there, here, strict=True):
        valid = isinstance(one, Score) and isinstance(other, Score)
        worst = max(worst, abs(one.value - other.value)) if valid else float("inf")
    return worst


def check_together(loaded: Loaded, on_cpu: Loaded, folder: Path, side_px: int, report: Report) -> None:
    """Compare what two threads get of one graph at the same time, each for batches of its own size, with the CPU's."""
    for name, scorer in loaded.scorers.items():
        side = side_of(scorer.graph, side_px)
        jobs = [(scorer, on_cpu.scorers[name], jpegs(folder, side, count)) for count in TOGETHER]
        try:
            with ThreadPoolExecutor(len(jobs)) as pool:
                worst = max(pool.map(apart, *zip(*jobs * TURNS, strict=True)))
        except BeholderError as error:
            report.check(f"{name} can be run by two threads", False, error.message)
            continue
        limit = TOLERANCES.get(name, TOLERANCE)
        report.check(f"{name} can be run by two threads", worst <= limit, f"at most {worst:.2g} apart")


def rate(run: Any, rows: int, seconds: float) -> float:
    """Return rows per second of a function that handles `rows` of them."""
    run()
    runs, started = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - started) < seconds:
        run()
        runs += 1
    return rows * runs / elapsed_s


def show_rates(
    loaded: Loaded, device: Device, folder: Path, side_px: int, sizes: Sequence[int], seconds: float
) -> None:
    """Print rows per second by batch size: the raw session with its tensors in place, and ours with their copies."""
    print(f"\n{'rows per second':24} {'batch':>6} {'raw':>10} {'ours':>10} {'ratio':>7}")
    for name, graph in loaded.graphs.items():
        if graph.draws:
            continue
        session = raw_session(graph, device)
        one = prepare(graph, jpegs(folder, side_of(graph, side_px), 1))
        for rows in sizes:
            inputs = {role: np.repeat(tensor, rows, axis=0) for role, tensor in one.items()}
            binding = session.io_binding()
            for role, tensor in inputs.items():
                value = onnxruntime.OrtValue.ortvalue_from_numpy(tensor, device.kind, device.id)
                binding.bind_ortvalue_input(role, value)
            for output in graph.session.output_names:
                binding.bind_output(output, device.kind, device.id)
            raw = rate(lambda: session.run_with_iobinding(binding), rows, seconds)  # noqa: B023 - called at once
            ours = rate(lambda: graph.session.run(inputs), rows, seconds)  # noqa: B023 - called at once
            print(f"{name:24} {rows:6} {raw:10.1f} {ours:10.1f} {ours / raw:7.2f}", flush=True)


def show_service(loaded: Loaded, device: Device, pictures: Sequence[bytes], seconds: float) -> None:
    """Print requests per second of a server on the device, for one image and for 16 in a request."""
    print(f"\n{'service':24} {'images':>6} {'per s':>10} {'p50 ms':>10} {'p99 ms':>7}")
    server = server_process.start(device=device.kind, device_id=device.id, cache_mb=0)
    try:
        for name, scorer in loaded.scorers.items():
            if scorer.spec.needs_reference:
                continue
            for images in (1, 16):
                samples = [{"candidate": {"encoded": pictures[place % len(pictures)]}} for place in range(images)]
                request = pb.ScoreRequest(samples=samples, scorers=[name]).SerializeToString()
                run = closed_loop(server, [request], 32 // images, seconds + 1)
                if not run.latencies_ms:
                    print(f"{name:24} {images:6} no answer in {seconds + 1:g} s", flush=True)
                    continue
                p50, p99 = quantiles_ms([run])
                print(f"{name:24} {images:6} {run.rate * images:10.1f} {p50:10.1f} {p99:7.1f}", flush=True)
    finally:
        server.stop()
        server.log.unlink()


def main() -> int:
    """Run all steps; return the exit code."""
    options = parse()
    seconds = options.seconds / 5 if options.small else options.seconds
    catalog, report = load_catalog([shipped_models()]), Report()
    try:
        device = choose_device(options.device, options.device_id, 1)
    except ConfigError as error:
        report.check(f"{options.device} can be had", False, error.message)
        return 1
    print(f"ONNX Runtime {onnxruntime.__version__}, {device.kind} {device.id}")
    names = options.scorers.split(",") if options.scorers else []
    loaded, on_cpu = (load_scorers(catalog, names, where, 0) for where in (device, Device("cpu", 0, 1)))
    for name, what in loaded.missing.items():
        report.check(f"{name} is exported", not catalog.scorers[name].default, what)
    side, count = (96, 2) if options.small else (256, 8)
    check_providers(loaded, device, report)
    check_scores(loaded, on_cpu, options.images, side, count, report)
    check_together(loaded, on_cpu, options.images, side, report)
    sizes = (1, 4) if options.small else (1, 2, 4, 8, 16, 32, 64, 128)
    show_rates(loaded, device, options.images, side, sizes, seconds)
    show_service(loaded, device, jpegs(options.images, 512, 8), seconds)
    print(f"\n{report.failures} checks failed" if report.failures else "\nall checks hold")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
