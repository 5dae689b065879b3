"""What is run: exported graphs on real images, and an encoder of random weights that is as heavy as they come."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import Step, apply
from beholder.runtime.session import Device
from beholder.scoring.asked import CANDIDATE, EMBEDDING, REFERENCE
from beholder.scoring.catalog import Catalog
from beholder.scoring.load import Loaded, load_scorers
from beholder.scoring.scorer import GraphScorer
from beholder.types import U8, EncodedImage, Score, Tensor
from bench.pictures import jpegs
from server_process import REPO

CPU = Device("cpu", 0, 1)
LIMITS = Limits(max_bytes=2**30, max_pixels=10**9)
POOL = 24
"""Different prepared images, of which batches are made."""
QUALITIES = (30, 60, 90)
NATIVE_PX = 256
"""Side of the images of graphs that take any."""
HEAVY, HEAVY_PX = "vit-b32-random", 224
Feeds = dict[str, Tensor]


@dataclass
class Subject:
    """A graph to run.

    Attributes:
        model: a whole ONNX file.
        options: of the CUDA provider, as its folder has them.
        max_batch_rows: what its folder declares for CUDA.
        pool: images for each of its inputs, all of one size.
        scorers: that read its outputs, on the CPU.
    """

    name: str
    model: bytes
    options: Mapping[str, str]
    max_batch_rows: int
    pool: Mapping[str, Sequence[U8]]
    scorers: Sequence[GraphScorer]

    @property
    def bytes_per_row(self) -> int:
        """What one image, or pair, is to be copied."""
        return sum(pictures[0].nbytes for pictures in self.pool.values())

    @property
    def compared(self) -> str:
        """What `apart` is about."""
        if not self.scorers:
            return "the distance of two embeddings over the length of one"
        return f"the difference of scores: {', '.join(scorer.spec.name for scorer in self.scorers)}"

    def feeds(self, rows: int, first: int = 0) -> Feeds:
        """Return a batch; another `first`, another batch."""
        return {
            role: np.stack([pictures[(first + place) % len(pictures)] for place in range(rows)])
            for role, pictures in self.pool.items()
        }

    @cached_property
    def wanted(self) -> list[list[float]]:
        """What the CPU's float32 gives for the pool."""
        from bench.gpu.sessions import open_raw

        opened = open_raw(self, CPU)
        return [self.values(opened.named(opened.run(self.feeds(1, first))))[0] for first in range(POOL)]

    def apart(self, named: Mapping[str, Tensor], first: int = 0) -> float:
        """Return how far the outputs of `feeds(rows, first)` are from the CPU's, at most; inf where one is no number.

        Scores differ by their own unit; embeddings without a scorer by their distance over their length.
        """
        worst = 0.0
        for place, values in enumerate(self.values(named)):
            wanted = np.asarray(self.wanted[(first + place) % POOL])
            found = np.asarray(values)
            if not np.isfinite(found).all():
                return float("inf")
            difference = np.abs(found - wanted).max()
            if not self.scorers:
                difference = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
            worst = max(worst, float(difference))
        return worst

    def values(self, named: Mapping[str, Tensor]) -> list[list[float]]:
        """Return what is compared, for each row: its scores, or its embedding where nobody reads that."""
        if not self.scorers:
            return [row.tolist() for row in np.asarray(named[EMBEDDING], np.float64)]
        columns = [[_value(outcome) for outcome in scorer.scores(named)] for scorer in self.scorers]
        return [list(row) for row in zip(*columns, strict=True)]


def _value(outcome: object) -> float:
    return outcome.value if isinstance(outcome, Score) else float("nan")


def load_on_cpu(catalog: Catalog, names: Sequence[str]) -> Loaded:
    """Load scorers for reading outputs, and for what their folders say."""
    return load_scorers(catalog, names, CPU, 0)


def exported(loaded: Loaded, graph: str, pictures: Path) -> Subject:
    """Return a loaded graph as a subject."""
    its = loaded.graphs[graph]
    pool = _pool(its.image.steps, its.roles, pictures)
    spec = its.spec.graph
    readers = [scorer for scorer in loaded.scorers.values() if scorer.graph.name == graph]
    file = spec.file_for("cuda").path
    return Subject(graph, file.read_bytes(), spec.options["cuda"], spec.max_batch_rows["cuda"], pool, readers)


def _pool(steps: Sequence[Step], roles: Sequence[str], folder: Path) -> dict[str, list[U8]]:
    """Prepare images; candidates are JPEGs of several qualities, references the best of them."""
    side_px = 512 if steps else NATIVE_PX

    def prepared(data: bytes) -> U8:
        return apply(tuple(steps), decode(EncodedImage(data), LIMITS, CANDIDATE))

    each = POOL // len(QUALITIES)
    files = [data for quality in QUALITIES for data in jpegs(folder, side_px, each, quality)]
    pool = {CANDIDATE: [prepared(data) for data in files]}
    if REFERENCE in roles:
        pool[REFERENCE] = [prepared(data) for data in jpegs(folder, side_px, each, 95)] * len(QUALITIES)
    return pool


def heavy(pictures: Path, width: int = 768, depth: int = 12, patch_px: int = 32) -> Subject:
    """Trace a vision transformer of random weights, by default of the size of CLIP's ViT-B/32.

    Raises:
        ImportError: no torch, or no exporter.
    """
    sys.path.insert(0, str(REPO / "models"))
    try:
        import torch
        from _export import trace
        from _vit import VisionTransformer
    finally:
        sys.path.pop(0)

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = VisionTransformer(_random_state(width, depth, patch_px, _normal(torch)))

        def forward(self, candidate: torch.Tensor) -> torch.Tensor:
            return self.trunk(candidate.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1)

    example = {CANDIDATE: torch.zeros(1, HEAVY_PX, HEAVY_PX, 3, dtype=torch.uint8)}
    dynamic = {name: {0: "batch"} for name in (CANDIDATE, EMBEDDING)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        trace(Encoder(), example, [EMBEDDING], dynamic, path)
        model = path.read_bytes()
    pool = {CANDIDATE: [decode(EncodedImage(data), LIMITS, "") for data in jpegs(pictures, HEAVY_PX, POOL)]}
    return Subject(HEAVY, model, {}, 128, pool, ())


def _normal(torch: Any) -> Callable[..., Any]:
    generator = torch.Generator().manual_seed(0)
    return lambda shape, scale: torch.randn(shape, generator=generator) * scale


def _random_state(width: int, depth: int, patch_px: int, normal: Callable[..., Any]) -> dict[str, Any]:
    """Make weights under the names that `VisionTransformer` reads, of the scale that keeps its numbers near 1."""
    patches = (HEAVY_PX // patch_px) ** 2
    state = {"cls_token": normal((1, 1, width), 0.02), "pos_embed": normal((1, patches + 1, width), 0.02)}
    state["patch_embed.proj.weight"] = normal((width, 3, patch_px, patch_px), (3 * patch_px**2) ** -0.5)
    state["patch_embed.proj.bias"] = normal((width,), 0.02)
    for index in range(depth):
        layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        for layer, shape in (layers | {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}).items():
            state[f"blocks.{index}.{layer}.weight"] = normal(shape, shape[1] ** -0.5)
            state[f"blocks.{index}.{layer}.bias"] = normal(shape[:1], 0.02)
        for norm in ("norm1", "norm2"):
            state[f"blocks.{index}.{norm}.weight"] = normal((width,), 0.02) + 1
            state[f"blocks.{index}.{norm}.bias"] = normal((width,), 0.02)
    return state
