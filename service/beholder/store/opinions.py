"""What people say of images, as values; they hold data and know nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from beholder.types import F32


class Source(Enum):
    """How somebody said what they think of one image."""

    LIKE = "LIKE"
    DISLIKE = "DISLIKE"
    RATING = "RATING"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody thinks of one image.

    Attributes:
        image: its id, the SHA-256 of the image as lowercase hex.
        value: -1 (worst) to 1 (best); 1 for a like, -1 for a dislike.
    """

    image: str
    value: float
    source: Source


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of two images somebody likes better.

    Attributes:
        better, worse: ids of two images; in a tie their order means nothing.
    """

    better: str
    worse: str
    is_tie: bool = False


Opinion = Verdict | Choice


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """Everything that was told about one taste; a change makes a new value with the next version.

    Attributes:
        id: uuid4 as 32 hex digits; a deleted and remade name has another.
        name: 1 to 64 of a-z, 0-9, '.', '_' and '-', by which it is asked.
        version: 1 for a new one.
        encoder: the name of the encoder that made the embeddings, and `encoder_digest` the SHA-256 of its graph.
        verdicts: by image; one for each, the last.
        choices: one for each two images, the last.
        embeddings: image id -> (D,), for every image that an opinion names.
    """

    id: str
    name: str
    version: int
    encoder: str
    encoder_digest: str
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    choices: Sequence[Choice] = ()
    embeddings: Mapping[str, F32] = field(default_factory=dict)

    @property
    def opinions(self) -> tuple[Opinion, ...]:
        """All that was told."""
        return (*self.verdicts.values(), *self.choices)
