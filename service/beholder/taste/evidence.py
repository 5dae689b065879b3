"""What was told of a taste, as rows of one design matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beholder.store.opinions import Choice, Source, Taste, Verdict
from beholder.taste.background import Background

F64 = NDArray[np.float64]
RATING_SCALE = 2.0
"""The latent opinion that the best rating stands for: P(like) 0.88."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """M things said.

    Attributes:
        design: (M, K + 1), projected images or differences of two, and 1 where the bias is learned.
        target: (M,), 0 to 1 where logistic; the latent opinion itself where normal.
        is_normal: (M,), ratings.
        is_verdict: (M,), of one image.
        weight: (M,), how much each counts: likes as much as dislikes, however many of each were at hand.
        has_bias: whether the bias can be told from the rest: likes and dislikes, or ratings.
    """

    design: F64
    target: F64
    is_normal: NDArray[np.bool_]
    is_verdict: NDArray[np.bool_]
    weight: F64
    has_bias: bool


def evidence_of(taste: Taste, background: Background) -> Evidence:
    """Return what was told, in an order that doesn't depend on the order of telling.

    Raises:
        ValueError: an embedding of another length or not finite, or an opinion whose image has no embedding.
    """
    verdicts = sorted(taste.verdicts.values(), key=lambda verdict: verdict.image)
    choices = sorted(map(_ordered, taste.choices), key=lambda choice: (choice.better, choice.worse))
    z = _projected(taste, background, verdicts, choices)
    design = np.zeros((len(verdicts) + len(choices), background.dimensions + 1))
    has_bias = len({verdict.value > 0 for verdict in verdicts}) > 1 or any(map(_is_rating, verdicts))
    for row, verdict in zip(design, verdicts, strict=False):
        row[:-1] = z[verdict.image]
        row[-1] = has_bias
    for row, choice in zip(design[len(verdicts) :], choices, strict=True):
        row[:-1] = z[choice.better] - z[choice.worse]
    target = [*map(_target, verdicts), *(0.5 if choice.is_tie else 1.0 for choice in choices)]
    is_normal = [*map(_is_rating, verdicts), *(False for _ in choices)]
    return Evidence(
        design,
        np.array(target, dtype=np.float64),
        np.array(is_normal, dtype=np.bool_),
        np.arange(len(design)) < len(verdicts),
        _weights(verdicts, len(choices)),
        has_bias,
    )


def _ordered(choice: Choice) -> Choice:
    """Return the choice with the images of a tie in their one order."""
    if choice.is_tie and choice.worse < choice.better:
        return Choice(choice.worse, choice.better, is_tie=True)
    return choice


def _is_rating(verdict: Verdict) -> bool:
    return verdict.source is Source.RATING


def _target(verdict: Verdict) -> float:
    if _is_rating(verdict):
        return RATING_SCALE * verdict.value
    return 1.0 if verdict.source is Source.LIKE else 0.0


def _weights(verdicts: list[Verdict], choices: int) -> F64:
    likes = sum(verdict.source is Source.LIKE for verdict in verdicts)
    dislikes = sum(verdict.source is Source.DISLIKE for verdict in verdicts)
    if not (likes and dislikes):
        return np.ones(len(verdicts) + choices)
    half = (likes + dislikes) / 2
    weight = {Source.LIKE: half / likes, Source.DISLIKE: half / dislikes, Source.RATING: 1.0}
    return np.array([*(weight[verdict.source] for verdict in verdicts), *(1.0 for _ in range(choices))])


def _projected(taste: Taste, background: Background, verdicts: list[Verdict], choices: list[Choice]) -> dict[str, F64]:
    images = {verdict.image for verdict in verdicts}
    images |= {image for choice in choices for image in (choice.better, choice.worse)}
    missing = images - taste.embeddings.keys()
    if missing:
        raise ValueError(f"taste {taste.name!r} has no embedding of image {min(missing)}")
    if not images:
        return {}
    order = sorted(images)
    return dict(zip(order, background.project(np.stack([taste.embeddings[image] for image in order])), strict=True))
