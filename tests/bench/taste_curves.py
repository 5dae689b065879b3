"""How well a taste is learned from few examples: real people and made-up ones, against simpler ways.

python tests/bench/taste_curves.py --shared ../shared --output .cache/taste/curves.json
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from taste_images import CHANGES, NUISANCES, PARTS, Eye, embed
from taste_people import People, all_people, background_paths

from beholder.taste.background import Background, fit_background
from beholder.taste.head import judge_many
from beholder.taste.learner import fit
from beholder.taste.opinions import Choice, Source, Taste, Verdict
from beholder.taste.prior import Prior

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]
COUNTS = (1, 2, 3, 5, 8)
SPLITS = {"paintings": 100, "streams": 10, "viper": 100, "made up": 10}


@dataclass(frozen=True)
class Split:
    """One draw: examples of one side of the contents, and everything of the other side."""

    likes: Rows
    dislikes: Rows
    drawn: Rows
    held_out: Rows


def told(
    rows: NDArray[np.float32], verdicts: dict[int, tuple[Source, float]], pairs: Iterable[tuple[int, int]]
) -> Taste:
    """Return a taste that was told of these rows."""
    pairs = list(pairs)
    said = {f"{row:064x}": Verdict(f"{row:064x}", value, source) for row, (source, value) in verdicts.items()}
    choices = [Choice(f"{better:064x}", f"{worse:064x}") for better, worse in pairs]
    used = {*verdicts, *(row for pair in pairs for row in pair)}
    return Taste("0" * 32, "one", 1, "eye", "", said, choices, {f"{row:064x}": rows[row] for row in used})


def likes_and_dislikes(people: People, split: Split) -> Taste:
    """Return what is told by n likes and n dislikes."""
    verdicts = {int(row): (Source.LIKE, 1.0) for row in split.likes}
    verdicts |= {int(row): (Source.DISLIKE, -1.0) for row in split.dislikes}
    return told(people.embeddings, verdicts, ())


def draw(people: People, opinion: F64, count: int, rng: np.random.Generator) -> Split | None:
    """Draw a split with n likes and n dislikes; None where one side has too few."""
    contents = rng.permutation(np.unique(people.contents))
    shown = contents[:count] if people.name == "viper" else contents[: len(contents) // 2]
    inside = np.isin(people.contents, shown)
    liked = opinion > np.median(opinion)
    likes, dislikes = (rng.permutation(np.flatnonzero(inside & side)) for side in (liked, ~liked))
    held_out = np.flatnonzero(~inside)
    if min(len(likes), len(dislikes)) < count or not 0 < liked[held_out].sum() < len(held_out):
        return None
    if people.name == "viper":
        likes, dislikes = np.sort(likes), np.sort(dislikes)
    drawn = rng.permutation(np.flatnonzero(inside))[: 2 * count]
    return Split(likes[:count], dislikes[:count], drawn, held_out)


def scores(people: People, person: str, split: Split, background: Background, z: F64) -> dict[str, F64]:
    """Return what each way of learning says of all pictures; higher is better."""
    opinion, rows = people.opinions[person], people.embeddings
    both = likes_and_dislikes(people, split)
    only = told(rows, {int(row): (Source.LIKE, 1.0) for row in split.likes}, ())
    pairs = told(rows, {}, zip(map(int, split.likes), map(int, split.dislikes), strict=True))
    low, high = opinion.min(), opinion.max()
    ratings = {int(row): (Source.RATING, float(2 * (opinion[row] - low) / (high - low) - 1)) for row in split.drawn}
    around = background.around(rows[split.held_out])
    result = {
        "likes": z @ fit(only, background).weights,
        "likes, around the candidates": z @ fit(only, around).weights,
        "likes and dislikes": z @ fit(both, background).weights,
        "choices": z @ fit(pairs, background).weights,
        "ratings": z @ fit(told(rows, ratings, ()), background).weights,
        "nearest neighbour": nearest(people.bare, split),
        "logistic, bare encoder": logistic(people.bare, split),
    }
    others = [other for other in people.opinions if other != person]
    if others:
        known = np.setdiff1d(np.arange(len(rows)), split.held_out)
        prior = population(people, others, known, background)
        result["population"] = z @ prior.weights
        result["likes and dislikes, with the population"] = z @ fit(both, background, prior).weights
        result["another's taste"] = z @ anothers(people, others, split, known, background)
    return result


def population(people: People, others: list[str], known: Rows, background: Background) -> Prior:
    """Return what other people like of the pictures on the examples' side."""
    standard = np.mean([ranks(people.opinions[other][known]) for other in others], axis=0)
    ratings = {int(row): (Source.RATING, float(value)) for row, value in zip(known, standard, strict=True)}
    head = fit(told(people.embeddings, ratings, ()), background)
    return Prior(head.weights)


