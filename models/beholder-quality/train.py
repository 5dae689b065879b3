"""Trains the head of beholder-quality: python models/beholder-quality/train.py --photographs DIR --weights FILE.

Photographs and drawings without faults are distorted; scorers that see the original too say how bad each distortion
looks; the head learns to rank as they do, where they agree, from the distorted image alone. No person's opinion is
used. The same photographs, packages and processor give the same bytes; two cores take about ten minutes.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import softplus

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from distort import DISTORTIONS, U8
from draw import draw
from network import HEAD, HERE, Head, Statistics, save_head

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
TEACHERS = {"ssimulacra2": 1, "haarpsi": 1, "mdsi": -1, "ms-gmsd-c": -1, "colorvideovdp": 1}
"""Name -> 1 where a higher score is better."""
SIDE_PX, VIEWS, SAMPLES = 288, 6, 14
"""Of the squares; how many of each picture; how many of each square, the first as it is."""
DRAWINGS = 32
BARRED_SHARE = 0.15
"""Of squares with black or white bars on two sides, which are no fault."""
TONE = ("cast", "saturate", "contrast", "expose", "halve_colour")
"""Distortions that only a look at the original can call a fault; they count less."""
SHARES = (
    (25, ("upscale", "upscale_nearest", "upscale_sharp", "codec_at_low_height")),
    (20, ("jpeg", "webp", "avif", "jpeg2000")),
    (15, ("gaussian_blur", "lens_blur", "motion_blur", "smear")),
    (15, ("white_noise", "coarse_noise", "shot_noise", "impulse_noise", "colour_noise")),
    (18, ("sharpen", "ring", "posterise", "palette", "checkerboard", "jitter", "patch_over")),
    (7, TONE),
)
"""Percent of the distortions that come from each group."""
TONE_WEIGHT = 0.3
SINGLE_SHARE = 0.65
"""Of samples with one distortion; the others mix two or three."""
OWN_SHARE = 0.7
"""Of a label that is the rank within the square, whatever it shows; the rest is the rank among all samples."""
EPOCHS, BATCH_VIEWS, PAIRS, RATE, DECAY = 30, 12, 3000, 2e-3, 0.02
SLOPE, CLEAR = 8.0, 0.2
"""Of the ranking loss; a difference of quality from which on a pair counts fully."""
FOLDS = 4
SEED = 11


@dataclass(frozen=True)
class Samples:
    """Distorted squares, a row each.

    Attributes:
        statistics: (N, STATISTICS).
        scores: what the teachers say, higher is better, (N, len(TEACHERS)).
        views: number of the square that a row was made of, (N,).
        has_tone: whether a distortion of `TONE` is among its own, (N,).
    """

    statistics: F32
    scores: F32
    views: NDArray[np.int64]
    has_tone: Bools


def views(picture: Image.Image, rng: np.random.Generator) -> Iterator[U8]:
    """Cut squares out of a picture at its own size and smaller ones, some with bars."""
    for index in range(VIEWS):
        scale = 1.0 if index % 3 == 0 else rng.uniform(SIDE_PX / min(picture.size), 1)
        width, height = (max(SIDE_PX, round(side * scale)) for side in picture.size)
        resized = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
        x, y = rng.integers(0, width - SIDE_PX + 1), rng.integers(0, height - SIDE_PX + 1)
        square = resized[y : y + SIDE_PX, x : x + SIDE_PX]
        square = np.ascontiguousarray(square[:, ::-1] if rng.integers(2) else square)
        if rng.random() < BARRED_SHARE:
            bar_px = rng.integers(8, SIDE_PX // 4)
            bars = square.swapaxes(0, 1) if rng.integers(2) else square
            bars[:bar_px] = bars[-bar_px:] = rng.choice([0, 255])
        yield square


def distorted(view: U8, rng: np.random.Generator) -> Iterator[tuple[U8, bool]]:
    """Yield a square as it is, then with distortions of all strengths; and whether its tone was changed."""
    yield view, False
    names = [name for _, group in SHARES for name in group]
    shares = [share / len(group) / 100 for share, group in SHARES for _ in group]
    for index in range(SAMPLES - 1):
        strength = (index + rng.random()) / (SAMPLES - 1)
        count = 1 if rng.random() < SINGLE_SHARE else int(rng.integers(2, 4))
        chosen = rng.choice(names, count, replace=False, p=shares)
        image = view
        for name in chosen:
            image = DISTORTIONS[name](image, strength if count == 1 else strength * rng.uniform(0.3, 0.9), rng)
        yield image, any(name in TONE for name in chosen)


@cache
def teacher(name: str) -> onnxruntime.InferenceSession:
    """Open the graph of a scorer, for one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(HERE.parent / name / "model.onnx", options, ["CPUExecutionProvider"])


@cache
def trunk(weights: Path) -> Statistics:
    """Build the part that is not trained, for one thread."""
    torch.set_num_threads(1)
    return Statistics(torch.load(weights, map_location="cpu", weights_only=True))


def open_photograph(path: Path) -> Image.Image:
    """Read a photograph."""
    with Image.open(path) as file:
        return file.convert("RGB")


@torch.inference_mode()
def look_at(number: int, path: Path | None, weights: Path) -> Samples:
    """Distort a photograph, or a drawing where there is none, and ask the teachers."""
    rng = np.random.default_rng([SEED, number])
    statistics, scores, has_tone = [], [], []
    for view in views(open_photograph(path) if path else draw(rng), rng):
        for image, tone in distorted(view, rng):
            images = {"candidate": image[None], "reference": view[None]}
            said = [sign * teacher(name).run(["score"], images)[0][0] for name, sign in TEACHERS.items()]
            statistics.append(trunk(weights)(torch.from_numpy(image.copy())[None]).numpy())
            scores.append(said)
            has_tone.append(tone)
    numbers = number * VIEWS + np.arange(VIEWS).repeat(SAMPLES)
    return Samples(np.concatenate(statistics), np.array(scores, np.float32), numbers, np.array(has_tone))


