"""What a caller gets back; the same from a server and in-process."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from beholder.errors import BeholderError
from beholder.types import Direction, Kind, Outcome, Score


@dataclass(frozen=True, slots=True)
class Result:
    """What the scorers said of one sample: `result["ssim"].value` is a score or raises what went wrong with it.

    Attributes:
        outcomes: scorer name -> its score or its error, in the order asked; looking here raises nothing.
        error: why the whole sample was refused before any scorer saw it; None where the scorers speak for themselves.
        image_id: by which an opinion may name the candidate later (`ImageId`); empty where no taste was asked.
    """

    outcomes: Mapping[str, Outcome]
    error: BeholderError | None = None
    image_id: str = ""

    def __getitem__(self, scorer: str) -> Score:
        """Return the score.

        Raises:
            BeholderError: this scorer has no score for this sample.
            KeyError: this scorer was not asked.
        """
        outcome = self.outcomes.get(scorer, self.error)
        if outcome is None:
            raise KeyError(f"{scorer!r} was not asked; asked: {', '.join(self.outcomes)}")
        if isinstance(outcome, BeholderError):
            raise outcome
        return outcome

    def __iter__(self) -> Iterator[str]:
        return iter(self.outcomes)

    @property
    def ok(self) -> bool:
        """Whether every scorer gave a score."""
        return self.error is None and not self.errors

    @property
    def scores(self) -> dict[str, Score]:
        """The scores there are."""
        return {name: outcome for name, outcome in self.outcomes.items() if isinstance(outcome, Score)}

    @property
    def errors(self) -> dict[str, BeholderError]:
        """The errors there are, by scorer."""
        return {name: outcome for name, outcome in self.outcomes.items() if isinstance(outcome, BeholderError)}


@dataclass(frozen=True, slots=True)
class Ranked:
    """One candidate's place; a list of these is best first.

    Attributes:
        index: of the candidate as sent.
        total: higher is better; None where a scorer failed on this candidate, which then comes last.
        result: what each scorer said.
        contributions: scorer name -> what it added to the total; those that failed are missing.
        image_id: as in `Result`.
    """

    index: int
    total: float | None
    result: Result
    contributions: Mapping[str, float]
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class ScorerInfo:
    """What a scorer is.

    Attributes:
        version: goes up whenever the same sample may get another score.
        range_: (lowest, highest) score, infinite where there is no bound.
        min_side_px: the least width and height accepted.
        max_side_px: the greatest; None where there is no such limit.
        card: Markdown; empty where a list was asked for.
        digest: SHA-256 of the graph file, lowercase hex.
        encoder: whose embedding it reads; empty for a graph of its own.
        draws: whether its scores have a map where one is asked for.
        not_ready_reason: why it can't be asked now; empty where it is ready.
    """

    name: str
    version: int
    kind: Kind
    direction: Direction
    range_: tuple[float, float]
    summary: str
    needs_reference: bool
    needs_prompt: bool
    min_side_px: int
    max_side_px: int | None
    labels: tuple[str, ...]
    licence: str
    digest: str
    encoder: str
    draws: bool
    ready: bool
    not_ready_reason: str
    card: str = field(default="", repr=False)
