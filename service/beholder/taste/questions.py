"""Which pairs of images to ask somebody about next: those whose answer is expected to teach most of their taste.

What a question teaches is the mutual information of its answer and the taste (Lindley, 1956; Houlsby et al., "Bayesian
Active Learning for Classification and Preference Learning", 2011). It is high where the answer is open *because* the
taste is not known, and never above ln 2. MacKay's gain 1/2 log(1 + p (1 - p) variance) (1992) takes p where the
posterior has its mean: while little is known it promises several times what an answer can hold, and hardly anything
of pairs that the mean wrongly seems to have decided. As in P(like), a part of the variance counts (`head.DOUBT`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from beholder.taste.head import DOUBT, Head

F64 = NDArray[np.float64]

_NOTHING = 1e-6
"""Nats; a question that teaches less is not asked."""
_TIE = 1e-9
"""Nats; gains as near as this are equal."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which of two candidates is better?

    Attributes:
        first, second: their rows; first < second.
        gain: what the answer is expected to teach in nats, 0 to ln 2, once the questions before it are answered.
    """

    first: int
    second: int
    gain: float


def suggest(head: Head, z: F64, limit: int, groups: Sequence[str] = ()) -> list[Question]:
    """Return the pairs of candidates (N, K) to ask about, in the order in which they should be asked.

    Pairs of one group come first, others when there are none left. Among them an image that is in none of the pairs
    comes before one that is. Then what teaches most, given that all before it will be answered, which keeps several
    questions from asking the same; of equals the one of the lowest rows. Equal images are never asked about.

    Args:
        limit: at most so many pairs.
        groups: of each candidate, such as its prompt; "" is a group of nobody.

    Raises:
        ValueError: a number is not finite, or there are not as many groups as candidates.
    """
    if groups and len(groups) != len(z):
        raise ValueError(f"{len(groups)} groups are given for {len(z)} candidates")
    if not np.isfinite(z).all():
        raise ValueError("an embedding has a number that is not finite")
    first, second = np.triu_indices(len(z), 1)
    likings = z @ head.weights
    gaps = likings[first] - likings[second]
    covariance = _covariance(head, z)
    is_asked, is_used = np.zeros(len(first), dtype=np.bool_), np.zeros(len(z), dtype=np.bool_)
    grouped = _in_one_group(groups, first, second)
    questions: list[Question] = []
    while len(questions) < limit:
        variances = _variances_of_gaps(covariance, first, second)
        gains = information(gaps, DOUBT * variances)
        rank = np.where(is_asked | (gains < _NOTHING), -1, 2 * grouped + ~(is_used[first] | is_used[second]))
        if rank.max(initial=-1) < 0:
            break
        gains[rank < rank.max()] = -1
        best = int(np.flatnonzero(gains >= gains.max() - _TIE)[0])
        questions.append(Question(int(first[best]), int(second[best]), float(gains[best])))
        is_asked[best] = is_used[first[best]] = is_used[second[best]] = True
        _answer(covariance, first[best], second[best], float(gaps[best]))
    return questions


def information(gap: F64, variance: F64) -> F64:
    """Return what answers (N,) teach in nats, where opinions differ by `gap` on average and with this variance.

    The logistic choice is averaged over the normal posterior (MacKay, 1992, with 1 / sqrt(1 + pi variance / 8)), and by
    the same formula's slope, 1 minus that number is the part of the answer's variance that the taste explains. Of its
    entropy it is nearly the same part: within 0.05 nats of the integral.
    """
    flat, likely = _averaged(gap, variance)
    entropy = -(_x_log_x(likely) + _x_log_x(1 - likely))
    return np.asarray(entropy * (1 - flat))


def _averaged(gap: F64, variance: F64) -> tuple[F64, F64]:
    """Return by how much the variance flattens the choice, and the chance that the first is chosen."""
    flat = 1 / np.sqrt(1 + pi * variance / 8)
    return flat, 0.5 * (1 + np.tanh(flat * gap / 2))


def _x_log_x(value: F64) -> F64:
    return np.asarray(value * np.log(np.maximum(value, np.finfo(np.float64).tiny)))


def _covariance(head: Head, z: F64) -> F64:
    """Return the covariance (N, N) of the candidates' opinions; the bias is in all of them and no choice shows it."""
    scaled = z * head.weight_sd
    drawn = scaled @ head.factor.T
    return np.asarray(scaled @ scaled.T - drawn @ drawn.T)


def _variances_of_gaps(covariance: F64, first: NDArray[np.intp], second: NDArray[np.intp]) -> F64:
    own = covariance.diagonal()
    return np.maximum(own[first] + own[second] - 2 * covariance[first, second], 0)


def _answer(covariance: F64, first: int, second: int, gap: float) -> None:
    """Take away, in place, what the answer is expected to tell: as of a measurement with the expected curvature."""
    told = covariance[first] - covariance[second]
    variance = max(float(told[first] - told[second]), 0.0)
    flat, likely = _averaged(np.array(gap), np.array(variance))
    curvature = float(flat * likely * (1 - likely))
    covariance -= np.outer(told, told * (curvature / (1 + curvature * variance)))


def _in_one_group(groups: Sequence[str], first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
    if not groups:
        return np.zeros(len(first), dtype=np.bool_)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    member = np.array([numbers[group] for group in groups])
    named = np.array([bool(group) for group in groups])
    return np.asarray((member[first] == member[second]) & named[first])
