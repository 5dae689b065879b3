"""Tastes on a fake encoder and a real store: the seam where tests of what is told, learned and asked enter."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from beholder.clock import monotonic
from beholder.engine.embed import Embeddings
from beholder.engine.engine import Engine
from beholder.inputs.image import Limits as ImageLimits
from beholder.inputs.image import decode
from beholder.scoring.asked import Scorer
from beholder.store.open import open_store
from beholder.store.opinions import Source
from beholder.store.store import Limits
from beholder.taste.background import fit_background
from beholder.taste.eye import Eye
from beholder.taste.learned import Learned
from beholder.taste.prior import Prior
from beholder.taste.tastes import Tastes
from beholder.taste.telling import ImageOrId, NewVerdict
from beholder.types import F32, U8, EncodedImage, Outcome, Sample, Tensor
from fake_scorers import House

ENCODER, DIGEST, SIDE_PX = "eye", "0" * 64, 8
WAIT_S = 30.0


def look(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Embed a row as the means of its sixteen squares in three colours: 48 numbers."""
    pixels = inputs["candidate"].astype(np.float32) / 255
    count, height, width, _ = pixels.shape
    squares = pixels.reshape(count, 4, height // 4, 4, width // 4, 3).mean(axis=(2, 4))
    return {"embedding": squares.reshape(len(pixels), -1)}


def pixels(number: int, warm: bool) -> U8:
    """Return an image, mostly red or mostly blue, `SIDE_PX` on each side."""
    noise = np.random.default_rng(number).integers(0, 140, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    noise[:, :, 0 if warm else 2] += 100
    return noise


def warm(number: int) -> EncodedImage:
    """Return a mostly red image as a PNG."""
    return png(pixels(number, warm=True))


def cold(number: int) -> EncodedImage:
    """Return a mostly blue image as a PNG."""
    return png(pixels(number, warm=False))


def png(image: U8) -> EncodedImage:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return EncodedImage(file.getvalue())


def like(*images: ImageOrId) -> list[NewVerdict]:
    """Return the opinions that these are good."""
    return [NewVerdict(image, Source.LIKE, 1.0) for image in images]


def dislike(*images: ImageOrId) -> list[NewVerdict]:
    """Return the opinions that these are bad."""
    return [NewVerdict(image, Source.DISLIKE, -1.0) for image in images]


class TasteHouse(House):
    """A house with one encoder that tastes use; `stores` of several replicas may lie at one address."""

    def __init__(self, prior: Prior | None = None) -> None:
        super().__init__()
        self.session = self.add_encoder(ENCODER, look)
        seen = np.stack([pixels(number, number % 2 == 0) for number in range(1000, 1120)])
        rows: F32 = look({"candidate": seen})["embedding"].astype(np.float32)
        background = fit_background(rows, np.zeros((0, rows.shape[1])), encoder_digest=DIGEST)
        self.eyes = {ENCODER: Eye(self.loaded.graphs[ENCODER], DIGEST, background, prior)}

    @contextlib.contextmanager
    def tastes(
        self,
        address: str | Path,
        limits: Limits = Limits(),  # noqa: B008
        *,
        keeps_images: bool = False,
        poll_s: float = 0.05,
    ) -> Iterator[tuple[Tastes, Engine]]:
        """Run an engine with the tastes of a store."""
        engine = self.engine(runners=2)
        store = open_store(str(address), limits)
        learned = Learned(store, self.eyes, monotonic, self.metrics, 2**24, poll_s)
        embeddings = Embeddings(engine, 256)
        tastes = Tastes(store, learned, self.eyes, ENCODER, embeddings, keeps_images=keeps_images)
        learned.start()
        engine.start()
        try:
            yield tastes, engine
        finally:
            engine.stop()
            tastes.stop()


def embedding(image: EncodedImage) -> F32:
    """Return what the fake encoder says of an image."""
    decoded = decode(image, ImageLimits(2**20, 2**20), "candidate")
    return look({"candidate": decoded[None]})["embedding"][0].astype(np.float32)


def ask(engine: Engine, scorers: Sequence[Scorer], images: Sequence[EncodedImage]) -> list[dict[str, Outcome]]:
    """Return what scorers say of images."""
    samples = [Sample(image) for image in images]
    job = engine.submit(samples, scorers, deadline_s=engine.clock() + WAIT_S)
    return [dict(result) for result in job.wait(WAIT_S)]
