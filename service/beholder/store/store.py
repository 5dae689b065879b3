"""What a store of tastes does, the values it takes and gives, and the limits it keeps; how lies elsewhere."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from beholder.errors import InvalidSample
from beholder.store.changes import Changes, Written
from beholder.store.opinions import Taste
from beholder.types import F32, REQUEST_ID_FORM

NAME_FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one store may hold.

    Attributes:
        tastes: in total.
        images: of one taste.
        choices: of one taste; its pairs of images may be many more than its images.
        originals_mb: MiB of one taste's images as sent, where the operator keeps them.
    """

    tastes: int = 100_000
    images: int = 10_000
    choices: int = 100_000
    originals_mb: int = 1024


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

    A write or move whose request_id is one of the last 1000 of its taste answers what the first one answered, and does
    nothing. `expected_version` is that of the taste as the writer read it; 0 takes any. A name that is deleted and made
    again is another taste, whose versions and requests begin anew.

    Every method raises:
        InvalidSample: a name or a request_id that is none.
        StoreUnavailable: locked, full or out of reach; nothing was written, or the same request_id will tell.
        StoreFailed: damaged.
    """

    def create(
        self, name: str, encoder: str, encoder_digest: str, request_id: str, changes: Changes | None = None
    ) -> Taste:
        """Make a taste of version 1 and return it: with all of `changes` in it, or not at all; empty without.

        The request that made it, sent again, is answered the same for as long as the taste lives.

        Raises:
            TasteExists: and another request made it.
            TasteFull: no room for one more, or it would hold too much.
            InvalidSample: an image without embedding, or embeddings of another encoder.
        """
        ...

    def get(self, name: str) -> Taste:
        """Return everything that is kept of a taste, as of one moment; all in the order of the images' ids.

        Raises:
            TasteNotFound: there is none.
        """
        ...

    def originals(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield the images as sent that are kept of a taste, with their ids, in the order of these.

        One or two are in memory at a time, and nothing is locked between them: each is as of the moment that it is
        reached, and what is told or removed meanwhile may be among them or not.

        Raises:
            TasteNotFound: there is none; later, it was deleted before the end.
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

    def move(
        self,
        name: str,
        encoder: str,
        encoder_digest: str,
        embeddings: Mapping[str, F32],
        request_id: str,
        expected_version: int = 0,
    ) -> Written:
        """Change a taste's encoder, with all its embeddings or not at all; the opinions stay and the version goes up.

        From then on a write with embeddings of the encoder before is InvalidSample: embed again.

        Args:
            encoder_digest: SHA-256 of the graph that made the embeddings.
            embeddings: image id -> (D,) float32, of exactly the images that the taste holds.

        Raises:
            TasteNotFound: there is none.
            VersionConflict: it is not of `expected_version`.
            InvalidSample: an image without embedding, an embedding of an image that it doesn't hold or that is not
                finite or not as long as the others, a request_id of another write.
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
