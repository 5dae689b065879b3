"""The ways of learning that are compared: a taste told of in several ways, and what is simpler."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from beholder.taste.background import Background
from beholder.taste.crowd import Rating
from beholder.taste.learner import fit
from beholder.taste.population import fit_prior
from beholder.taste.prior import Prior
from beholder.types import F32
from bench.taste import splits
from bench.taste.people import People
from bench.taste.splits import Rows, Split

F64 = NDArray[np.float64]
LIKES, AMONG, BOTH = "likes", "likes, among the candidates", "likes and dislikes"
CHOICES, RATINGS, DEPARTING = "choices", "ratings", "likes and dislikes, from the population"
POPULATION, ANOTHER, NEAREST = "population prior", "another person's taste", "nearest neighbour, bare encoder"
LOGISTIC, SAME_LOGISTIC = "logistic regression, bare encoder", "logistic regression, same embedding"


@dataclass(frozen=True)
class Seen:
    """What is seen of the pictures of one set.

    Attributes:
        embeddings: (N, D), and `z`: (N, K), projected by `background`.
        bare: (N, 1280), the bare encoder's; None where the embeddings are that.
        priors: by who is left out and the rows that are known, each fitted once.
    """

    background: Background
    embeddings: F32
    z: F64
    bare: F32 | None
    priors: dict[tuple[str, bytes], Prior] = field(default_factory=dict)


def scores(people: People, person: str, split: Split, seen: Seen, rng: np.random.Generator) -> dict[str, F64]:
    """Return what each way of learning says of all pictures; higher is better."""
    opinion, rows, background = people.opinions[person], seen.embeddings, seen.background
    told = {
        LIKES: splits.likes_of(rows, split),
        BOTH: splits.likes_and_dislikes(rows, split),
        CHOICES: splits.choices_of(rows, split),
        RATINGS: splits.ratings_of(rows, split, opinion, people.scale),
    }
    result = {way: seen.z @ fit(taste, background).weights for way, taste in told.items()}
    around = background.around(rows[split.held_out])
    result[AMONG] = seen.z @ fit(told[LIKES], around).weights
    bare = rows if seen.bare is None else seen.bare
    result |= {NEAREST: nearest(bare, split), LOGISTIC: logistic(bare, split)}
    if seen.bare is not None:
        result[SAME_LOGISTIC] = logistic(rows, split)
    others = [other for other in people.opinions if other != person]
    if others:
        key = person, split.known.tobytes()
        prior = seen.priors[key] = seen.priors.get(key) or population(people, others, split.known, seen)
        result[POPULATION] = seen.z @ prior.weights
        result[DEPARTING] = seen.z @ fit(told[BOTH], background, prior).weights
        result[ANOTHER] = seen.z @ _another(people, others, split, seen, rng)
    return result


def population(people: People, others: list[str], known: Rows, seen: Seen) -> Prior:
    """Return what the others like on average of the pictures on the examples' side, all of them rated by all."""
    ratings = [
        Rating(f"{row:064x}", float(people.opinions[other][row]), other) for other in others for row in map(int, known)
    ]
    return fit_prior(ratings, (), {f"{row:064x}": seen.embeddings[row] for row in map(int, known)}, seen.background)


def _another(people: People, others: list[str], split: Split, seen: Seen, rng: np.random.Generator) -> F64:
    """Return the weights that as many examples of another person give; nothing where they have too few."""
    opinion = people.opinions[others[int(rng.integers(len(others)))]]
    liked, count = splits.is_liked(opinion)[split.known], len(split.likes)
    likes, dislikes = (rng.permutation(split.known[side])[:count] for side in (liked, ~liked))
    theirs = Split(likes, dislikes, split.drawn, split.known, split.held_out)
    return fit(splits.likes_and_dislikes(seen.embeddings, theirs), seen.background).weights


def nearest(rows: F32, split: Split) -> F64:
    """Return how much nearer the nearest like is than the nearest dislike, by cosine."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray((unit @ unit[split.likes].T).max(axis=1) - (unit @ unit[split.dislikes].T).max(axis=1))


def logistic(rows: F32, split: Split) -> F64:
    """Return logistic regression on features of length 10 with an intercept; its penalty is scikit-learn's (C = 1)."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True) * 10
    shown = unit[np.concatenate([split.likes, split.dislikes])].astype(np.float64)
    target = np.repeat([1.0, 0.0], [len(split.likes), len(split.dislikes)])
    gram, dual, intercept = shown @ shown.T, np.zeros(len(shown)), 0.0
    ones = np.ones((len(shown), 1))
    for _ in range(30):
        latent = gram @ dual + intercept
        likely = 1 / (1 + np.exp(-latent))
        curve = np.maximum(likely * (1 - likely), 1e-9)
        system = np.block([[gram + np.diag(1 / curve), ones], [ones.T, np.zeros((1, 1))]])
        solved = np.linalg.solve(system, np.append(latent + (target - likely) / curve, 0.0))
        dual, intercept = solved[:-1], float(solved[-1])
    return np.asarray(unit @ (shown.T @ dual))
