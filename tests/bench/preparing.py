"""Measures what preparing an image costs each way, and how far scores move where the way is not exact.

PYTHONPATH=tests python -m bench.preparing
PYTHONPATH=tests python -m bench.preparing --moved FOLDER [FOLDER ...]   # of JPEGs, PNGs and WebPs
"""

import argparse
import dataclasses
import io
import os
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

import server_process
from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import DecodeSmall, Step, apply
from beholder.runtime.malloc import keep_freed
from beholder.runtime.session import Device
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.scoring.load import load_scorers
from beholder.scoring.scorer import GraphScorer
from beholder.types import U8, EncodedImage, Score
from bench.pictures import SUFFIXES, jpegs

SCORERS = ("content-labels", "image-safety", "open-nsfw")
SIZES = ((512, 512), (1024, 1024), (2048, 2048), (512, 768), (768, 512))
"""(height, width)"""
LIMITS = Limits(2**28, 10**8)
THREADS = 2


@dataclasses.dataclass(frozen=True)
class Way:
    """One way from a file to a graph's input."""

    steps: tuple[Step, ...]

    def decode(self, data: bytes) -> U8:
        """Return the pixels that the steps begin with."""
        return decode(EncodedImage(data), LIMITS, "candidate", self.steps)


def ways_of(scorer: GraphScorer) -> dict[str, Way]:
    """Return name -> way: as shipped, resized fast, decoded small, and both."""
    exact = scorer.graph.image.steps
    fast = tuple(dataclasses.replace(step, fast=True) if hasattr(step, "fast") else step for step in exact)
    return {
        "exact": Way(exact),
        "fast": Way(fast),
        "decode_small": Way((DecodeSmall(), *exact)),
        "decode_small, fast": Way((DecodeSmall(), *fast)),
    }


def measure(scorer: GraphScorer, rounds: int) -> None:
    """Print CPU milliseconds of each way and size, in rounds that alternate, two threads at a time."""
    ways = ways_of(scorer)
    for height, width in SIZES:
        files = [_stretched(data, height, width) for data in jpegs(server_process.REPO / "tests/assets", width, 6)]
        times = max(4, 40 * 512 * 512 // (height * width))
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                spent[name].append(_spent_ms(way, files, times))
        for name, its in spent.items():
            decode_ms, prepare_ms = (statistics.median(column) for column in zip(*its, strict=True))
            label = f"{scorer.spec.name}, {width}x{height}, {name}"
            cells = f"decode {decode_ms:6.2f}  prepare {prepare_ms:6.2f}  both {decode_ms + prepare_ms:6.2f} ms"
            print(f"{label:56} {cells}", flush=True)


def _stretched(data: bytes, height: int, width: int) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).resize((width, height)).save(file, "JPEG", quality=90)
    return file.getvalue()


def _spent_ms(way: Way, files: Sequence[bytes], times: int) -> tuple[float, float]:
    spent: list[tuple[float, float]] = []

    def work() -> None:
        for number in range(times):
            started = time.thread_time()
            pixels = way.decode(files[number % len(files)])
            decoded = time.thread_time()
            apply(way.steps, pixels)
            spent.append((decoded - started, time.thread_time() - decoded))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decode_s, prepare_s = (sum(column) / len(spent) for column in zip(*spent, strict=True))
    return decode_s * 1e3, prepare_s * 1e3


def moved(scorer: GraphScorer, files: Sequence[bytes]) -> None:
    """Print how far each way moves the score of those real images that it changes at all from the exact way's."""
    ways = ways_of(scorer)
    scores = [{name: score(scorer, way, file) for name, way in ways.items()} for file in files]
    small = [_is_small(ways["decode_small"], file) for file in files]
    for name in [name for name in ways if name != "exact"]:
        chosen = [its for its, is_small in zip(scores, small, strict=True) if is_small or name == "fast"]
        if not chosen:
            print(f"{scorer.spec.name}, {name}: none of the images is large enough")
            continue
        apart = np.array([abs(its[name].value - its["exact"].value) for its in chosen])
        same = np.mean([_first(its[name]) == _first(its["exact"]) for its in chosen])
        found = f"mean {apart.mean():.1e}  95 % below {np.quantile(apart, 0.95):.1e}  at most {apart.max():.1e}"
        print(
            f"{f'{scorer.spec.name}, {name}':40} {len(chosen):4} images  {found}  same first label {same:.3f}",
            flush=True,
        )


def _is_small(way: Way, data: bytes) -> bool:
    height, width = simplejpeg.decode_jpeg_header(data)[:2]
    return way.decode(data).shape[:2] != (height, width)


def score(scorer: GraphScorer, way: Way, data: bytes) -> Score:
    """Return the score of one image, prepared one way."""
    outputs = scorer.graph.session.run({"candidate": apply(way.steps, way.decode(data))[None]})
    [score] = scorer.scores(outputs)
    assert isinstance(score, Score)
    return score


def _first(score: Score) -> str:
    return score.labels[0].name if score.labels else ""


def read_files(folders: Sequence[Path], fours: bool) -> list[bytes]:
    """Read the images below some folders; what is no JPEG becomes one of quality 90."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in SUFFIXES)
    if not fours:
        return [_as_jpeg(path) for path in paths]
    return [_as_one(paths[start : start + 4]) for start in range(0, len(paths) - 3, 4)]


def _as_one(paths: Sequence[Path]) -> bytes:
    """Lay four images side by side, where none large enough is at hand."""
    images = [Image.open(path).convert("RGB") for path in paths]
    width, height = (min(image.size[axis] for image in images) for axis in (0, 1))
    page, file = Image.new("RGB", (2 * width, 2 * height)), io.BytesIO()
    for number, image in enumerate(images):
        page.paste(image.crop((0, 0, width, height)), (number % 2 * width, number // 2 * height))
    page.save(file, "JPEG", quality=90)
    return file.getvalue()


def _as_jpeg(path: Path) -> bytes:
    data = path.read_bytes()
    if simplejpeg.is_jpeg(data):
        return data
    file = io.BytesIO()
    Image.open(path).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorers", nargs="+", default=SCORERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--moved", type=Path, nargs="+", help="folders of images: how far do their scores move?")
    parser.add_argument("--fours", action="store_true", help="lay four of them side by side")
    options = parser.parse_args()
    keep_freed(os.environ)
    loaded = load_scorers(load_catalog([shipped_models()]), options.scorers, Device("cpu", 0, 1), 0)
    files = read_files(options.moved, options.fours) if options.moved else []
    for name in options.scorers:
        scorer = loaded.scorers[name]
        moved(scorer, files) if files else measure(scorer, options.rounds)


if __name__ == "__main__":
    main()
