"""What was asked of the bench, and what each of its parts is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from beholder.cli.load_mix import find_pictures
from beholder.load.mix import Ask, Mix, Picture
from beholder.scoring.catalog import load_catalog, shipped_models

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """How much is measured, of what.

    Attributes:
        scorers: each is measured by itself.
        image: as `beholder load --image` takes it.
        seconds, warmup_s: of each run.
        rounds: in which runs take turns.
        idle_s: how long a server is watched that nobody asks.
        requests: over which memory is watched.
        perf_analyzer: its program; None: it is left out.
        environ: of the servers.
    """

    scorers: tuple[str, ...]
    image: str
    rounds: int
    seconds: float
    warmup_s: float
    idle_s: float
    requests: int
    perf_analyzer: Path | None
    environ: Mapping[str, str]

    def pictures(self) -> tuple[Picture, ...]:
        """Return the images to send."""
        return tuple(find_pictures([self.image])[0])

    def mix(self, *scorers: str, **terms: Any) -> Mix:
        """Return what is sent to scorers that are asked together."""
        return Mix((ask_of(*scorers),), self.pictures(), **terms)


def ask_of(*scorers: str, weight: float = 1.0) -> Ask:
    """Return how scorers of the shipped catalogue are asked together."""
    catalog = load_catalog([shipped_models()])
    known = [catalog.scorer(name) for name in scorers if name in catalog.scorers]
    return Ask(scorers, weight, needs_reference=any(spec.needs_reference for spec in known))


class Part(ABC):
    """One thing that is measured, and how it is told.

    Attributes:
        name: on the command line and in the JSON.
        title: on the page.
        is_usual: whether it is measured where nothing is named.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    is_usual: ClassVar[bool] = True

    @abstractmethod
    def measure(self, asked: Asked) -> Json:
        """Measure, and return what was seen in each round."""

    @abstractmethod
    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Yield rows for the top of the page: what, what was found, what is wanted."""

    @abstractmethod
    def told(self, found: Json) -> Iterator[str]:
        """Yield paragraphs and tables of Markdown about what `measure` returned."""
