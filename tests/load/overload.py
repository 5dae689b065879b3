"""Simulates overload, and writes docs/overload.json and docs/overload.svg; the same for every run of the same code.

PYTHONPATH=tests python -m load.overload [--replicas 1000] [--trace FILE]
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from load.arrivals import Moments, recorded
from load.devices import TWO_CORES
from load.overload_figure import drawing
from load.scenarios import LOADS, MIXED, POLICIES, Scenario, curves, fleet, others

DOCS = Path(__file__).parents[2] / "docs"
FLEET_PARTS = 4


def main() -> None:
    """Run all scenarios, in as many processes as there are cores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=1000, help="of the fleet")
    parser.add_argument("--trace", type=Path, help="a file of arrivals, seconds one a line: only runs and prints these")
    args = parser.parse_args()
    if args.trace:
        arrive = partial(_from_file, args.trace)
        show([Scenario("trace", TWO_CORES, policy, MIXED, 3.0, 60.0, arrive) for policy in POLICIES])
        return
    found = show([*curves(), *others(), *fleet(args.replicas, FLEET_PARTS)])
    (DOCS / "overload.json").write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n")
    mixed = [one for one in found if one["scenario"] == "mixed"]
    (DOCS / "overload.svg").write_text(drawing(mixed, LOADS))


def show(scenarios: Sequence[Scenario]) -> list[dict[str, Any]]:
    """Run and print scenarios; return what was found, in their order."""
    started, found, requests = time.monotonic(), [], 0
    with Pool() as pool:
        for one in pool.imap(_run, scenarios):
            found.append(one)
            requests += one["requests"]
            ends = {name: said["ends"].get("GOOD", 0.0) for name, said in one["callers"].items()}
            about = f"{one['scenario']:17} {one['machine']:28} {one['policy']:41} {one['load']:<5}"
            print(f"{about} {one['goodput']:.3f} {ends}", flush=True)
    print(f"{requests:,} requests in {len(found)} runs, {time.monotonic() - started:.0f} s")
    return found


def _run(scenario: Scenario) -> dict[str, Any]:
    about = {"machine": scenario.machine.name, "policy": scenario.policy.name, "replicas": scenario.replicas}
    what = {"scenario": scenario.name, "load": scenario.load, "seconds": scenario.seconds, "seed": scenario.seed}
    return {**what, **about, **asdict(scenario.run())}


def _from_file(path: Path, rate: float, seconds: float, rng: np.random.Generator) -> Moments:
    return recorded(path, rate, seconds)


if __name__ == "__main__":
    main()
