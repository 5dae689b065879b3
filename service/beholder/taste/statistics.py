"""From images to what a background or a prior is fitted from: each is embedded, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from beholder.errors import BeholderError, ConfigError, InvalidSample
from beholder.inputs.image import Limits, decode
from beholder.inputs.invisible import CHANGES, CORNERS
from beholder.taste.background import Background, fit_background
from beholder.taste.population import fit_prior
from beholder.taste.prior import Prior
from beholder.taste.ratings import Told
from beholder.types import F32, EncodedImage, Image, RawImage

Key = TypeVar("Key")
Embed = Callable[[Sequence[Image]], Sequence[F32 | BeholderError]]
MIN_IMAGES = 10
FEW_IMAGES = 1000
"""Of fewer images their corners are taken too: K directions want more than K images."""
MAX_IMAGES = 10_000
"""Of more images so many, evenly spaced, are taken: memory grows with them."""
MAX_CHANGED = 200
"""So many images, evenly spaced, are also changed invisibly."""
_BATCH = 16
_BATCH_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom to tell how it goes.

    Attributes:
        tell: gets a line for each image that doesn't count, and why.
        step: called after each image.
    """

    tell: Callable[[str], object]
    step: Callable[[], object]


SILENT = Progress(lambda line: None, lambda: None)


def background_of(
    images: Sequence[Path | Image],
    embed: Embed,
    limits: Limits,
    *,
    encoder_digest: str,
    version: int = 1,
    progress: Progress = SILENT,
) -> Background:
    """Fit a background to images, each with its corners where there are few, and some of them changed invisibly.

    What can't be read is told and left out.

    Args:
        images: like those that will be judged; 1000 or more are good.
        embed: gives for each image its embedding (D,), or why there is none.
        limits: of one image, before it is decoded.

    Raises:
        ConfigError: fewer than MIN_IMAGES images can be read, or `embed` gives what is no embedding.
    """
    chosen = _spaced(images, MAX_IMAGES)
    if len(chosen) < len(images):
        progress.tell(f"{len(chosen):,} of {len(images):,} images are taken, evenly spaced: that is the limit")
    seen = _Seen()
    variants = _variants(chosen, limits, progress)
    for (at, kind), embedding in _embedded(variants, embed):
        if isinstance(embedding, BeholderError) and not kind:
            progress.tell(f"{_name(chosen[at], at)}: {embedding.message}")
        else:
            seen.add(at, kind, embedding)
    if seen.refused:
        progress.tell(f"{len(seen.refused):,} parts or changed copies of images are left out: {seen.refused[0]}")
    if len(seen.whole) < MIN_IMAGES:
        raise ConfigError(f"a background wants at least {MIN_IMAGES} images, got {len(seen.whole)} that can be read")
    rows = [*seen.whole.values(), *(row for _, row in seen.parts)]
    contents = [*seen.whole, *(at for at, _ in seen.parts)]
    try:
        width = len(rows[0])
        changes = np.array(seen.changes, dtype=np.float32).reshape(-1, width)
        return fit_background(
            np.stack(rows), changes, encoder_digest=encoder_digest, version=version, contents=np.array(contents)
        )
    except ValueError as error:
        raise ConfigError(f"no background can be fitted: {error}") from error


def prior_of(
    told: Told,
    folder: Path,
    embed: Embed,
    background: Background,
    *,
    version: int = 1,
    progress: Progress = SILENT,
) -> Prior:
    """Fit what most people like to what they said of images in a folder.

    An image that can't be read is told and left out, with what was said of it.

    Raises:
        ConfigError: too little is said of images that can be read, or `embed` gives what is no embedding.
    """
    embeddings = dict[str, F32]()
    for name, embedding in _embedded(_files(told.images, folder, progress), embed):
        if isinstance(embedding, BeholderError):
            progress.tell(f"{name}: {embedding.message}")
        else:
            embeddings[name] = embedding
        progress.step()
    ratings = [rating for rating in told.ratings if rating.image in embeddings]
    pairs = [pair for pair in told.pairs if pair.better in embeddings and pair.worse in embeddings]
    try:
        return fit_prior(ratings, pairs, embeddings, background, version=version)
    except ValueError as error:
        raise ConfigError(f"no prior can be fitted: {error}") from error


@dataclass(slots=True)
class _Seen:
    """Embeddings so far, of whole images by their place, of parts, and what invisible changes do."""

    whole: dict[int, F32] = field(default_factory=dict)
    parts: list[tuple[int, F32]] = field(default_factory=list)
    changes: list[F32] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, at: int, kind: str, embedding: F32 | BeholderError) -> None:
        """Keep an embedding; that of the whole image, of no kind, comes first, and without it no other counts."""
        if not kind and not isinstance(embedding, BeholderError):
            self.whole[at] = embedding
        elif at not in self.whole:
            return
        elif isinstance(embedding, BeholderError):
            self.refused.append(embedding.message)
        elif kind in CORNERS:
            self.parts.append((at, embedding))
        else:
            self.changes.append(embedding - self.whole[at])


def _variants(
    images: Sequence[Path | Image], limits: Limits, progress: Progress
) -> Iterator[tuple[tuple[int, str], Image]]:
    """Yield ((place, kind), pixels) of every image, of its parts and of what invisible changes make of it."""
    changed = set(_spaced(range(len(images)), MAX_CHANGED))
    kinds = CORNERS if len(images) < FEW_IMAGES else {}
    for at, image in enumerate(images):
        try:
            pixels = decode(_read(image), limits, "")
        except InvalidSample as error:
            progress.tell(f"{_name(image, at)}: {error.message}")
        else:
            yield (at, ""), RawImage(pixels)
            for kind, change in {**kinds, **(CHANGES if at in changed else {})}.items():
                yield (at, kind), RawImage(change(pixels))
        progress.step()


def _files(names: Iterable[str], folder: Path, progress: Progress) -> Iterator[tuple[str, Image]]:
    for name in names:
        try:
            yield name, _read(folder / name)
        except InvalidSample as error:
            progress.tell(f"{name}: {error.message}")
            progress.step()


def _read(image: Path | Image) -> Image:
    if not isinstance(image, Path):
        return image
    try:
        return EncodedImage(image.read_bytes())
    except OSError as error:
        raise InvalidSample(f"can't be read: {error.strerror or error}") from error


def _embedded(images: Iterable[tuple[Key, Image]], embed: Embed) -> Iterator[tuple[Key, F32 | BeholderError]]:
    """Yield what `embed` says of each image, in order, a few of them at a time."""
    for batch in _batches(images):
        yield from zip((key for key, _ in batch), embed([image for _, image in batch]), strict=True)


def _batches(images: Iterable[tuple[Key, Image]]) -> Iterator[list[tuple[Key, Image]]]:
    batch, size = list[tuple[Key, Image]](), 0
    for key, image in images:
        batch.append((key, image))
        size += image.pixels.nbytes if isinstance(image, RawImage) else len(image.data)
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


Item = TypeVar("Item")


def _spaced(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many items, evenly spaced."""
    count = min(most, len(items))
    return [items[at * len(items) // count] for at in range(count)]


def _name(image: Path | Image, at: int) -> str:
    return str(image) if isinstance(image, Path) else f"images[{at}]"
