"""The population's preference, fitted from what many people said, and how well it foretells what it wasn't told.

The learner's own model, with one thing more to choose: how much one opinion weighs. What few people said of few images
must not be believed to the last digit, so that is chosen by images held out, and the measures are of images (and
people) that took no part in that choice either.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from beholder.taste.background import Background
from beholder.taste.crowd import Crowd, Mask, Pair, Rating, pool
from beholder.taste.evidence import RATING_SCALE, Evidence
from beholder.taste.learner import RATING_NOISE, weights_of
from beholder.taste.prior import Prior
from beholder.types import F32

F64 = NDArray[np.float64]
Folds = NDArray[np.intp]
MIN_IMAGES = 10
TRUSTS = (0.0001, 0.001, 0.01, 0.1, 1.0)
"""What one opinion may weigh beside one of the person whose taste is learned."""
MAX_TURNS = 20
"""People are left out one by one, and where there are more, in so many groups."""
_FOLDS = 5
_INNER_FOLDS = 3
_COMPARED = 1000
"""So many images of a fold are compared with each other."""
_SEED = 20


@dataclass(frozen=True, slots=True)
class Worth:
    """How well a population's preference foretells opinions that took no part in it; None where nothing tells.

    Attributes:
        spearman: with the mean rating of images held out.
        right: the share of pairs of images held out told right: those compared, else those whose mean ratings differ.
        persons_right: the same of people held out too, of their own pairs; the mean over people.
        error: the standard error of that mean.
        people: of how many, all who are named and of whom something can be told.
    """

    spearman: float | None
    right: float | None
    persons_right: float | None
    error: float | None
    people: int


def fit_prior(
    ratings: Iterable[Rating],
    pairs: Iterable[Pair],
    embeddings: Mapping[str, F32],
    background: Background,
    *,
    version: int = 1,
) -> Prior:
    """Fit what most people like; the same opinions in any order give the same prior.

    Its opinions of the images that it was fitted on are no stronger than the best rating of one person, so that a few
    examples of somebody's own outweigh them.

    Args:
        embeddings: by image, (D,), of every image that an opinion names.

    Raises:
        ValueError: as `crowd.pool`, or opinions of fewer than MIN_IMAGES images.
    """
    crowd = pool(ratings, pairs, embeddings, background)
    if len(crowd.images) < MIN_IMAGES:
        raise ValueError(f"want opinions of at least {MIN_IMAGES} images, got {len(crowd.images)}")
    every = np.ones(len(crowd.images), dtype=np.bool_)
    weights = weights_of(crowd.evidence(every, trust=_trust(crowd, every, background)), background)
    latent = crowd.z @ weights[:-1] + weights[-1]
    weights = weights * min(1.0, RATING_SCALE / max(sqrt(float(latent @ latent) / len(latent)), 1e-30))
    prior = Prior(weights[:-1], float(weights[-1]), version, background.encoder_digest, background.digest)
    return replace(prior, card=_card(prior, crowd, worth_of(crowd, background)))


def worth_of(crowd: Crowd, background: Background) -> Worth:
    """Measure on images, and then on people too, that took no part."""
    folds = _folds(len(crowd.images), _FOLDS)
    correlations, right = list[tuple[float, int]](), list[tuple[float, float]]()
    turns = _turns(len(crowd.people))
    of_people = np.zeros((len(crowd.people), 2))
    for fold in range(_FOLDS):
        known, unknown = folds != fold, folds == fold
        if not _tells(crowd.evidence(known)):
            continue
        trust = _trust(crowd, known, background)
        weights = weights_of(crowd.evidence(known, trust=trust), background)
        rows, means = crowd.means(unknown)
        if len(rows) > 2 and means.min() < means.max():
            correlations.append((spearman(crowd.z[rows] @ weights[:-1], means), len(rows)))
        right.append(_pairs_right(crowd.evidence(unknown), weights))
        for left_out in turns:
            others = crowd.evidence(known, trust=trust, heard=~left_out)
            if _tells(others):
                weights = weights_of(others, background)
                for person in np.flatnonzero(left_out):
                    own = crowd.evidence(unknown, heard=np.arange(len(left_out)) == person)
                    of_people[person] += _pairs_right(own, weights)
    heard = of_people[of_people[:, 1] > 0]
    shares = heard[:, 0] / heard[:, 1]
    return Worth(
        _mean([value * count for value, count in correlations], [count for _, count in correlations]),
        _mean([good for good, _ in right], [count for _, count in right]),
        float(shares.mean()) if len(shares) else None,
        float(shares.std(ddof=1) / sqrt(len(shares))) if len(shares) > 1 else None,
        len(shares),
    )


def spearman(one: F64, other: F64) -> float:
    """Return the rank correlation of two (N,), ties at their mean rank; 0 where one of them doesn't vary."""
    ranks = [_ranks(values) - (len(values) - 1) / 2 for values in (one, other)]
    size = sqrt(float(ranks[0] @ ranks[0]) * float(ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1]) / size if size else 0.0