def ranks(values: F64) -> F64:
    """Return places from -1 to 1, equal ones shared."""
    below = (values[:, None] > values[None]).mean(axis=1)
    above = (values[:, None] < values[None]).mean(axis=1)
    return np.asarray(below - above)


def anothers(people: People, others: list[str], split: Split, known: Rows, background: Background) -> F64:
    """Return the weights that as many examples of another person give."""
    rng = np.random.default_rng(int(split.likes[0]))
    opinion = people.opinions[others[int(rng.integers(len(others)))]]
    liked = opinion > np.median(opinion)
    likes, dislikes = (rng.permutation(known[side[known]])[: len(split.likes)] for side in (liked, ~liked))
    return fit(likes_and_dislikes(people, Split(likes, dislikes, known, known)), background).weights


def nearest(bare: NDArray[np.float32], split: Split) -> F64:
    """Return how much nearer the nearest like is than the nearest dislike, by cosine."""
    unit = bare / np.linalg.norm(bare, axis=1, keepdims=True)
    return np.asarray((unit @ unit[split.likes].T).max(axis=1) - (unit @ unit[split.dislikes].T).max(axis=1))


def logistic(bare: NDArray[np.float32], split: Split) -> F64:
    """Return logistic regression on unit features with an intercept, as scikit-learn's defaults have it (C = 1)."""
    unit = bare / np.linalg.norm(bare, axis=1, keepdims=True) * 10
    rows = unit[np.concatenate([split.likes, split.dislikes])].astype(np.float64)
    target = np.repeat([1.0, 0.0], [len(split.likes), len(split.dislikes)])
    gram, dual, intercept = rows @ rows.T, np.zeros(len(rows)), 0.0
    for _ in range(30):
        latent = gram @ dual + intercept
        likely = 1 / (1 + np.exp(-latent))
        curve = np.maximum(likely * (1 - likely), 1e-9)
        system = np.block(
            [[gram + np.diag(1 / curve), np.ones((len(rows), 1))], [np.ones((1, len(rows))), np.zeros((1, 1))]]
        )
        solved = np.linalg.solve(system, np.append(latent + (target - likely) / curve, 0.0))
        dual, intercept = solved[:-1], float(solved[-1])
    return np.asarray(unit @ (rows.T @ dual))


def auc(score: F64, liked: NDArray[np.bool_]) -> float:
    """Return how often a liked picture beats another."""
    gap = score[liked][:, None] - score[~liked][None]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def pairs_right(score: F64, opinion: F64) -> float:
    """Return how often the better of two comes first, over pairs with different opinions."""
    better = opinion[:, None] > opinion[None]
    gap = (score[:, None] - score[None])[better]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def curves(people: People, background: Background) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return, by way and count, the mean AUC and pair accuracy of each person over the splits."""
    z = background.project(people.embeddings)
    result: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for number, (person, opinion) in enumerate(people.opinions.items()):
        rng = np.random.default_rng(number)
        for count in COUNTS if people.name != "viper" else COUNTS[:-1]:
            found: dict[str, list[tuple[float, float]]] = defaultdict(list)
            for _ in range(SPLITS[people.name]):
                split = draw(people, opinion, count, rng)
                if split is None:
                    continue
                held_out, liked = split.held_out, opinion > np.median(opinion)
                for way, score in scores(people, person, split, background, z).items():
                    there = score[held_out]
                    found[way].append((auc(there, liked[held_out]), pairs_right(there, opinion[held_out])))
            for way, values in found.items():
                means = np.mean(values, axis=0)
                result[way][str(count)]["auc"].append(float(means[0]))
                result[way][str(count)]["pairs"].append(float(means[1]))
    return result


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval over people (bootstrap); no interval for fewer than 8."""
    if len(values) < 8:
        return float(np.mean(values)), float("nan"), float("nan")
    rng = np.random.default_rng(0)
    means = np.mean(rng.choice(values, (4000, len(values))), axis=1)
    return float(np.mean(values)), float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def reliability(people: People, background: Background, count: int, persons: Iterable[str]) -> dict[str, object]:
    """Return the expected calibration error of P(like), as many liked as not, and what its tenths turned out to be."""
    z, likely, liked = background.project(people.embeddings), [], []
    for number, person in enumerate(persons):
        opinion, rng = people.opinions[person], np.random.default_rng(number)
        is_liked = opinion > np.median(opinion)
        for _ in range(40):
            split = draw(people, opinion, count, rng)
            if split is None:
                continue
            sides = [rng.permutation(split.held_out[is_liked[split.held_out] == side]) for side in (True, False)]
            even = min(map(len, sides))
            rows = np.concatenate([side[:even] for side in sides])
            likely.append(fit(likes_and_dislikes(people, split), background).judge(z[rows]).p_like)
            liked.append(is_liked[rows])
    said, true = np.concatenate(likely), np.concatenate(liked)
    tenth = np.minimum((said * 10).astype(int), 9)
    bins = [
        (float(said[tenth == at].mean()), float(true[tenth == at].mean()), int((tenth == at).sum()))
        for at in set(tenth)
    ]
    error = sum(abs(mean - share) * size for mean, share, size in bins) / len(said)
    return {"count": count, "ece": error, "bins": bins, "brier": float(np.mean((said - true) ** 2))}