def percentiles(values: F32) -> F32:
    """Return the mid-rank of each value among all, 0 to 1, column by column."""
    columns = [np.searchsorted(np.sort(column), column, side) for column in values.T for side in ("left", "right")]
    return (np.stack(columns[::2], 1) + np.stack(columns[1::2], 1)).astype(np.float32) / (2 * len(values))


def correlation(values: F32, others: F32) -> float:
    """Return Spearman's rank correlation."""
    return float(np.corrcoef(percentiles(np.stack([values, others], 1)).T)[0, 1])


def labels(scores: F32) -> F32:
    """Return the quality that each teacher gives each sample, 0 to 1, (N, len(TEACHERS))."""
    own = np.concatenate([percentiles(square) for square in scores.reshape(-1, SAMPLES, scores.shape[1])])
    return OWN_SHARE * own + (1 - OWN_SHARE) * percentiles(scores)


def fit(samples: Samples, rows: Bools) -> Head:
    """Train a head on some of the samples, whole squares.

    The loss of a pair is a logistic one (Burges et al. 2005) on the difference, where all teachers agree who is better;
    half of the pairs are of one square. A square loss beside it keeps the scale.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    seen = samples.statistics[rows]
    head = Head(seen.mean(axis=0), seen.std(axis=0) + 1e-3)
    statistics = torch.from_numpy(seen)
    said = labels(samples.scores)
    quality = torch.from_numpy(percentiles(said.mean(axis=1, keepdims=True))[rows, 0]) - 0.5
    said = torch.from_numpy(said[rows])
    weight = torch.where(torch.from_numpy(samples.has_tone[rows]), TONE_WEIGHT, 1.0)
    squares = len(statistics) // SAMPLES
    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=DECAY)
    steps = EPOCHS * (squares // BATCH_VIEWS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1)
    for _ in range(EPOCHS):
        order = rng.permutation(squares)[: squares // BATCH_VIEWS * BATCH_VIEWS]
        for chosen in order.reshape(-1, BATCH_VIEWS):
            batch = torch.from_numpy((chosen[:, None] * SAMPLES + np.arange(SAMPLES)).ravel())
            optimiser.zero_grad()
            loss(head.votes(statistics[batch]), said[batch], quality[batch], weight[batch]).backward()
            optimiser.step()
            schedule.step()
    return head.eval()


def loss(votes: Tensor, said: Tensor, quality: Tensor, weight: Tensor) -> Tensor:
    """Return the loss of a batch of whole squares: votes (N, MEMBERS), said (N, TEACHERS), quality and weight (N,)."""
    first = torch.randint(len(votes), (PAIRS,))
    beside = first // SAMPLES * SAMPLES + torch.randint(SAMPLES, (PAIRS,))
    second = torch.where(torch.rand(PAIRS) < 0.5, beside, torch.randint(len(votes), (PAIRS,)))
    difference = said[first] - said[second]
    mean = difference.mean(dim=1, keepdim=True)
    agreed = (difference * mean.sign() > 0).all(dim=1, keepdim=True)
    counts = agreed * mean.abs().clamp(max=CLEAR) * torch.minimum(weight[first], weight[second])[:, None]
    ranking = softplus(-SLOPE * (votes[first] - votes[second]) * mean.sign())
    scale = weight[:, None] * (votes - quality[:, None]) ** 2
    return ((counts * ranking).sum(dim=0) / counts.sum() + 5 * scale.mean(dim=0)).sum()


def report(samples: Samples, photographs: int) -> None:
    """Print how well heads rank the distortions of pictures that they were not trained on."""
    quality = percentiles(samples.scores).mean(axis=1)
    pictures = samples.views // VIEWS
    found = np.zeros_like(quality)
    for fold in range(FOLDS):
        unseen = pictures % FOLDS == fold
        found[unseen] = fit(samples, ~unseen)(torch.from_numpy(samples.statistics[unseen])).detach().numpy()
    for kind, rows in (("photographs", pictures < photographs), ("drawings", pictures >= photographs)):
        squares = [samples.views == view for view in np.unique(samples.views[rows])]
        within = np.mean([correlation(found[square], quality[square]) for square in squares])
        among = correlation(found[rows], quality[rows])
        print(f"unseen {kind}: rank correlation {among:.3f}, within one square {within:.3f}, samples {rows.sum()}")


def main() -> None:
    """Train, and report on photographs left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True, help="a folder of PNG or lossless WebP files")
    parser.add_argument("--weights", type=Path, required=True, help="EfficientNet-Lite0, as scorer.toml names it")
    parser.add_argument("--output", type=Path, default=HEAD)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    files = [path for path in arguments.photographs.rglob("*") if path.suffix in {".png", ".webp"}]
    paths = sorted(files, key=lambda path: path.stem)
    work = [(number, path, arguments.weights) for number, path in enumerate([*paths, *[None] * DRAWINGS])]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        parts = pool.starmap(look_at, work, chunksize=1)
    samples = Samples(*(np.concatenate([getattr(part, name.name) for part in parts]) for name in fields(Samples)))
    report(samples, len(paths))
    save_head(fit(samples, np.full(len(samples.views), True)), arguments.output)


if __name__ == "__main__":
    main()
