"""Measures how tastes are learned and writes docs/taste.md.

    make taste                                       measure all encoders for tastes that are exported, write the page
    make taste ARGS="--encoder efficientnet-lite0"   measure with this one anew; repeat for several
    make taste ARGS=--render                         measure nothing

What serving costs is measured elsewhere; where its JSON is at hand it becomes part of docs/taste.json.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from bench.taste import measures
from bench.taste.background import Backgrounds
from bench.taste.changes import TRIED
from bench.taste.eye import CACHE, CATALOG, REPO, Eye, encoder
from bench.taste.people import People, all_people
from bench.taste.report import BARE, DEFAULT, KEPT, write_report
from bench.taste.ways import BOTH, Seen

STEADY = ("paintings", "viper", "made up")
"""Whose verdicts are tried under changes; the people of `streams` judge coding itself, and may well turn a verdict."""
WEIGHTS = (0.0, 2.0, 20.0)
"""How many times the nuisance covariance is in the metric."""


def main() -> None:
    """Measure what was asked and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", action="append", help="an encoder of the catalogue; may be repeated")
    parser.add_argument("--shared", type=Path, default=REPO.parent / "shared", help="the folder of reference data")
    parser.add_argument("--serving", type=Path, default=CACHE / "serving.json", help="what serving costs, as JSON")
    parser.add_argument("--render", action="store_true", help="only write docs/taste.md from what is kept")
    arguments = parser.parse_args()
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"encoders": {}}
    if arguments.serving.exists():
        kept["serving"] = json.loads(arguments.serving.read_text(encoding="utf-8"))
    if not arguments.render:
        sets = all_people(arguments.shared)
        for name in arguments.encoder or _at_hand():
            kept["encoders"][name] = rounded(measure(name, sets, arguments.shared / "data"))
    KEPT.write_text(compact(kept) + "\n", encoding="utf-8")
    write_report()


def _at_hand() -> list[str]:
    return [name for name in (DEFAULT, BARE) if name in CATALOG.encoders and CATALOG.encoders[name].is_exported("cpu")]


def measure(name: str, sets: list[People], data: Path) -> dict[str, Any]:
    """Measure one encoder on all people."""
    eye, digest = encoder(name)
    backgrounds = Backgrounds(name, digest, eye, data)
    bare_eye = None if name == BARE else encoder(BARE)[0]
    result: dict[str, Any] = {"digest": digest, "background": "shipped" if backgrounds.is_shipped else "fitted"}
    return result | {"sets": {people.name: measure_set(people, eye, bare_eye, backgrounds) for people in sets}}


def measure_set(people: People, eye: Eye, bare_eye: Eye | None, backgrounds: Backgrounds) -> dict[str, Any]:
    """Measure one encoder on the people of one set."""
    plain, own = eye.see(people.name, people.paths), backgrounds.own()
    bare = bare_eye.see(people.name, people.paths) if bare_eye else None
    seen = Seen(own, plain, own.project(plain), bare)
    result: dict[str, Any] = {
        "about": people.about,
        "people": list(people.opinions),
        "chosen_on": list(people.chosen_on),
        "curves": measures.curves(people, seen),
        "calibration": measures.calibrations(people, seen),
        "blind": {},
        "flips": {},
    }
    changed = {}
    if people.name in STEADY:
        changed = {name: eye.see(f"{people.name} {name}", people.paths, change) for name, change in TRIED.items()}
    for weight in WEIGHTS:
        background = backgrounds.blind(weight) if weight else own
        result["blind"][str(weight)] = measures.learned_when_blind(people, background, plain)
        if changed:
            result["flips"][str(weight)] = measures.flips(people, background, plain, changed)
    print(people.name, {n: measures.about_one(values) for n, values in result["curves"]["auc"][BOTH].items()})
    return result


def rounded(value: Any) -> Any:
    """Round all floats within JSON to four digits; NaN becomes null."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def compact(value: Any, indent: str = "") -> str:
    """Return JSON with each object's entries, and each innermost list, on a line of its own."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    inner = indent + " "
    lines = [f"{inner}{json.dumps(str(key))}: {compact(item, inner)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


if __name__ == "__main__":
    main()
