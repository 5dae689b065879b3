"""What a caller is told of tastes; the same from a server and in-process."""

from dataclasses import dataclass
from datetime import datetime

from beholder.errors import BeholderError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody thinks of one image.

    Attributes:
        source: like, dislike or rating.
        value: -1 (worst) to 1 (best); 1 for a like, -1 for a dislike.
    """

    image_id: str
    source: str
    value: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of two images somebody likes better; of a tie the order means nothing."""

    better_id: str
    worse_id: str
    is_tie: bool = False


Opinion = Verdict | Choice


@dataclass(frozen=True, slots=True)
class Taste:
    """A taste without its opinions.

    Attributes:
        name: by which it is asked: as scorer `taste/NAME`.
        id: 32 hex digits; a taste that was deleted and made again has another.
        version: goes up with every change.
        encoder: what embeds its images, and `encoder_digest` the SHA-256 of its graph.
        images, verdicts, choices: how many it holds; a verdict is a like, a dislike or a rating.
        created, changed: in UTC.
        not_ready_reason: why it can't be asked on this server; empty where it can.
    """

    name: str
    id: str
    version: int
    encoder: str
    encoder_digest: str
    images: int
    verdicts: int
    choices: int
    created: datetime
    changed: datetime
    not_ready_reason: str

    @property
    def scorer(self) -> str:
        """The name by which it is asked."""
        return f"taste/{self.name}"

    @property
    def ready(self) -> bool:
        """Whether it can be asked now."""
        return not self.not_ready_reason


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How well a taste predicts what it was told, each opinion left out once.

    Attributes:
        count: how many opinions say anything to predict; ties and middling ratings don't.
        right: the share predicted right, 0 to 1; 0.5 is chance.
        log_loss: mean over them, in nats; 0.69 knows nothing, less is better.
    """

    count: int
    right: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Certainty:
    """How sure a taste is of images in general.

    Attributes:
        sd: the mean standard deviation of the latent opinion, in logits; `prior_sd` the same before anything was told.
    """

    sd: float
    prior_sd: float


@dataclass(frozen=True, slots=True)
class TasteDetails:
    """All about a taste.

    Attributes:
        opinions: in the order of the images' ids.
        left_out, certainty: None where the taste can't be asked on this server.
    """

    taste: Taste
    opinions: tuple[Opinion, ...]
    left_out: LeftOut | None
    certainty: Certainty | None


@dataclass(frozen=True, slots=True)
class OpinionOutcome:
    """What became of one opinion.

    Attributes:
        field: its place in the lists that were given, such as `likes[3]`.
        image_ids: of its images: one, or the better and the worse; none where there is an error.
        error: why it was not taken; None where it was.
    """

    field: str
    image_ids: tuple[str, ...] = ()
    error: BeholderError | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What became of opinions that were told.

    Attributes:
        taste: as it is after the last of them; None where not one could be sent.
        outcomes: one for each opinion: likes, dislikes, ratings, choices, ties, each in the order given.
        replaced: opinions that a later one took the place of.
    """

    taste: Taste | None
    outcomes: tuple[OpinionOutcome, ...]
    replaced: tuple[Opinion, ...]

    @property
    def ok(self) -> bool:
        """Whether every opinion was taken."""
        return not self.errors

    @property
    def errors(self) -> dict[str, BeholderError]:
        """Place in the lists that were given -> why that opinion was not taken."""
        return {outcome.field: outcome.error for outcome in self.outcomes if outcome.error}


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of opinions that were taken back.

    Attributes:
        taste: as it is now.
        removed: what was taken back.
    """

    taste: Taste
    removed: tuple[Opinion, ...]


@dataclass(frozen=True, slots=True)
class SuggestedPair:
    """Two candidates to compare.

    Attributes:
        first, second: their indices.
        gain: what the answer is expected to tell, in nats.
    """

    first: int
    second: int
    gain: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What two tastes say of one candidate.

    Attributes:
        index: the candidate's.
        first_p_like, second_p_like: P(like) of either taste, 0 to 1.
    """

    index: int
    first_p_like: float
    second_p_like: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far two tastes agree.

    Attributes:
        agreement: the correlation of their opinions on images in general, -1 to 1; 0 where either was told nothing.
        candidate_agreement: their rank correlation on the candidates, -1 to 1; None where there are fewer than 2.
        differences: one for each candidate, the one on which they differ most first.
    """

    agreement: float
    candidate_agreement: float | None
    differences: tuple[Difference, ...]
