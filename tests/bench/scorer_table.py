"""Measures every scorer against its peer and writes docs/scorers.md from the cards, the goldens and what was measured.

    make scorers                          measure all, keep it in docs/scorers.json, write docs/scorers.md
    make scorers ARGS="ssim psnr"         measure these anew
    make scorers ARGS=--render            measure nothing

A peer is run by the scorer's own export.py, where its package is installed (beholder[peers]).
"""

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image as Pillow

from beholder.scoring.scorer import GraphScorer
from beholder.types import U8, Kind, RawImage
from bench.scorer_report import KEPT, MODELS, REPO, write_report
from golden.test_golden import CATALOG, Pair, finder, golden_cases, read, run
from model_code import load_file

ROUNDS, ENOUGH_S = 7, 8.0
"""A pair is scored this often by each in turn; a slow peer less often, but twice."""
PHOTOGRAPH = REPO.parent / "shared" / "data" / "pristine" / "cid22" / "validation" / "7552578.webp"


def main() -> None:
    """Measure what was asked and write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scorers", nargs="*", help="which to measure; all where none is named")
    parser.add_argument("--render", action="store_true", help="only write docs/scorers.md from what is kept")
    arguments = parser.parse_args()
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    for name in [] if arguments.render else arguments.scorers or sorted(CATALOG.scorers):
        if not CATALOG.scorer(name).is_exported("cpu"):
            print(f"{name}: not exported here")
            continue
        kept[name] = measure(finder("cpu")(name))
        print(f"{name}: {json.dumps(kept[name])}", flush=True)
        KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n", encoding="utf-8")
    write_report()


def measure(scorer: GraphScorer) -> dict[str, Any]:
    """Measure one scorer: how far from its golden numbers, how fast, how much faster than its peer."""
    differences = [abs(run(scorer, [pair])[0].value - expected) for pair, expected in expectations(scorer.spec.name)]
    candidate, reference = photographs()
    has_reference = scorer.spec.kind is Kind.FIDELITY
    pair = (RawImage(candidate), RawImage(reference) if has_reference else None)
    images = (candidate, reference) if has_reference else (candidate,)
    peer = peer_of(scorer.spec.name)
    ours, theirs = in_turn(lambda: run(scorer, [pair]), peer and (lambda: peer(*images)))
    megapixels = candidate.shape[0] * candidate.shape[1] / 1e6
    measured: dict[str, Any] = {"cases": len(differences), "ms_per_mpx": round(ours / megapixels * 1e3, 1)}
    if differences:
        measured["largest_difference"] = float(f"{max(differences):.2g}")
    if theirs:
        measured["peer_ms_per_mpx"] = round(theirs / megapixels * 1e3, 1)
    return measured


def expectations(name: str) -> list[tuple[Pair, float]]:
    """Return the pairs of golden.json with what the peer says; those whose images are not here are left out."""
    found = []
    for parameter in golden_cases():
        scorer, case = parameter.values
        if scorer == name and all(here(case[role]) for role in ("candidate", "reference") if role in case):
            reference = read(case["reference"]) if "reference" in case else None
            found.append(((read(case["candidate"]), reference), case["expected"]["value"]))
    return found


def here(asset: str) -> bool:
    """Return whether an asset of a golden case is at hand."""
    return not asset.startswith("shared:") or (REPO.parent / "shared" / asset.removeprefix("shared:")).exists()


def photographs() -> tuple[U8, U8]:
    """Return a photograph as a JPEG of quality 50, and the photograph; of noise where none is at hand."""
    if PHOTOGRAPH.exists():
        reference = np.asarray(Pillow.open(PHOTOGRAPH).convert("RGB"))
    else:
        reference = np.random.default_rng(1).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    data = io.BytesIO()
    Pillow.fromarray(reference).save(data, "JPEG", quality=50)
    return np.asarray(Pillow.open(data).convert("RGB")), reference


def peer_of(name: str) -> Callable[..., float] | None:
    """Return the peer's program, in float32 where it can, as its users run it; None where it is not here."""
    export = load(MODELS / name / "export.py")
    if not hasattr(export, "peer"):
        return None
    double = getattr(export, "to_unit", None)
    # Noise: a peer may fail on an image of one colour, as piq's IW-SSIM does.
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    images = [image] * (2 if CATALOG.scorers[name].kind is Kind.FIDELITY else 1)
    failed: Exception | None = None
    for to_unit in (lambda pixels: double(pixels).float(), double) if double else (None,):
        export.to_unit = to_unit
        try:
            peer: Callable[..., float] = export.peer()
            peer(*images)
        except Exception as error:  # whatever a peer's package lacks here: the table goes on without it
            failed = error
        else:
            return peer
    print(f"{name}: its peer does not run here: {type(failed).__name__}: {failed}")
    return None


def load(path: Path) -> ModuleType:
    """Import an export.py, with torch on one thread as our own session is."""
    import torch

    torch.set_num_threads(1)
    sys.path.insert(0, str(MODELS))
    return load_file(path)


def in_turn(ours: Callable[[], Any], theirs: Callable[[], Any] | None) -> tuple[float, float | None]:
    """Return the median seconds of each, run in turn, so that a busy machine slows both."""
    ours()
    seconds: tuple[list[float], list[float]] = ([], [])
    started = time.perf_counter()
    while len(seconds[0]) < 2 or (len(seconds[0]) < ROUNDS and time.perf_counter() - started < ENOUGH_S):
        for work, taken in zip((ours, theirs), seconds, strict=True):
            if work:
                began = time.perf_counter()
                work()
                taken.append(time.perf_counter() - began)
    return statistics.median(seconds[0]), statistics.median(seconds[1]) if seconds[1] else None


if __name__ == "__main__":
    main()
