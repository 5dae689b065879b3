"""What a store of tastes does, the values it takes and gives, and the limits it keeps; how lies elsewhere."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from beholder.errors import InvalidSample
from beholder.taste.opinions import Choice, Opinion, Taste, Verdict
from beholder.types import F32, REQUEST_ID_FORM

NAME_FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
IMAGE_FORM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one store may hold.

    Attributes:
        tastes: in total.
        images: of one taste.
        choices: of one taste; its pairs of images may be many more than its images.
    """

    tastes: int = 100_000
    images: int = 10_000
    choices: int = 100_000


@dataclass(frozen=True, slots=True)
class Summary:
    """A taste without its opinions.

    Attributes:
        images, verdicts, choices: how many it holds.
        created_s, changed_s: seconds since 1970, UTC.
    """

    name: str
    id: str
    version: int
    encoder: str
    encoder_digest: str
    images: int
    verdicts: int
    choices: int
    created_s: float
    changed_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What one write does, in this order: remove, then add in the order given, so that the later opinion wins.

    Attributes:
        remove: ids of images to forget, with every opinion that names them; one that isn't there is no error.
        verdicts, choices: what was said.
        embeddings: image id -> (D,) float32, of images that an opinion here names and the taste doesn't hold;
            of one that it holds, the stored one stays.
        encoder_digest: SHA-256 of the graph that made them; needed where there are embeddings.

    Raises:
        InvalidSample: an id that is no SHA-256, a value outside -1 to 1, a choice between an image and itself, an
            embedding that no opinion here names, is not finite, or is not as long as the others.
    """

    verdicts: Sequence[Verdict] = ()
    choices: Sequence[Choice] = ()
    remove: Sequence[str] = ()
    embeddings: Mapping[str, F32] = field(default_factory=dict)
    encoder_digest: str = ""

    def __post_init__(self) -> None:
        for image in self.named | set(self.remove):
            if not IMAGE_FORM.fullmatch(image):
                raise InvalidSample(f"want an image's id, 64 hex digits, got {image[:80]!r}")
        for verdict in self.verdicts:
            if not -1.0 <= verdict.value <= 1.0:
                raise InvalidSample(f"image {verdict.image}: want a value of -1 to 1, got {verdict.value}")
        for choice in self.choices:
            if choice.better == choice.worse:
                raise InvalidSample(f"image {choice.better} can't be compared with itself")
        self._check_embeddings()

    @property
    def named(self) -> set[str]:
        """Ids of the images that the new opinions name."""
        pairs = {image for choice in self.choices for image in (choice.better, choice.worse)}
        return pairs | {verdict.image for verdict in self.verdicts}

    @property
    def dims(self) -> int:
        """How long the embeddings are; 0 where there are none."""
        return next((len(embedding) for embedding in self.embeddings.values()), 0)

    def _check_embeddings(self) -> None:
        if unnamed := self.embeddings.keys() - self.named:
            raise InvalidSample(f"image {min(unnamed)}: an embedding, but no opinion")
        for image, embedding in self.embeddings.items():
            if embedding.shape != (self.dims,) or self.dims == 0 or not np.isfinite(embedding).all():
                raise InvalidSample(f"image {image}: its embedding is not {max(self.dims, 1)} finite numbers")


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did.

    Attributes:
        version: the taste's version after it.
        replaced: opinions that a later one took the place of, in the order that this happened; one of them may be of
            the same write.
        removed: opinions that went with their images.
    """

    version: int
    replaced: tuple[Opinion, ...] = ()
    removed: tuple[Opinion, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """What happened since a cursor.

    Attributes:
        cursor: to ask with next time.
        ids: tastes (`Taste.id`) that were made, changed or deleted since.
        is_everything: the cursor was none of this store's, or too old to tell: whatever is remembered may be wrong.
    """

    cursor: int
    ids: frozenset[str] = frozenset()
    is_everything: bool = False


class Store(Protocol):
    """Keeps tastes; any thread may call any method at any time, and what a write answered is on the disk.

    A write whose request_id is one of the last 1000 of its taste answers what the first one answered, and does nothing.
    `expected_version` is that of the taste as the writer read it; 0 takes any.

    Every method raises:
        InvalidSample: a name or a request_id that is none.
        StoreUnavailable: locked, full or out of reach; nothing was written, or the same request_id will tell.
        StoreFailed: damaged.
    """

    def create(self, name: str, encoder: str, encoder_digest: str, request_id: str) -> Taste:
        """Make an empty taste, of version 1.

        Raises:
            TasteExists: and another request made it.
            TasteFull: no room for one more.
        """
        ...

    def get(self, name: str) -> Taste:
        """Return everything that is kept of a taste, as of one moment; all in the order of the images' ids.

        Raises:
            TasteNotFound: there is none.
        """
        ...

    def summary(self, name: str) -> Summary:
        """Return what `list` says of one taste.

        Raises:
            TasteNotFound: there is none.
        """
        ...

    def list(self, after_name: str = "", limit: int = 100) -> Sequence[Summary]:
        """Return the first `limit` tastes whose names come after `after_name`, by name."""
        ...

    def write(self, name: str, changes: Changes, request_id: str, expected_version: int = 0) -> Written:
        """Do all of `changes` or nothing; the version goes up by 1, also where nothing is different after it.

        Raises:
            TasteNotFound: there is none.
            VersionConflict: it is not of `expected_version`.
            TasteFull: it would hold too much.
            InvalidSample: an image without embedding, embeddings of another encoder, a request_id of another write.
        """
        ...

    def delete(self, name: str, request_id: str, expected_version: int = 0) -> None:
        """Forget a taste and everything that came of it.

        Raises:
            TasteNotFound: there is none.
            VersionConflict: it is not of `expected_version`.
        """
        ...

    def changed_since(self, cursor: int) -> News:
        """Return which tastes are no longer what they were at `cursor`; -1 starts. Cheap where nothing happened."""
        ...

    def close(self) -> None:
        """Let go of the database; every later call raises StoreUnavailable."""
        ...


def check_name(name: str) -> None:
    """Raise InvalidSample unless this may be a taste's name."""
    if not NAME_FORM.fullmatch(name):
        raise InvalidSample(
            f"a taste's name is 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit; got {name[:80]!r}",
            "name",
        )


def check_request_id(request_id: str) -> None:
    """Raise InvalidSample unless this may be a request's id."""
    if not REQUEST_ID_FORM.fullmatch(request_id):
        raise InvalidSample(
            f"a request_id is 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'; got {request_id[:80]!r}", "request_id"
        )
