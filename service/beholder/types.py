"""Values that travel between the rooms; they hold data and know nobody."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray

from beholder.errors import BeholderError

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Tensor = NDArray[np.generic]
REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a caller may choose as the id of a request, in whole."""


class Kind(Enum):
    """What a scorer judges, and so what it needs beside the candidate."""

    FIDELITY = "FIDELITY"
    """How near the candidate is to a reference."""
    QUALITY = "QUALITY"
    """How good the candidate looks by itself."""
    ADHERENCE = "ADHERENCE"
    """How well the candidate shows what a prompt says."""
    PREFERENCE = "PREFERENCE"
    """How much people prefer the candidate, given a prompt or not."""
    SAFETY = "SAFETY"
    """How unsafe the candidate is, with labels."""
    CONTENT = "CONTENT"
    """What the candidate shows, as labels; not ordered from bad to good."""
    TASTE = "TASTE"
    """Whether one person likes the candidate, as learned from what they said of others."""


class Direction(Enum):
    """Which way a score gets better."""

    HIGHER_IS_BETTER = "HIGHER_IS_BETTER"
    LOWER_IS_BETTER = "LOWER_IS_BETTER"
    UNORDERED = "UNORDERED"
    """The score can't rank candidates (a label's confidence, say)."""


class Priority(IntEnum):
    """Who goes first when the queue holds both; lower runs first."""

    INTERACTIVE = 0
    BATCH = 1


class Normalisation(Enum):
    """How the parts of a total become comparable before they are weighted."""

    STANDARD = "STANDARD"
    """Minus the mean over these candidates, over the standard deviation; higher is better."""
    RAW = "RAW"
    """As they are, negated where lower is better."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImage:
    """A whole JPEG, PNG or WebP file as bytes."""

    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class RawImage:
    """Decoded sRGB pixels: uint8, shape (H, W, 3), C-contiguous, not modified by anyone."""

    pixels: U8


Image = EncodedImage | RawImage


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One thing to judge: a candidate, and a reference or prompt where a scorer needs it."""

    candidate: Image
    reference: Image | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One named part of a score, 0 to 1."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ErrorMap:
    """Where a candidate differs from its reference, as one scorer sees it.

    Attributes:
        png: a grey image of 8 bits, of the candidate's size: 0 where no error is seen, 255 where it is `high` or more.
        meaning: what the number at a pixel is, for people.
    """

    png: bytes = field(repr=False)
    high: float
    meaning: str


@dataclass(frozen=True, slots=True)
class TasteVerdict:
    """What a taste says beside P(like), which is its score.

    Attributes:
        version: of the taste that spoke.
        opinion, sd: mean and standard deviation of the latent opinion, in logits; above 0 is "like". P(like) is the
            logistic function of opinion / sqrt(1 + pi sd^2 / 8).
        percentile: 0 to 100, the share of images in general that are liked less.
        why_unsure: why the verdict should not be relied on, for people; empty where nothing speaks against it.
    """

    version: int
    opinion: float
    sd: float
    percentile: float
    why_unsure: str

    @property
    def unsure(self) -> bool:
        """Whether anything speaks against relying on it."""
        return bool(self.why_unsure)


@dataclass(frozen=True, slots=True)
class Score:
    """One scorer's answer.

    Attributes:
        value: finite.
        labels: from likely to unlikely; empty where the scorer has none.
        map: where the error is, where that was asked and the scorer draws it.
        taste: what a taste says beside its score.
        embedding: (D,), what the encoder said, for who reads more from it; never sent.
    """

    value: float
    labels: tuple[Label, ...] = ()
    map: ErrorMap | None = None
    taste: TasteVerdict | None = None
    embedding: F32 | None = field(default=None, repr=False, compare=False)


Outcome = Score | BeholderError
SampleResult = Mapping[str, Outcome]
"""Scorer name -> its score or the error that it met, in the order asked."""
