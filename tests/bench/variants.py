"""Measures what scorers that prepare their images faster cost in the whole service, beside those as shipped.

PYTHONPATH=tests python -m bench.variants
"""

import argparse
import re
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import server_process
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.v1 import scoring_service_pb2 as pb
from bench.closed_loop import Run, closed_loop, quantiles_ms
from bench.pictures import jpegs

WAYS = ("", "fast", "small", "fast-small")


def write_variant(models: Path, name: str, way: str) -> str:
    """Copy a shipped scorer, and the encoder that it reads, to a name and a way of its own; return that name.

    Args:
        way: `fast`, `small` (what steps say is `decode_small`), `fast-small`, or nothing: the name as shipped.
    """
    if not way:
        return name
    catalog = load_catalog([shipped_models()])
    encoder = catalog.scorers[name].encoder
    for shipped in filter(None, (name, encoder)):
        folder = models / f"{shipped}-{way}"
        if folder.exists():
            continue
        shutil.copytree(shipped_models() / shipped, folder)
        text = (folder / "scorer.toml").read_text(encoding="utf-8")
        text = text.replace(f'name = "{shipped}"', f'name = "{folder.name}"')
        text = text.replace(f'encoder = "{encoder}"', f'encoder = "{encoder}-{way}"')
        if "fast" in way:
            text = re.sub(r'(filter = "\w+")', r"\1, fast = true", text)
        if "small" in way:
            text = text.replace("steps = [\n", 'steps = [\n  { op = "decode_small" },\n')
        (folder / "scorer.toml").write_text(text, encoding="utf-8")
    return f"{name}-{way}"


def measure(scorers: Sequence[str], sides: Sequence[int], in_flight: int, seconds: float, rounds: int) -> None:
    """Print a row for each scorer, way and size, from rounds that alternate on one server."""
    with tempfile.TemporaryDirectory(prefix="beholder-") as folder:
        names = {name: [write_variant(Path(folder), name, way) for way in WAYS] for name in scorers}
        every = [variant for variants in names.values() for variant in variants]
        server = server_process.start(models=[str(shipped_models()), folder], scorers=every, cache_mb=0)
        try:
            for side_px in sides:
                images = jpegs(server_process.REPO / "tests" / "assets", side_px, 8)
                for variants in names.values():
                    _measure(server, variants, images, f"{side_px}x{side_px}", (in_flight, seconds, rounds))
        finally:
            server.stop()
            server.log.unlink()


def _measure(
    server: server_process.ServerProcess,
    variants: Sequence[str],
    images: Sequence[bytes],
    size: str,
    asked: tuple[int, float, int],
) -> None:
    in_flight, seconds, rounds = asked
    requests = {
        name: [
            pb.ScoreRequest(samples=[{"candidate": {"encoded": image}}], scorers=[name]).SerializeToString()
            for image in images
        ]
        for name in variants
    }
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name in variants:
            runs[name].append(closed_loop(server, requests[name], in_flight, seconds))
    for name, its in runs.items():
        cpu_ms, rate = statistics.median(run.cpu_ms for run in its), statistics.median(run.rate for run in its)
        shipped = runs[variants[0]]
        share = statistics.median(run.cpu_ms / other.cpu_ms for run, other in zip(its, shipped, strict=True))
        p50, p99 = quantiles_ms(its)
        figures = f"CPU {cpu_ms:6.2f} ms ({share:4.2f})  {rate:6.1f}/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
        print(f"{f'{name}, {size}':40} {figures}", flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scorers", nargs="+", default=["content-labels", "image-safety"])
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    measure(options.scorers, options.sides, options.in_flight, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
