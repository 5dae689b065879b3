"""Orders candidates by the weighted sum of what several scorers say of them; pure arithmetic."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beholder.errors import InvalidSample
from beholder.types import Direction, Normalisation, SampleResult, Score

ALIKE = 1e-6
"""Scores whose standard deviation is under this share of their mean (or of 1) are alike: float32 rounds that far."""


@dataclass(frozen=True)
class Ranked:
    """One candidate's place.

    Attributes:
        index: of the candidate, as sent.
        total: higher is better; None where a scorer failed on this candidate.
        contributions: scorer -> what it adds to the total; None where it has no score.
    """

    index: int
    total: float | None
    contributions: dict[str, float | None]


def rank(
    results: Sequence[SampleResult],
    weights: Mapping[str, float],
    directions: Mapping[str, Direction],
    normalisation: Normalisation,
) -> list[Ranked]:
    """Order candidates from best to worst; those that score alike, or have no total, keep the order sent.

    Args:
        results: one for each candidate, with an outcome for each scorer of `weights`.
        weights: scorer -> its weight, finite and more than 0.
        directions: scorer -> which way its score gets better.

    Raises:
        InvalidSample: a weight is not finite or not more than 0, or a scorer's score is not ordered.
    """
    parts: dict[str, list[float | None]] = {}
    for place, (name, weight) in enumerate(weights.items()):
        if not (math.isfinite(weight) and weight > 0):
            raise InvalidSample(
                f"weight of {name}: want a finite number above 0, got {weight:g}", f"scorers[{place}].weight"
            )
        if directions[name] is Direction.UNORDERED:
            raise InvalidSample(f"{name} can't rank: its score is neither good nor bad", f"scorers[{place}].scorer")
        outcomes = [result[name] for result in results]
        values = [outcome.value if isinstance(outcome, Score) else None for outcome in outcomes]
        signed = weight if directions[name] is Direction.HIGHER_IS_BETTER else -weight
        comparable = _standard(values) if normalisation is Normalisation.STANDARD else values
        parts[name] = [None if value is None else signed * value + 0.0 for value in comparable]  # no negative zero
    ranked = [_ranked(index, {name: part[index] for name, part in parts.items()}) for index in range(len(results))]
    return sorted(ranked, key=lambda one: (one.total is None, -(one.total or 0.0)))


def _ranked(index: int, contributions: dict[str, float | None]) -> Ranked:
    known = [part for part in contributions.values() if part is not None]
    return Ranked(index, sum(known) if len(known) == len(contributions) else None, contributions)


def _standard(values: Sequence[float | None]) -> list[float | None]:
    known = np.array([value for value in values if value is not None], np.float64)
    if not known.size:
        return list(values)
    mean, deviation = float(known.mean()), float(known.std())
    if deviation <= ALIKE * max(1.0, abs(mean)):
        return [None if value is None else 0.0 for value in values]
    return [None if value is None else (value - mean) / deviation for value in values]
