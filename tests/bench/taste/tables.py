"""The rows of docs/taste.md's tables."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from bench.taste.found import RIVALS, Found
from bench.taste.statistics import Estimate, difference, estimate
from bench.taste.ways import AMONG, BOTH, CHOICES, DEPARTING, LIKES, POPULATION, RATINGS
from bench.taste.words import VERDICTS, cell, compared, of_100, percent

ROW = Sequence[str]
STEADY_GATE = 0.02
COMPARED = (
    *((BOTH, rival) for rival in RIVALS),
    (BOTH, AMONG),
    (DEPARTING, POPULATION),
    (DEPARTING, BOTH),
    (AMONG, LIKES),
    (CHOICES, BOTH),
    (RATINGS, BOTH),
)
CALIBRATED_COUNTS = ("1", "3", "5", "8", "20")
USERS_COUNTS = ("1", "3", "5", "8")


def pairs_of_100(sets: Sequence[Found], way: str) -> Iterator[ROW]:
    """Yield how many pairs of 100 come in the right order."""
    for count in USERS_COUNTS:
        means = [found.mean(way, count) for found in sets]
        yield f"n = {count}", *(of_100(one.mean) if one.people else "-" for one in means)


def means(found: Found, measure: str) -> Iterator[ROW]:
    """Yield what each way reaches."""
    for way in found.ways(measure):
        cells = [cell(found.mean(way, n, measure), found.each(way, n, measure)) for n in found.counts()]
        yield way, *cells


def differences(found: Found) -> Iterator[ROW]:
    """Yield by how much one way is better than another."""
    for ours, theirs in COMPARED:
        if {ours, theirs} <= set(found.ways()):
            yield f"{ours} - {theirs}", *(compared(found.against(ours, theirs, n)) for n in found.counts())


def chosen_on(sets: Sequence[Found]) -> Iterator[ROW]:
    """Yield what is reached for the people whom settings were chosen on, and for the others."""
    for found in sets:
        for said, places in (("chosen on", found.old), ("others", found.fresh)):
            if found.old:
                columns = [estimate(found.each(BOTH, n, places=places)).mean for n in found.counts()]
                yield f"{found.name}, {said}: {len(places)}", *(f"{value:.3f}" for value in columns)


def encoders(ours: Sequence[Found], theirs: Sequence[Found]) -> Iterator[ROW]:
    """Yield by how much one encoder is better than another."""
    for our, their in zip(ours, theirs, strict=True):
        for way in (BOTH, AMONG):
            columns = [difference(our.each(way, n), their.each(way, n)) for n in USERS_COUNTS]
            yield our.name, way, *map(compared, columns)


def flips(sets: Sequence[Found]) -> Iterator[ROW]:
    """Yield what each change does to verdicts."""
    columns = [found.kept["flips"]["0.0"] for found in sets]
    for change in columns[0]["changes"]:
        yield change, *(_flipped(column["changes"][change]) for column in columns)
    yield "`unsure`, of all verdicts", *(_shares(column["unsure"]) for column in columns)


def _flipped(one: dict[str, Any]) -> str:
    turned = sum(one["flips"])
    warned = f"; warned of {100 * (1 - sum(one['unseen']) / turned):.0f} %" if turned else ""
    return _shares(one["flips"]) + warned


def _shares(each: Sequence[float]) -> str:
    found = estimate(each)
    if found.is_known:
        return f"{percent(found.mean)} ({percent(found.low)} to {percent(found.high)})"
    return ", ".join(map(percent, each))


def blind(sets: Sequence[Found]) -> Iterator[ROW]:
    """Yield what the nuisance covariance in the metric does."""
    for found in sets:
        for times, each in found.kept["blind"].items():
            steady = found.kept["flips"].get(times)
            cells = ["-", "-", "-"]
            if steady:
                turned = [steady["changes"][change]["flips"] for change in ("JPEG 75", "half size")]
                cells = [_shares(shares) for shares in (*turned, steady["unsure"])]
            yield found.name, f"{float(times):g}", *cells, cell(estimate(each), each)


def blind_in_words(found: Found) -> Iterator[str]:
    """Yield what may be said of the nuisance covariance."""
    for times, each in found.kept["blind"].items():
        if float(times):
            learned = difference(each, found.kept["blind"]["0.0"])
            said = [f"AUC {compared(learned)}"]
            if times in found.kept["flips"]:
                before, after = (found.kept["flips"][at]["changes"]["JPEG 75"]["flips"] for at in ("0.0", times))
                said.append(f"flips under JPEG 75 {_fewer(difference(after, before))}")
            yield f"- *{found.name}*, {float(times):g} times against none: {'; '.join(said)}."


def _fewer(found: Estimate) -> str:
    share = f"{100 * found.mean:+.2f} points"
    if found.is_known:
        return f"{share}: {({1: 'more', -1: 'fewer', 0: 'not significant'})[found.sign]}"
    return f"{share}, of too few people to be sure"


def calibration(sets: Sequence[Found], kind: str) -> Iterator[ROW]:
    """Yield how true P(like) is."""
    for found in sets:
        for count, one in found.kept["calibration"][kind].items():
            if count not in CALIBRATED_COUNTS:
                continue
            error = error_of(one)
            brier = estimate(one["brier"])
            better = found.better_than_even(kind, count)
            right = [percent(estimate(one[key]).mean) for key in ("right", "right_sure", "right_unsure", "unsure")]
            verdict = VERDICTS[better.sign] if better.is_known else "too few people"
            yield found.name, count, cell(error, [error.mean]), cell(brier, [brier.mean]), verdict, *right


def error_of(one: dict[str, Any]) -> Estimate:
    """Return the calibration error of people together."""
    mean, low, high = (math.nan if bound is None else bound for bound in one["ece"])
    return Estimate(mean, low, high, len(one["brier"]))


def range_of(columns: Sequence[Sequence[float]]) -> str:
    """Return from where to where means over people reach, in percent."""
    reached = [100 * estimate(column).mean for column in columns]
    return f"{min(reached):.0f} to {max(reached):.0f} %"
