"""Scorers whose sessions are fakes: the seam where tests of the engine enter."""

import dataclasses
import io
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from beholder.clock import monotonic
from beholder.config import Config
from beholder.engine.engine import Engine
from beholder.inputs.steps import Step
from beholder.metrics import Metrics
from beholder.scoring.asked import Graph
from beholder.scoring.catalog import Catalog
from beholder.scoring.image import ImageSpec
from beholder.scoring.load import Loaded
from beholder.scoring.scorer import GraphScorer
from beholder.scoring.spec import EncoderSpec, GraphFile, GraphSpec, MapSpec, ScorerSpec
from beholder.types import Direction, EncodedImage, Kind, Tensor
from fake_session import FakeSession, Run


def brightness(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Score a row by its mean pixel, 0 to 255."""
    return {"score": inputs["candidate"].astype(np.float32).mean(axis=(1, 2, 3))}


def brightness_drawn(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Score a row by its mean pixel, and draw the mean of each."""
    return brightness(inputs) | {"map": inputs["candidate"].astype(np.float32).mean(axis=3)}


def difference(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Score a pair by its mean absolute difference."""
    apart = np.abs(inputs["candidate"].astype(np.float32) - inputs["reference"].astype(np.float32))
    return {"score": apart.mean(axis=(1, 2, 3))}


def embedding(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Embed a row as its mean pixel and 1."""
    mean = brightness(inputs)["score"]
    return {"embedding": np.stack([mean, np.ones_like(mean)], axis=1)}


def first_of_embedding(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Score an embedding by its first number."""
    return {"score": inputs["embedding"][:, 0]}


class HeldSession(FakeSession):
    """A fake session that counts its runs and can be held up."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.batches.append(len(next(iter(inputs.values()))))
        self.entered.release()
        if not self.gate.wait(30.0):
            raise TimeoutError
        return super().run(inputs)


class House:
    """A catalogue of fake scorers, and the engine that runs them."""

    def __init__(self) -> None:
        self.catalog = Catalog({}, {}, {})
        self.loaded = Loaded()
        self.metrics = Metrics()

    def add_graph(
        self, name: str, run: Run, kind: Kind = Kind.QUALITY, rows: int = 8, steps: tuple[Step, ...] = ()
    ) -> HeldSession:
        session = HeldSession(run)
        roles = ("candidate", "reference") if kind is Kind.FIDELITY else ("candidate",)
        spec = self._spec(name, kind, "", rows, steps)
        graph = Graph(name, 1, spec, session, roles, rows)
        self.catalog.scorers[name] = spec
        self.loaded.graphs[name] = graph
        self.loaded.scorers[name] = GraphScorer(spec, graph, None, "0" * 64)
        return session

    def add_drawing(self, name: str, run: Run) -> HeldSession:
        """Add a graph that draws to the scorer `name`."""
        session, scorer = HeldSession(run), self.loaded.scorers[name]
        graph = dataclasses.replace(scorer.graph, name=f"{name}/map", session=session, max_batch_rows=1, draws=True)
        drawing = MapSpec(GraphFile(Path("map.onnx"), "0" * 64), 255.0, "brightness")
        self.loaded.graphs[graph.name] = graph
        self.loaded.drawing[name] = dataclasses.replace(scorer, graph=graph, draws=drawing)
        return session

    def add_encoder(self, name: str, run: Run, rows: int = 8, steps: tuple[Step, ...] = ()) -> HeldSession:
        session = HeldSession(run)
        spec = EncoderSpec(name, 1, "", "MIT", Path(), True, _graph_spec(rows), ImageSpec(steps, 1, None), ())
        self.catalog.encoders[name] = spec
        self.loaded.graphs[name] = Graph(name, 1, spec, session, ("candidate",), rows)
        return session

    def add_head(self, name: str, encoder: str, run: Run) -> HeldSession:
        session = HeldSession(run)
        spec = self._spec(name, Kind.QUALITY, encoder, 8)
        self.catalog.scorers[name] = spec
        self.loaded.scorers[name] = GraphScorer(spec, self.loaded.graphs[encoder], session, "0" * 64)
        return session

    def engine(self, device: str = "cpu", **settings: object) -> Engine:
        config = Config(**{"runners": 1, "decode_threads": 2} | settings)  # type: ignore[arg-type]
        return Engine(self.catalog, self.loaded, config, device, monotonic, self.metrics)

    def sample_count(self, name: str, **labels: str) -> float:
        """Return a series' value, 0 where it does not exist yet."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def _spec(self, name: str, kind: Kind, encoder: str, rows: int, steps: tuple[Step, ...] = ()) -> ScorerSpec:
        image = None if encoder else ImageSpec(steps, 1, None)
        return ScorerSpec(
            name=name,
            version=1,
            summary="",
            licence="MIT",
            folder=Path(),
            default=True,
            graph=_graph_spec(rows),
            image=image,
            sources=(),
            kind=kind,
            direction=Direction.HIGHER_IS_BETTER,
            range_=(0.0, 255.0),
            encoder=encoder,
            labels=(),
            top_labels=0,
            map=None,
        )


def _graph_spec(rows: int) -> GraphSpec:
    return GraphSpec(GraphFile(Path("model.onnx"), "0" * 64), {}, {"cpu": rows, "cuda": rows}, {"cpu": {}, "cuda": {}})


def grey_png(level: int, size_px: int = 16) -> EncodedImage:
    """Return a PNG of one grey, `size_px` on each side."""
    buffer = io.BytesIO()
    Image.new("RGB", (size_px, size_px), (level, level, level)).save(buffer, "PNG")
    return EncodedImage(buffer.getvalue())
