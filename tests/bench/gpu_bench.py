"""Measures every way of using a GPU on our own graphs, end to end too, and writes a table, within ten minutes.

`--device cpu --small` runs the same steps anywhere, in seconds; its figures are the CPU's and say nothing of a GPU.
Exits with 1 where the device can't be had, or where two threads on one session got wrong results.
"""

import argparse
import importlib.metadata
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beholder.errors import ConfigError
from beholder.runtime.device import choose_device
from beholder.runtime.session import Device
from beholder.scoring.catalog import Catalog, load_catalog, shipped_models
from bench.gpu import host
from bench.gpu.options import measure_options
from bench.gpu.page import page
from bench.gpu.rows import Report
from bench.gpu.service import Setting, measure_service
from bench.gpu.subjects import HEAVY, Subject, exported, heavy, load_on_cpu
from bench.gpu.together import measure_held, measure_threads, measure_turns
from bench.gpu.ways import measure_ways
from bench.machine import processor
from server_process import REPO

SCORERS = ("image-safety", "content-labels", "st-lpips-alex", HEAVY)
"""content-labels is a head of efficientnet-lite0."""
SERVICE_TIMES = 6
"""The service is measured for so many times as long."""
PACKAGES = ("numpy", "grpcio", "protobuf", "pillow", "simplejpeg", "torch")


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        sizes: batches of all ways.
        option_sizes: of the options.
        turns: batches in turn.
        in_flight: requests at a time.
        servers: the first scorer is served by each, the others by the first and the last.
        heavy: width, depth and patch of the encoder of random weights.
    """

    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    option_sizes: tuple[int, ...] = (1, 16, 64)
    turns: tuple[int, int] = (32, 64)
    in_flight: int = 128
    servers: tuple[Setting, ...] = (Setting(2), Setting(1), Setting(2, 4), Setting(2, 8))
    heavy: tuple[int, int, int] = (768, 12, 32)


SMALL = Scale((1, 2), (2,), (1, 2), 4, (Setting(1),), (64, 1, 32))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make gpu-bench", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--device-id", type=int, default=0)
    parser.add_argument("--images", type=Path, default=REPO / "tests" / "assets", help="folder of pictures")
    parser.add_argument("--budget", type=float, default=480.0, metavar="S", help="begin nothing new after this")
    parser.add_argument("--seconds", type=float, default=0.25, help="of each measurement; of the service, six times")
    parser.add_argument("--small", action="store_true", help="few batch sizes, a tiny encoder, one server")
    parser.add_argument("--scorers", default=",".join(SCORERS), help=f"names; {HEAVY} is an encoder of random weights")
    parser.add_argument("--output", type=Path, default=REPO / ".cache" / "gpu", help="folder of the JSON and the table")
    parser.add_argument("--write", action="store_true", help="write docs/gpu.md too; only where it ran on a GPU")
    return parser.parse_args()


def about(device: Device) -> dict[str, Any]:
    """Return what the run was on."""
    import onnxruntime

    found = {"date": time.strftime("%Y-%m-%d"), "device": device.kind, "processor": processor(), "cores": host.cores()}
    found |= {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, timeout=30).stdout.strip() or "none"
    except OSError:
        found["gpu"] = "none"
    return found


def open_subjects(
    report: Report, catalog: Catalog, names: Sequence[str], pictures: Path, scale: Scale
) -> list[Subject]:
    """Return what can be run here; what was never exported is a row with its error."""
    subjects = list[Subject]()
    for name in names:
        with report.row("subjects", name, "load"):
            if name == HEAVY:
                subjects.append(heavy(pictures, *scale.heavy))
            else:
                graph = catalog.scorer(name).encoder or name
                subjects.append(exported(load_on_cpu(catalog, [name]), graph, pictures))
    return subjects


def measure(report: Report, options: argparse.Namespace, scale: Scale, device: Device) -> None:
    """Measure everything, what matters most first."""
    catalog, pictures = load_catalog([shipped_models()]), options.images
    subjects = open_subjects(report, catalog, options.scorers.split(","), pictures, scale)
    report.subjects = subjects
    single = [subject for subject in subjects if subject.scorers and len(subject.pool) == 1]
    host.measure_copies(report, device)
    for subject in single:
        host.measure_host(report, subject.name, pictures)
    report.seconds = options.seconds * SERVICE_TIMES
    for place, subject in enumerate(single):
        servers = scale.servers if place == 0 else tuple(dict.fromkeys((scale.servers[0], scale.servers[-1])))
        name = subject.scorers[0].spec.name
        measure_service(report, catalog, name, device, pictures, scale.in_flight, servers)
    report.seconds = options.seconds
    for subject in subjects:
        most = subject.max_batch_rows
        measure_ways(report, subject, device, [rows for rows in scale.sizes if rows <= 2 * most])
        measure_turns(report, subject, device, (max(1, min(scale.turns[0], most // 2)), min(scale.turns[1], most)))
        measure_threads(report, subject, device, min(scale.option_sizes[-1], most))
        measure_held(report, subject, device, min(scale.option_sizes[-1], most))
    for subject in subjects:
        sizes = sorted({min(rows, subject.max_batch_rows) for rows in scale.option_sizes})
        measure_options(report, subject, device, sizes)
    for subject in single:
        host.measure_decoders(report, subject, device, pictures)


def main() -> int:
    """Run all steps; return the exit code."""
    options = parse()
    try:
        device = choose_device(options.device, options.device_id, 1)
    except ConfigError as error:
        print(f"FAILED {options.device} can't be had: {error.message}", flush=True)
        return 1
    its = about(device)
    print("; ".join(f"{name}: {value}" for name, value in its.items()), flush=True)
    options.output.mkdir(parents=True, exist_ok=True)

    def keep(report: Report) -> str:
        text = page(report, report.subjects, its | {"seconds": round(report.spent_s)}, device.kind == "cuda")
        (options.output / "gpu.json").write_text(report.to_json(its))
        (options.output / "gpu.md").write_text(text)
        return text

    report = Report(options.budget, options.seconds, keep)
    try:
        measure(report, options, SMALL if options.small else Scale(), device)
    finally:
        text = keep(report)
    print(f"\n{text}\n{len(report.rows)} rows in {report.spent_s:.0f} s, in {options.output}")
    if options.write and device.kind == "cuda":
        (REPO / "docs" / "gpu.md").write_text(text)
    elif options.write:
        print("docs/gpu.md is left as it is: this was no GPU")
    wrong = sum(row.more.get("wrong", 0) for row in report.of("threads"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
