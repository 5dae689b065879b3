"""What somebody says of images, as they say it, becomes what a store writes: images get ids and embeddings.

An opinion that can never be taken is told apart from the others; whatever may pass fails the whole request, so that
sending it again with the same request_id says the same.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

from beholder.errors import BeholderError, InputError, InvalidSample
from beholder.inputs.image import digest, encode_png
from beholder.scoring.asked import Graph
from beholder.store.changes import IMAGE_FORM, Changes
from beholder.store.opinions import Choice, Opinion, Source, Verdict
from beholder.taste.eye import Eye
from beholder.types import F32, EncodedImage, Image

ImageOrId = Image | str
"""An image, or the id of one that the taste holds or the server remembers."""


class Embed(Protocol):
    """Where embeddings come from."""

    def embed(
        self, images: Sequence[Image | InputError], encoder: Graph, timeout_s: float, request_id: str = ""
    ) -> list[F32 | BeholderError]:
        """Return the embedding of each image, shape (D,), or why it has none; an error is given back in its place."""
        ...

    def recall(self, image: bytes, encoder: Graph) -> F32 | None:
        """Return the embedding of an image that was scored before, by its digest; None where it isn't remembered."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class NewVerdict:
    """A like, a dislike or a rating.

    Attributes:
        value: -1 (worst) to 1 (best); 1 for a like, -1 for a dislike.
    """

    image: ImageOrId
    source: Source
    value: float

    @property
    def images(self) -> tuple[ImageOrId, ...]:
        """The images that it names."""
        return (self.image,)

    def with_ids(self, *images: str) -> Opinion:
        """Return it as it is kept."""
        (image,) = images
        return Verdict(image, self.value, self.source)


@dataclass(frozen=True, slots=True, eq=False)
class NewChoice:
    """Which of two images is liked better; in a tie their order means nothing."""

    better: ImageOrId
    worse: ImageOrId
    is_tie: bool = False

    @property
    def images(self) -> tuple[ImageOrId, ...]:
        """The images that it names."""
        return (self.better, self.worse)

    def with_ids(self, *images: str) -> Opinion:
        """Return it as it is kept."""
        better, worse = images
        return Choice(better, worse, self.is_tie)


NewOpinion = NewVerdict | NewChoice


def rating(image: ImageOrId, value: float, lowest: float, highest: float) -> NewVerdict:
    """Return a rating on a scale of one's own.

    Raises:
        InvalidSample: the scale is none, or the value is not on it.
    """
    if not (isfinite(lowest) and isfinite(highest) and lowest < highest):
        raise InvalidSample(f"want a scale from lowest to highest, finite, got {lowest:g} to {highest:g}")
    if not lowest <= value <= highest:
        raise InvalidSample(f"want a value from {lowest:g} to {highest:g}, got {value:g}")
    return NewVerdict(image, Source.RATING, 2 * (value - lowest) / (highest - lowest) - 1)


Held = Callable[[], Mapping[str, F32]]
"""Gives the embeddings that are stored already; asked only where an id is known in no other way."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Images by their ids.

    Attributes:
        ids: one for each image asked about, or why it can't be used.
        embeddings: image id -> (D,), for all that can be used.
        sent: image id -> the image itself, where it was sent.
    """

    ids: Sequence[str | InputError]
    embeddings: Mapping[str, F32]
    sent: Mapping[str, Image]


def see(images: Sequence[ImageOrId], eye: Eye, embed: Embed, held: Held, timeout_s: float, request_id: str) -> Seen:
    """Give each image its id and its embedding; blocks.

    Raises:
        BeholderError: an embedding failed for a reason that has nothing to do with its image.
    """
    names = [image if isinstance(image, str) else digest(image).hex() for image in images]
    sent = {name: image for name, image in zip(names, images, strict=True) if not isinstance(image, str)}
    answers = embed.embed(list(sent.values()), eye.graph, timeout_s, request_id)
    found = dict(zip(sent, answers, strict=True)) | _remembered(set(names) - sent.keys(), eye, embed, held)
    for answer in found.values():
        if isinstance(answer, BeholderError) and not isinstance(answer, InputError):
            raise answer
    errors = {name: answer for name, answer in found.items() if isinstance(answer, InputError)}
    embeddings = {name: answer for name, answer in found.items() if not isinstance(answer, BeholderError)}
    return Seen([errors.get(name, name) for name in names], embeddings, sent)


def _remembered(ids: Collection[str], eye: Eye, embed: Embed, held: Held) -> dict[str, F32 | BeholderError]:
    found = dict[str, F32 | BeholderError]()
    for image in ids:
        if not IMAGE_FORM.fullmatch(image):
            found[image] = InvalidSample(f"want an image's id, 64 hex digits, got {image[:80]!r}")
        elif (embedding := embed.recall(bytes.fromhex(image), eye.graph)) is not None:
            found[image] = embedding
    stored = held() if len(found) < len(ids) else {}
    unknown = "is neither held by the taste nor remembered by this server: send the image itself"
    for image in ids - found.keys():
        found[image] = stored[image] if image in stored else InvalidSample(f"image {image} {unknown}")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Opinions as they can be kept.

    Attributes:
        results: for each opinion the ids of its images, or why it can't be taken.
        changes: all that can be.
    """

    results: Sequence[tuple[str, ...] | InputError]
    changes: Changes


def hear(
    opinions: Sequence[NewOpinion | InputError],
    eye: Eye,
    embed: Embed,
    held: Held,
    *,
    keeps_images: bool,
    timeout_s: float,
    request_id: str,
) -> Heard:
    """Make what a store writes of what somebody says; blocks while images are embedded.

    Raises:
        BeholderError: as `see`.
    """
    images = [image for opinion in opinions if not isinstance(opinion, InputError) for image in opinion.images]
    seen = see(images, eye, embed, held, timeout_s, request_id)
    ids = iter(seen.ids)
    results = list[tuple[str, ...] | InputError]()
    told = list[Opinion]()
    for place, opinion in enumerate(opinions):
        result = opinion if isinstance(opinion, InputError) else _ids_of(opinion, ids, f"opinions[{place}]")
        results.append(result)
        if not isinstance(opinion, InputError) and not isinstance(result, InputError):
            told.append(opinion.with_ids(*result))
    verdicts = [opinion for opinion in told if isinstance(opinion, Verdict)]
    choices = [opinion for opinion in told if isinstance(opinion, Choice)]
    named = Changes(verdicts, choices).named
    embeddings = {image: embedding for image, embedding in seen.embeddings.items() if image in named}
    kept = {image: _file(seen.sent[image]) for image in named & seen.sent.keys()} if keeps_images else {}
    return Heard(results, Changes(verdicts, choices, embeddings=embeddings, encoder_digest=eye.digest, originals=kept))


def _ids_of(opinion: NewOpinion, ids: Iterator[str | InputError], field: str) -> tuple[str, ...] | InputError:
    found = [next(ids) for _ in opinion.images]
    for name, image in zip(("better", "worse"), found, strict=False):
        if isinstance(image, InputError):
            return InvalidSample(image.message, field if isinstance(opinion, NewVerdict) else f"{field}.choice.{name}")
    if len(set(found)) < len(found):
        return InvalidSample("want two images to choose from, got the same one twice", f"{field}.choice")
    return tuple(image for image in found if isinstance(image, str))


def _file(image: Image) -> bytes:
    return image.data if isinstance(image, EncodedImage) else encode_png(image.pixels)
