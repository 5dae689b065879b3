"""Writes docs/scorers.md: what the scorers' folders say of themselves, and what was measured and kept in docs/."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from beholder.scoring.catalog import Catalog, load_catalog
from beholder.scoring.spec import ScorerSpec
from beholder.types import Direction

REPO = Path(__file__).resolve().parents[2]
MODELS, REPORT = REPO / "models", REPO / "docs" / "scorers.md"
KEPT = REPO / "docs" / "scorers.json"
"""What `bench.scorer_table` measured, by scorer."""
OPINION = REPO / "docs" / "human_opinion.json"
"""What `bench.human_opinion` measured."""
BETTER = {Direction.HIGHER_IS_BETTER: "higher", Direction.LOWER_IS_BETTER: "lower", Direction.UNORDERED: "neither"}
PUBLISHED = "## Published rank correlation\n"


def write_report() -> None:
    """Write docs/scorers.md anew."""
    REPORT.write_text(report(), encoding="utf-8")


def report() -> str:
    """Return docs/scorers.md."""
    catalog = load_catalog([MODELS])
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    parts = [
        "# Scorers",
        "Written by `make scorers` from the scorers' folders, their `golden.json`, and what was measured on one CPU "
        "core. Every scorer has a card with the whole story: `beholder scorers NAME`.",
        "## How near to their authors' programs, and how fast",
        "Largest difference from the peer's own number on the cases of `golden.json` (the cards tell of wider sets). "
        "Time for a pair (or an image) of 512x512 on one thread, both in turn in one run; *of peer* is our time over "
        "the peer's, so less than 1 is faster. A dash: the peer could not be run here.",
        *table(
            ("scorer", "kind", "better", "range", "peer", "differs by", "cases", "ms/Mpx", "peer", "of peer", "map"),
            (row(spec, kept.get(name, {})) for name, spec in sorted(catalog.scorers.items())),
        ),
        "## Rank correlation with people, measured here",
        *opinions(),
        "## Rank correlation with people, as published",
        "Spearman, by the sources that the cards name; on other images than ours, and not all by the scorers' authors.",
        *table(("scorer", "published"), published(catalog)),
    ]
    return "\n\n".join(parts) + "\n"


def row(spec: ScorerSpec, kept: dict[str, Any]) -> Sequence[str]:
    """Return the cells of one scorer."""
    ours, theirs = kept.get("ms_per_mpx"), kept.get("peer_ms_per_mpx")
    golden = spec.folder / "golden.json"
    peer = json.loads(golden.read_text(encoding="utf-8"))["peer"] if golden.exists() else "none at hand"
    return (
        f"`{spec.name}`",
        spec.kind.name.lower(),
        BETTER[spec.direction],
        " to ".join(bound(value) for value in spec.range_),
        peer,
        f"{kept['largest_difference']:.1e}" if "largest_difference" in kept else "-",
        str(kept.get("cases") or "-"),
        f"{ours:.0f}" if ours else "-",
        f"{theirs:.0f}" if theirs else "-",
        f"{ours / theirs:.2f}" if ours and theirs else "-",
        "yes" if spec.map else "",
    )


def opinions() -> Iterable[str]:
    """Yield what `bench.human_opinion` found: for each set what it is, and its scorers from best to worst."""
    if not OPINION.exists():
        return
    found = json.loads(OPINION.read_text(encoding="utf-8"))
    yield (
        "Spearman's rank correlation, positive where the scorer agrees with people; in brackets 95 % of 2000 bootstrap "
        "samples of whole contents. None of these images trained anything here; half of the contents of two sets "
        "chose settings of `beholder-quality`, whose card tells its figures on the others. `make opinion` asks again."
    )
    for name, one in found["sets"].items():
        known = [item for item in one["scorers"].items() if item[1]["srcc"] is not None]
        scorers = sorted(known, key=lambda item: -item[1]["srcc"])
        yield f"**{name}**: {one['about']} {one['images']} images of {one['contents']} contents."
        yield from table(
            ("scorer", "SRCC", "within one content", "images"),
            (
                (
                    f"`{scorer}`",
                    f"{result['srcc']:.3f}{interval(result)}",
                    f"{result['srcc_within_content']:.3f}" if result.get("srcc_within_content") is not None else "-",
                    str(result["images"]),
                )
                for scorer, result in scorers
            ),
        )


def interval(result: dict[str, Any]) -> str:
    """Return the interval of a correlation; nothing where there were too few images for one."""
    return "" if result["low"] is None else f" ({result['low']:.2f} to {result['high']:.2f})"


def bound(value: float) -> str:
    """Return an end of a range."""
    return f"{value:g}" if math.isfinite(value) else ("-" if value < 0 else "") + "∞"


def published(catalog: Catalog) -> Iterable[Sequence[str]]:
    """Yield scorers with what their cards say of published correlations."""
    for name, spec in sorted(catalog.scorers.items()):
        _, found, rest = spec.card.partition(PUBLISHED)
        lines = re.findall(r"^- (.+)$", rest.partition("\n## ")[0], re.MULTILINE) if found else []
        if lines:
            yield f"`{name}`", "; ".join(lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table, as one block."""
    lines = [head, ["---"] * len(head), *rows]
    return ["\n".join("| " + " | ".join(cells) + " |" for cells in lines)]


if __name__ == "__main__":
    write_report()
