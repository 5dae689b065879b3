"""Measures what tastes cost to serve: PYTHONPATH=tests python -m bench.taste.serving --output serving.json.

An engine and a store in this process; rounds of the bare encoder and of tastes alternate on the same images, each image
asked of a taste of its own, the cache off. Prints and writes; judges nothing.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beholder import app
from beholder.config import Config
from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import apply
from beholder.scoring.asked import Scorer
from beholder.scoring.embedding import EmbeddingScorer
from beholder.store.opinions import Source, Taste, Verdict
from beholder.taste.eye import Eye
from beholder.taste.learner import fit
from beholder.taste.telling import NewVerdict
from beholder.types import F32, EncodedImage, Sample
from bench.pictures import jpegs
from server_process import REPO

TOLD, FIT_TIMES, WRITES = 10, 200, 200
"""Likes, and as many dislikes, of each taste; fits timed; opinions told one after another."""
PAIRS = 2
"""Rows of a batch on the CPU."""
WAIT_S = 60.0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default=Config.taste_encoder)
    parser.add_argument("--images", type=Path, default=REPO / "tests" / "assets", help="folder of pictures to cut from")
    parser.add_argument("--tastes", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=128, help="images in each round")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


def told(name: str, eye: Eye, pool: F32, count: int, rng: np.random.Generator) -> Taste:
    """Return a taste with `count` likes and as many dislikes of images made by mixing a pool's embeddings."""
    shares = rng.dirichlet(np.ones(len(pool)) / 4, 2 * count)
    rows = (shares @ pool).astype(np.float32)
    ids = [rng.bytes(32).hex() for _ in rows]
    sources = [Source.LIKE, Source.DISLIKE] * count
    verdicts = {
        image: Verdict(image, 1.0 if source is Source.LIKE else -1.0, source)
        for image, source in zip(ids, sources, strict=True)
    }
    return Taste("0" * 32, name, 1, eye.name, eye.digest, verdicts, (), dict(zip(ids, rows, strict=True)))


def round_s(service: app.Service, scorers: Sequence[Scorer], images: Sequence[EncodedImage]) -> float:
    """Return the seconds that it takes to ask each image of its own scorer."""
    engine = service.engine
    started = time.perf_counter()
    jobs = [
        engine.submit([Sample(image)], [scorer], deadline_s=engine.clock() + WAIT_S)
        for image, scorer in zip(images, scorers, strict=True)
    ]
    for job in jobs:
        job.wait(WAIT_S)
    return time.perf_counter() - started


