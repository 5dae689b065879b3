"""What one write of a taste says, and what it did, as values; checked before any database hears of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from beholder.errors import InvalidSample
from beholder.store.opinions import Choice, Opinion, Verdict
from beholder.types import F32

IMAGE_FORM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What one write does, in this order: remove, then add in the order given, so that the later opinion wins.

    What is to be removed and isn't there is no error. An image that loses an opinion here and is named by none after
    the write goes too, with its embedding and its original.

    Attributes:
        verdicts, choices: what was said.
        remove: ids of images to forget, with every opinion that names them.
        remove_verdicts: ids of images whose verdict to forget; choices that name them stay.
        remove_choices: two ids each, in any order: the choice between them to forget; verdicts on them stay.
        embeddings: image id -> (D,) float32, of images that an opinion here names and the taste doesn't hold;
            of one that it holds, the stored one stays.
        encoder_digest: SHA-256 of the graph that made them; needed where there are embeddings.
        originals: image id -> the encoded file as sent, of images that an opinion here names; only where the operator
            said that they are kept. Of one that is kept, the stored one stays.

    Raises:
        InvalidSample: an id that is no SHA-256, a value outside -1 to 1, a choice between an image and itself, an
            embedding or an original that no opinion here names, an embedding that is not finite, or is not as long as
            the others.
    """

    verdicts: Sequence[Verdict] = ()
    choices: Sequence[Choice] = ()
    remove: Sequence[str] = ()
    embeddings: Mapping[str, F32] = field(default_factory=dict)
    encoder_digest: str = ""
    remove_verdicts: Sequence[str] = ()
    remove_choices: Sequence[tuple[str, str]] = ()
    originals: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unpaired = {image for pair in self.remove_choices for image in pair}
        for image in self.named.union(self.remove, self.remove_verdicts, unpaired):
            if not IMAGE_FORM.fullmatch(image):
                raise InvalidSample(f"want an image's id, 64 hex digits, got {image[:80]!r}")
        for verdict in self.verdicts:
            if not -1.0 <= verdict.value <= 1.0:
                raise InvalidSample(f"image {verdict.image}: want a value of -1 to 1, got {verdict.value}")
        pairs = [(choice.better, choice.worse) for choice in self.choices]
        for image, other in (*pairs, *self.remove_choices):
            if image == other:
                raise InvalidSample(f"image {image} can't be compared with itself")
        for what, images in (("embedding", self.embeddings.keys()), ("original", self.originals.keys())):
            if unnamed := images - self.named:
                raise InvalidSample(f"image {min(unnamed)}: an {what}, but no opinion")
        dims_of(self.embeddings)

    @property
    def named(self) -> set[str]:
        """Ids of the images that the new opinions name."""
        pairs = {image for choice in self.choices for image in (choice.better, choice.worse)}
        return pairs | {verdict.image for verdict in self.verdicts}

    @property
    def is_removing(self) -> bool:
        """Whether something that is stored may have to go."""
        return bool(self.remove or self.remove_verdicts or self.remove_choices)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did.

    Attributes:
        version: the taste's version after it.
        replaced: opinions that a later one took the place of, in the order that this happened; one of them may be of
            the same write.
        removed: opinions that were removed, or went with their images.
    """

    version: int
    replaced: tuple[Opinion, ...] = ()
    removed: tuple[Opinion, ...] = ()


def dims_of(embeddings: Mapping[str, F32]) -> int:
    """Return how long the embeddings are; 0 where there are none.

    Raises:
        InvalidSample: one is not finite, or not as long as the others.
    """
    dims = next((len(embedding) for embedding in embeddings.values()), 0)
    for image, embedding in embeddings.items():
        if embedding.shape != (dims,) or dims == 0 or not np.isfinite(embedding).all():
            raise InvalidSample(f"image {image}: its embedding is not {max(dims, 1)} finite numbers")
    return dims