def _ranks(values: F64) -> F64:
    _, at, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count + 1) / 2)[at.reshape(-1)])


def _folds(count: int, folds: int) -> Folds:
    """Return a fold for each image; an image is in one, with everything that was said of it."""
    return np.random.default_rng(_SEED).permutation(count) % folds


def _trust(crowd: Crowd, among: Mask, background: Background) -> float:
    """Return what one opinion weighs where images held out of these are foretold best, by the model's own measure."""
    folds = np.full(len(among), -1)
    folds[among] = _folds(int(among.sum()), _INNER_FOLDS)
    losses = np.zeros(len(TRUSTS))
    for fold in range(_INNER_FOLDS):
        asked = crowd.evidence(folds == fold)
        for at, trust in enumerate(TRUSTS):
            known = crowd.evidence(among & (folds != fold), trust=trust)
            losses[at] += _loss(asked, weights_of(known, background)) if _tells(known) else 0.0
    return TRUSTS[int(losses.argmin())]


def _tells(evidence: Evidence) -> bool:
    return bool(len(evidence.target))


def _loss(asked: Evidence, weights: F64) -> float:
    """Return minus the log likelihood of what was said, but for a constant."""
    latent = asked.design @ weights
    normal = 0.5 * ((asked.target - latent) / RATING_NOISE) ** 2
    logistic = np.logaddexp(0, latent) - asked.target * latent
    return float(asked.weight @ np.where(asked.is_normal, normal, logistic))


def _pairs_right(asked: Evidence, weights: F64) -> tuple[float, float]:
    """Return how many pairs are told right, and of how many: choices, or where there are none, ratings that differ."""
    latent = asked.design @ weights
    chosen = ~asked.is_normal & (asked.target != 0.5)
    if chosen.any():
        agrees = np.where(latent == 0, 0.5, (latent > 0) == (asked.target > 0.5))[chosen]
        return float(agrees.sum()), float(chosen.sum())
    latent, target = latent[asked.is_normal][:_COMPARED], asked.target[asked.is_normal][:_COMPARED]
    gap = (latent[:, None] - latent)[target[:, None] > target]
    return float((gap > 0).sum() + (gap == 0).sum() / 2), float(gap.size)


def _turns(people: int) -> list[Mask]:
    """Return who is left out in each turn, (people + 1,): the last, nobody, is never."""
    if people < 2:
        return []
    turn = np.append(_folds(people, min(people, MAX_TURNS)), -1)
    return [turn == at for at in range(min(people, MAX_TURNS))]


def _mean(sums: list[float], counts: list[float] | list[int]) -> float | None:
    return float(sum(sums) / sum(counts)) if sum(counts) else None


def _card(prior: Prior, crowd: Crowd, worth: Worth) -> str:
    ties = int((crowd.won == 0.5).sum())
    people = f"{len(crowd.people):,} people" if crowd.people else "people who are not named"
    lines = [
        f"What most people like, version {prior.version}",
        f"encoder {prior.encoder_digest}",
        f"background {prior.background_digest}",
        f"learned from {len(crowd.rated):,} ratings and {len(crowd.won):,} pairs ({ties:,} ties) "
        f"of {len(crowd.images):,} images by {people}",
    ]
    if crowd.silent:
        lines.append(f"left out: {crowd.silent:,} people who rated one image only, or all alike")
    lines.append(f"held out in {_FOLDS} parts, no image on both sides; 50 % of pairs knows nothing, and so does 0:")
    if worth.spearman is not None:
        lines.append(f"  Spearman's correlation with the mean rating {worth.spearman:.3f}")
    if worth.right is not None:
        lines.append(f"  pairs told right {100 * worth.right:.1f} %")
    if worth.persons_right is not None:
        error = f" (standard error {100 * worth.error:.1f})" if worth.error is not None else ""
        share = f"{100 * worth.persons_right:.1f} %{error}"
        lines.append(f"  by others alone, {worth.people} people's own pairs told right {share}")
    return "\n".join(lines) + "\n"
