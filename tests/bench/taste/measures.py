"""What is measured of the people of one set: how well they are learned, how true P(like) is, what turns verdicts."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.taste.background import Background
from beholder.taste.head import Judgement
from beholder.taste.learner import fit
from beholder.types import F32
from bench.taste.people import People
from bench.taste.splits import Split, counts_of, is_liked, likes_and_dislikes, likes_of, splits
from bench.taste.statistics import auc, calibration, estimate, pairs_right, tenths
from bench.taste.ways import BOTH, LIKES, Seen, scores

F64 = NDArray[np.float64]
STEADY_COUNT = 5
"""Likes, and as many dislikes, of the tastes whose verdicts are tried."""


def fresh(people: People) -> list[str]:
    """Return the people whom no setting was chosen on."""
    return [person for person in people.opinions if person not in people.chosen_on]


def curves(people: People, seen: Seen) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """Return by measure, way and count the mean over the splits of each person; None for who has too few examples."""
    result: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    for count in counts_of(people):
        for place, (person, opinion) in enumerate(people.opinions.items()):
            found: dict[tuple[str, str], list[float]] = defaultdict(list)
            for split, rng in splits(people, person, count):
                for way, score in scores(people, person, split, seen, rng).items():
                    for measure, value in _judged(people, opinion, split, score).items():
                        found[measure, way].append(value)
            for (measure, way), values in found.items():
                column = result[measure][way].setdefault(str(count), [None] * len(people.opinions))
                column[place] = _mean(values)
    return result


def _judged(people: People, opinion: F64, split: Split, score: F64) -> dict[str, float]:
    there, said = score[split.held_out], opinion[split.held_out]
    found = {"auc": auc(there, is_liked(opinion)[split.held_out])}
    if people.has_series:
        found["within"] = pairs_right(there, said, people.contents[split.held_out])
    return found


def _mean(values: Iterable[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None


def calibrations(people: People, seen: Seen) -> dict[str, dict[str, Any]]:
    """Return by what was told and by count how true P(like) is for fresh people, as many liked as not."""
    result: dict[str, dict[str, Any]] = {BOTH: {}, LIKES: {}}
    for count in counts_of(people):
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for person in fresh(people):
            of_person: dict[str, list[tuple[Judgement, NDArray[np.bool_]]]] = defaultdict(list)
            for split, rng in splits(people, person, count):
                rows, liked = _even(people.opinions[person], split, rng)
                for kind, tell in ((BOTH, likes_and_dislikes), (LIKES, likes_of)):
                    head = fit(tell(seen.embeddings, split), seen.background)
                    of_person[kind].append((head.judge(seen.z[rows]), liked))
            for kind, judged in of_person.items():
                found[kind].append(_calibrated(judged))
        for kind, of_people in found.items():
            result[kind][str(count)] = _together(of_people)
    return result


def _even(opinion: F64, split: Split, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return as many held-out rows that are liked as that are not, and which are."""
    liked = is_liked(opinion)
    sides = [rng.permutation(split.held_out[liked[split.held_out] == side]) for side in (True, False)]
    rows = np.concatenate([side[: min(map(len, sides))] for side in sides])
    return rows, liked[rows]


def _calibrated(judged: list[tuple[Judgement, NDArray[np.bool_]]]) -> dict[str, Any]:
    """Return what came of the verdicts on one person's pictures."""
    liked = np.concatenate([side for _, side in judged])
    said = np.concatenate([judgement.p_like for judgement, _ in judged])
    far = np.concatenate([judgement.is_far for judgement, _ in judged])
    unsure = far | np.concatenate([judgement.flips for judgement, _ in judged])
    right = np.concatenate([judgement.mean > 0 for judgement, _ in judged]) == liked
    return {
        "tenths": tenths(said, liked),
        "brier": float(np.mean((said - liked) ** 2)),
        "unsure": float(unsure.mean()),
        "far": float(far.mean()),
        "right": float(right.mean()),
        "right_sure": float(right[~unsure].mean()) if not unsure.all() else math.nan,
        "right_unsure": float(right[unsure].mean()) if unsure.any() else math.nan,
    }


def _together(of_people: list[dict[str, Any]]) -> dict[str, Any]:
    by_person = np.stack([one["tenths"] for one in of_people])
    error = calibration(by_person)
    rest = {key: [one[key] for one in of_people] for key in of_people[0] if key != "tenths"}
    return {"ece": [error.mean, error.low, error.high], "tenths": by_person.sum(axis=0).tolist(), **rest}


def flips(people: People, background: Background, plain: F32, changed: Mapping[str, F32]) -> dict[str, Any]:
    """Return what each change does to the verdicts on fresh people's held-out pictures.

    Returns:
        `unsure`, the share so called, by person; and by change `flips`, the share of verdicts turned, and `unseen`,
        the share turned without being called unsure, by person.
    """
    z = background.project(plain)
    others = {name: background.project(rows) for name, rows in changed.items()}
    result: dict[str, Any] = {"unsure": [], "changes": {name: {"flips": [], "unseen": []} for name in others}}
    for person in fresh(people):
        found: dict[str, list[float]] = defaultdict(list)
        for split, _ in splits(people, person, STEADY_COUNT):
            head = fit(likes_and_dislikes(plain, split), background)
            before = head.judge(z[split.held_out])
            unsure = before.flips | before.is_far
            found["unsure"].append(float(unsure.mean()))
            for name, rows in others.items():
                turned = (before.mean > 0) != (head.judge(rows[split.held_out]).mean > 0)
                found[name].append(float(turned.mean()))
                found[f"{name} unseen"].append(float((turned & ~unsure).mean()))
        result["unsure"].append(float(np.mean(found["unsure"])))
        for name, columns in result["changes"].items():
            columns["flips"].append(float(np.mean(found[name])))
            columns["unseen"].append(float(np.mean(found[f"{name} unseen"])))
    return result


def learned_when_blind(people: People, background: Background, plain: F32) -> list[float]:
    """Return the AUC of each fresh person by likes and dislikes."""
    z = background.project(plain)
    result = []
    for person in fresh(people):
        liked = is_liked(people.opinions[person])
        found = [
            auc((z @ fit(likes_and_dislikes(plain, split), background).weights)[split.held_out], liked[split.held_out])
            for split, _ in splits(people, person, STEADY_COUNT)
        ]
        result.append(float(np.mean(found)) if found else math.nan)
    return result


def about_one(values: list[float]) -> str:
    """Return a mean over people for the terminal."""
    return f"{estimate(values).mean:.3f}"
