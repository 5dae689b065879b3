"""Writes docs/throughput.md from docs/throughput.json: every part with what it was measured on and by which command."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.performance.asked import Json
from bench.performance.parts.all import PARTS
from bench.scorer_report import table
from server_process import REPO

KEPT, PAGE = REPO / "docs" / "throughput.json", REPO / "docs" / "throughput.md"
QUIET_CORES = 0.1
HEAD = """\
# What a server does, and how near it is to what the machine can do

Measured by `make performance`, written by `make performance ARGS=--render` from [throughput.json](throughput.json),
where all rounds are. A server is a real `beholder serve` in a process of its own; **callers run on the same cores**,
and what they cost is told beside. Every image is new to the server unless it says otherwise. Figures are medians over
rounds, with the lowest and the highest behind them; runs that are compared took turns. The machine's load is told for
each part: where others were at work, CPU times can be compared, rates and latencies can not.
"""


def take(output: Path) -> None:
    """Take what was measured into docs/throughput.json and write the page."""
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if output.exists():
        kept |= json.loads(output.read_text(encoding="utf-8"))
    write(kept, KEPT)
    PAGE.write_text(page(json.loads(KEPT.read_text(encoding="utf-8"))), encoding="utf-8")


def write(kept: Mapping[str, Json], path: Path) -> None:
    """Write what was measured as JSON, a line for each part."""
    lines = [f"{json.dumps(name)}: {json.dumps(kept[name], allow_nan=False)}" for name in PARTS if name in kept]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def page(kept: Mapping[str, Json]) -> str:
    """Return the page."""
    rows = [row for name, part in PARTS.items() if name in kept for row in part.short(kept[name]["found"])]
    return "\n\n".join((HEAD.rstrip("\n"), *table(("", "found", "wanted"), rows), *_parts(kept))) + "\n"


def _parts(kept: Mapping[str, Json]) -> Iterator[str]:
    for name, part in PARTS.items():
        if name in kept:
            yield f"## {part.title}"
            yield from part.told(kept[name]["found"])
            yield _about(kept[name]["about"])


def _about(about: Json) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    settings = f", settings {' '.join(about['settings'])}" if about["settings"] else ""
    busy = " **Others were at work on the machine.**" if about["others_cores"] > QUIET_CORES else ""
    quick = " **A quick look, not a figure.**" if about["is_quick"] else ""
    return (
        f"*{about['date']}, {about['cores']} cores of {about['processor']}; before the run load average "
        f"{about['load_before']:g}, {about['others_cores']:g} cores busy with other things.{busy}{quick} "
        f"{about['rounds']} rounds of {about['seconds']:g} s, {about['took_s']:.0f} s in all: "
        f"`{about['command']}`{settings}. Python {about['python']}, {versions}.*"
    )