def flips(people: People, background: Background, changed: dict[str, F64], persons: Iterable[str]) -> dict[str, float]:
    """Return the share of verdicts that a change turns, of all and of those not called unsure; 5 likes and dislikes."""
    z = background.project(people.embeddings)
    found: dict[str, list[float]] = defaultdict(list)
    for number, person in enumerate(persons):
        opinion, rng = people.opinions[person], np.random.default_rng(number)
        for _ in range(60):
            split = draw(people, opinion, 5, rng)
            if split is None:
                continue
            head = fit(likes_and_dislikes(people, split), background)
            before = head.judge(z[split.held_out])
            found["unsure"].append(float(before.flips.mean()))
            for name, other in changed.items():
                turned = (before.mean > 0) != (head.judge(other[split.held_out]).mean > 0)
                found[name].append(float(turned.mean()))
                found[f"{name}, not unsure"].append(float(turned[~before.flips].mean()))
    return {name: float(np.mean(values)) for name, values in found.items()}


def clock(action: Callable[[], object], times: int = 50) -> float:
    """Return the median time in ms."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return 1000 * float(np.median(taken))


def timings(people: People, background: Background) -> dict[str, float]:
    """Return times in ms of learning and judging."""
    opinion = next(iter(people.opinions.values()))
    order = np.argsort(-opinion).astype(np.intp)
    made = {n: likes_and_dislikes(people, Split(order[: n // 2], order[-n // 2 :], order, order)) for n in (2, 16, 50)}
    result = {f"fit {n}": clock(lambda taste=taste: fit(taste, background)) for n, taste in made.items()}
    z = background.project(people.embeddings)[:64]
    heads = [fit(made[16], background) for _ in range(64)]
    result["whiten 64 images"] = clock(lambda: background.project(people.embeddings[:64]))
    result["judge 64 images by 64 tastes"] = clock(lambda: judge_many(z, heads, np.arange(64)))
    result["judge 1 image"] = clock(lambda: heads[0].judge(z[:1]))
    return result


def main() -> None:
    """Measure everything, print it and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of reference data")
    parser.add_argument("--output", type=Path, required=True, help="JSON")
    options = parser.parse_args()
    eye = Eye()
    paths = background_paths(options.shared / "data")
    raw = eye.look("background", paths)
    changes = [embed(eye.look(f"background {name}", paths, change), raw) for name, change in NUISANCES.items()]
    embeddings = embed(raw, raw)
    nuisances = np.concatenate([changed - embeddings for changed in changes])
    parts = [embed(eye.look(f"background {name}", paths, change), raw) for name, change in PARTS.items()]
    known = np.concatenate([embeddings, *parts])
    background = fit_background(known, nuisances, encoder_digest="")
    report: dict[str, object] = {"curves": {}, "flips": {}, "reliability": {}}
    sets = all_people(options.shared, eye, raw)
    for people in sets:
        print(f"\n{people.name}: {len(people.opinions)} people, {len(people.embeddings)} pictures; AUC by examples")
        found = curves(people, background)
        report["curves"][people.name] = found
        for way, by_count in found.items():
            cells = [interval(values["auc"]) for values in by_count.values()]
            print(f"{way:42s}", "  ".join(f"{mean:.3f} [{low:.3f} {high:.3f}]" for mean, low, high in cells))
        if people.name != "viper":
            fresh = [person for person in people.opinions if person not in people.chosen_on]
            report["reliability"][people.name] = [reliability(people, background, n, fresh) for n in (1, 3, 8)]
            print("ECE at 1, 3, 8:", [round(one["ece"], 3) for one in report["reliability"][people.name]])
    paintings = sets[0]
    cubist = sorted((options.shared / "data" / "cubist_liking" / "images").iterdir())
    for weight in (0.0, 2.0, 20.0):
        other = fit_background(known, nuisances, encoder_digest="", nuisance_weight=weight)
        changed = {
            name: other.project(embed(eye.look(f"cubist {name}", cubist, change), raw))
            for name, change in CHANGES.items()
        }
        report["flips"][str(weight)] = flips(paintings, other, changed, ("3", "4"))
        print("nuisance", weight, {name: round(share, 4) for name, share in report["flips"][str(weight)].items()})
    report["ms"] = timings(paintings, background)
    print(report["ms"])
    options.output.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