def measure(service: app.Service, eye: Eye, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the figures."""
    assert service.tastes is not None
    rng = np.random.default_rng(3)
    images = [EncodedImage(data) for data in jpegs(arguments.images, 512, arguments.rows)]
    found = service.embeddings.embed(images[:16], eye.graph, WAIT_S)
    pool = np.stack([row for row in found if isinstance(row, np.ndarray)])
    rows = [_row("tastes in memory", arguments.tastes, ""), _row("likes and as many dislikes of each", TOLD, "")]
    rows += _filled(service, eye, pool, arguments.tastes, rng)
    rows += _costs(service, eye, images, arguments)
    for count in (5, 25, 250):
        taste = told("one", eye, pool, count, rng)
        times = [_timed(taste, eye) for _ in range(FIT_TIMES)]
        rows.append(_row(f"fit of {2 * count} examples, median", statistics.median(times) * 1e3, "ms"))
    return rows + _next_requests(service, images)


def _filled(service: app.Service, eye: Eye, pool: F32, count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    assert service.tastes is not None
    for number in range(count):
        service.tastes.import_(f"u{number}", told("", eye, pool, TOLD, rng), "make")
    started = time.perf_counter()
    for number in range(count):
        service.tastes.learned.scorer(f"u{number}", "scorers")
    seconds = time.perf_counter() - started
    held = service.metrics.registry.get_sample_value("beholder_taste_memory_bytes") or 0.0
    return [
        _row("reading and learning one that is not in memory, mean", seconds / count * 1e3, "ms"),
        _row("memory of all", held / 2**20, "MiB"),
    ]


def _costs(
    service: app.Service, eye: Eye, images: Sequence[EncodedImage], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    assert service.tastes is not None
    rng = np.random.default_rng(4)
    bare: list[Scorer] = [EmbeddingScorer(eye.graph)] * len(images)
    ratios = []
    for number in range(arguments.rounds + 1):
        names = [f"u{one}" for one in rng.integers(0, arguments.tastes, len(images))]
        tastes: list[Scorer] = [service.tastes.learned.scorer(name, "scorers") for name in names]
        seconds = {}
        for scorers in (bare, tastes) if number % 2 else (tastes, bare):
            seconds[scorers is tastes] = round_s(service, scorers, images)
        if number:  # the first warms up
            ratios.append(seconds[True] / seconds[False])
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    run_s, judge_s = _alone_s(service, eye, images, tastes)
    return [
        _row("time with tastes over time of the bare encoder, median of rounds", middle, ""),
        _row("… the middle half of rounds, from", low, ""),
        _row("… to", high, ""),
        _row(f"judging {PAIRS} images by {PAIRS} tastes, CPU time on one thread", judge_s * 1e6, "us"),
        _row("… over the CPU time of the encoder's run", 100 * judge_s / run_s, "%"),
    ]


def _alone_s(
    service: app.Service, eye: Eye, images: Sequence[EncodedImage], tastes: Sequence[Scorer]
) -> tuple[float, float]:
    """Return the median CPU seconds of the encoder's run of a small batch, and of judging it, in turn on one thread."""
    steps, limits = eye.graph.image.steps, Limits(2**24, 40_000_000)
    batch = np.stack([apply(steps, decode(image, limits, "candidate")) for image in images[:PAIRS]])
    asked = list(enumerate(tastes[:PAIRS]))
    runs, judged = [], []
    for _ in range(FIT_TIMES):
        started = time.thread_time()
        outputs = eye.graph.session.run({"candidate": batch})
        middle = time.thread_time()
        tastes[0].reader.read(outputs, asked)
        runs.append(middle - started)
        judged.append(time.thread_time() - middle)
    return statistics.median(runs), statistics.median(judged)


def _next_requests(service: app.Service, images: Sequence[EncodedImage]) -> list[dict[str, Any]]:
    """Tell opinions one after another and ask at once: the verdict must be of the version just written."""
    tastes, engine = service.tastes, service.engine
    assert tastes is not None
    seen, times = 0, []
    tastes.create("teller", "", "make")
    for number in range(WRITES):
        image = images[number % len(images)]
        started = time.perf_counter()
        opinion = NewVerdict(image, (Source.LIKE, Source.DISLIKE)[number % 2], 1.0 - 2.0 * (number % 2))
        version = tastes.tell("teller", [opinion], f"tell-{number}", timeout_s=WAIT_S).taste.version
        scorer = tastes.learned.scorer("teller", "scorers")
        (result,) = engine.submit([Sample(image)], [scorer], deadline_s=engine.clock() + WAIT_S).wait(WAIT_S)
        times.append(time.perf_counter() - started)
        score = result["taste/teller"]
        seen += getattr(getattr(score, "taste", None), "version", 0) == version
    return [
        _row(f"of {WRITES} opinions, those that counted in the very next request", seen, ""),
        _row("telling an opinion and asking again, both images embedded, median", statistics.median(times) * 1e3, "ms"),
    ]


def _timed(taste: Taste, eye: Eye) -> float:
    started = time.perf_counter()
    fit(taste, eye.background, eye.prior)
    return time.perf_counter() - started


def _row(what: str, value: float, unit: str) -> dict[str, Any]:
    return {"what": what, "value": float(f"{value:.4g}"), "unit": unit}


def main() -> None:
    """Measure, print, and write."""
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            taste_store=f"{folder}/tastes.db",
            taste_encoder=arguments.encoder,
            taste_memory_mb=4096,
            cache_mb=0,
            scorers=("content-labels",),
        )
        service = app.build(config)
        service.start()
        try:
            graph = service.loaded.graphs[arguments.encoder]
            assert service.tastes is not None
            eye = service.tastes.eyes[graph.name]
            rows = measure(service, eye, arguments)
        finally:
            service.stop()
    about = (
        f"One process, {service.config.runners} cores, encoder `{arguments.encoder}`, 512x512 JPEGs, the cache off; "
        f"rounds of {arguments.rows} images, each asked of its own taste, alternate with rounds of the bare encoder."
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['what']:75} {row['value']:10g} {row['unit']}")


if __name__ == "__main__":
    main()
