"""What can be asked about a sample, whoever answers: its name and needs, its graph, and who reads that.

Scorers of the catalogue and tastes are both that, so that they share requests, batches and embeddings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from beholder.runtime.session import Session
from beholder.scoring.image import ImageSpec
from beholder.scoring.spec import Spec
from beholder.types import Direction, Kind, Outcome, Tensor

CANDIDATE, REFERENCE = "candidate", "reference"
SCORE, LABELS, EMBEDDING, MAP = "score", "labels", "embedding", "map"


@dataclass(frozen=True)
class Graph:
    """A loaded graph of images: a scorer's own, or an encoder.

    Attributes:
        roles: which images it takes, by the names of its inputs: the candidate, then maybe the reference.
        max_batch_rows: rows in one run at most.
        draws: whether it also draws a map; then it is opened when it is first run, and so not warmed up.
    """

    name: str
    version: int
    spec: Spec
    session: Session
    roles: tuple[str, ...]
    max_batch_rows: int
    draws: bool = False

    @property
    def image(self) -> ImageSpec:
        """How its images are prepared."""
        if self.spec.image is None:
            raise TypeError(f"{self.name} is a head: its encoder prepares the image")
        return self.spec.image


class Asked(Protocol):
    """What a request has to know of what it asks."""

    @property
    def name(self) -> str:
        """By which it is asked, and its outcome found."""
        ...

    @property
    def kind(self) -> Kind:
        """What it judges."""
        ...

    @property
    def direction(self) -> Direction:
        """Which way its score gets better."""
        ...

    @property
    def needs_reference(self) -> bool:
        """Whether a sample must carry a reference."""
        ...

    @property
    def needs_prompt(self) -> bool:
        """Whether a sample must carry a prompt."""
        ...


class Reader(Protocol):
    """Turns a graph's outputs into outcomes."""

    def read(
        self, outputs: Mapping[str, Tensor], asked: Sequence[tuple[int, Any]], size_px: tuple[int, ...] = ()
    ) -> Sequence[Outcome]:
        """Return the outcome of each (row, scorer) in `asked`; every scorer there has this reader.

        Args:
            outputs: name -> (N, ...), not modified.
            size_px: (H, W) of the images, for those that draw.
        """
        ...


class Scorer(Protocol):
    """What can be asked now."""

    @property
    def spec(self) -> Asked:
        """What it is."""
        ...

    @property
    def graph(self) -> Graph:
        """Whose outputs are read."""
        ...

    @property
    def reader(self) -> Reader:
        """Who reads them; rows of scorers that share a reader are read together."""
        ...
