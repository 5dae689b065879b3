"""Asks how far the scorers agree with people: rank correlation on sets with human opinion, with intervals.

    PYTHONPATH=tests python -m bench.human_opinion [--data FOLDER] [--threads 2] [NAME ...]

QUALITY scorers judge all sets, FIDELITY scorers those that have references. Images take the way of a request. What was
scored is kept under .cache by graph and set, so that a run can be stopped; docs/human_opinion.json is written at the
end, for all scorers that are kept whole.
"""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from beholder.errors import InvalidSample
from beholder.inputs import steps
from beholder.inputs.image import Limits, decode
from beholder.runtime.session import Device
from beholder.scoring.catalog import load_catalog
from beholder.scoring.check import check_pixels
from beholder.scoring.load import load_scorers
from beholder.scoring.scorer import GraphScorer
from beholder.scoring.spec import ScorerSpec
from beholder.types import U8, Direction, EncodedImage, Kind, RawImage, Score
from bench.opinion_sets import Item, OpinionSet, opinion_sets
from bench.rank_correlation import Sample, correlation, interval, kendall, within

REPO = Path(__file__).resolve().parents[2]
RESULT, CACHE = REPO / "docs" / "human_opinion.json", REPO / ".cache" / "human_opinion"
LIMITS = Limits(max_bytes=2**26, max_pixels=4 * 10**7)
BASES = ("brisque", "niqe", "piqe")
"""The scorers that every other of one image is compared with."""
KEEP_EVERY = 10


def pixels(item: Item, path: Path, lines: int) -> U8:
    """Decode an image, enlarged to `lines` by Pillow's bicubic filter where that is not 0."""
    image = decode(EncodedImage(path.read_bytes()), LIMITS, item.name)
    if not lines:
        return image
    width = round(image.shape[1] * lines / image.shape[0])
    return np.asarray(Pillow.fromarray(image).resize((width, lines), Pillow.Resampling.BICUBIC))


def score(scorer: GraphScorer, item: Item, lines: int) -> float:
    """Score an image by the way of a request; NaN where the scorer refuses its size."""
    paths = {"candidate": item.candidate} | ({"reference": item.reference} if item.reference else {})
    images = {role: pixels(item, paths[role], lines) for role in scorer.graph.roles}
    spec = scorer.graph.image
    try:
        check_pixels(spec, images["candidate"], images.get("reference"), item.name)
    except InvalidSample:
        return math.nan
    rows = {
        role: steps.apply(spec.steps, decode(RawImage(image), LIMITS, role))[None] for role, image in images.items()
    }
    [outcome] = scorer.scores(scorer.graph.session.run(rows))
    return outcome.value if isinstance(outcome, Score) else math.nan


def kept_file(spec: ScorerSpec, opinions: OpinionSet) -> Path:
    """Return where the scores of a graph for a set are kept."""
    return CACHE / f"{spec.name}-{spec.graph.file.sha256[:16]}" / f"{opinions.name}.json"


def read_kept(spec: ScorerSpec, opinions: OpinionSet) -> dict[str, float]:
    """Read the scores that are kept, by image."""
    path = kept_file(spec, opinions)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def fill(scorer: GraphScorer, opinions: OpinionSet) -> None:
    """Score what is not kept yet."""
    path, kept = kept_file(scorer.spec, opinions), read_kept(scorer.spec, opinions)
    path.parent.mkdir(parents=True, exist_ok=True)
    missing = [item for item in opinions.items if item.name not in kept]
    for done, item in enumerate(missing, start=1):
        kept[item.name] = score(scorer, item, opinions.lines)
        if done % KEEP_EVERY == 0 or done == len(missing):
            path.write_text(json.dumps(kept), encoding="utf-8")


def applies(spec: ScorerSpec, opinions: OpinionSet) -> bool:
    """Tell whether a scorer can judge a set."""
    if spec.direction is Direction.UNORDERED:
        return False
    return spec.kind is Kind.QUALITY or (spec.kind is Kind.FIDELITY and opinions.has_references)


def sample(spec: ScorerSpec, opinions: OpinionSet) -> Sample | None:
    """Return the scores of a set, higher is better, beside the opinions; None where they are not all there."""
    kept = read_kept(spec, opinions)
    if len(kept) < len(opinions.items):
        return None
    sign = 1 if spec.direction is Direction.HIGHER_IS_BETTER else -1
    values = np.array([sign * kept[item.name] for item in opinions.items])
    people = np.array([item.opinion for item in opinions.items])
    contents = np.array([item.content for item in opinions.items])
    return Sample(values, people, contents)


def judged(found: Sample) -> dict[str, Any]:
    """Return what is said of a scorer on a set."""
    low, high = interval([found])
    inside = within(found)
    said: dict[str, Any] = {"images": found.count, "srcc": correlation(found), "low": low, "high": high}
    said["kendall"] = correlation(found, kendall)
    return said | ({} if inside is None else {"srcc_within_content": inside})


def compared(ours: Sample, theirs: Sample) -> dict[str, float]:
    """Return by how much `ours` correlates better, on the images that both can score."""
    both = np.isfinite(ours.values) & np.isfinite(theirs.values)
    pair = [ours.where(both), theirs.where(both)]
    low, high = interval(pair)
    return {"difference": correlation(pair[0]) - correlation(pair[1]), "low": low, "high": high}


def report(specs: Iterable[ScorerSpec], sets: Sequence[OpinionSet]) -> dict[str, Any]:
    """Return docs/human_opinion.json: per set its story, and per scorer what it reaches there."""
    found = {
        (spec.name, one.name): said
        for spec in specs
        for one in sets
        if applies(spec, one) and (said := sample(spec, one)) is not None
    }
    result: dict[str, Any] = {}
    for one in sets:
        scorers = {name: judged(said) for (name, of), said in found.items() if of == one.name}
        for (name, of), said in found.items():
            bases = {base: found[base, of] for base in BASES if base != name and (base, of) in found}
            if of == one.name and bases:
                scorers[name]["against"] = {base: compared(said, theirs) for base, theirs in bases.items()}
        result[one.name] = {"about": one.about, "images": len(one.items), "contents": one.contents, "scorers": scorers}
    return {"method": METHOD, "sets": result}


METHOD = (
    "srcc: Spearman's rank correlation with people, positive where the scorer agrees. low, high: 95 % of 2000 "
    "bootstrap samples of whole contents (scenes). srcc_within_content: averaged over the contents with five images "
    "or more. against: by how much srcc is larger than another's, on the same samples. images: how many were scored; "
    "the others have a size that the scorer refuses."
)


def rounded(value: Any) -> Any:
    """Round all floats within JSON to four digits; NaN becomes null."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def main() -> None:
    """Score what is not kept yet, one scorer after the other, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="scorers to run; none means all whose graphs are there")
    parser.add_argument("--data", type=Path, default=REPO.parent / "shared" / "data", help="where the sets lie")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    catalog = load_catalog([REPO / "models"])
    sets = opinion_sets(arguments.data)
    specs = [spec for spec in catalog.scorers.values() if any(applies(spec, one) for one in sets)]
    for spec in specs:
        if (arguments.names and spec.name not in arguments.names) or not spec.is_exported("cpu"):
            continue
        todo = [one for one in sets if applies(spec, one) and len(read_kept(spec, one)) < len(one.items)]
        loaded = load_scorers(catalog, (spec.name,), Device("cpu", 0, arguments.threads), 1) if todo else None
        for one in todo:
            fill(loaded.scorers[spec.name], one)
        if loaded:
            loaded.close()
        results = {one.name: correlation(said) for one in sets if applies(spec, one) and (said := sample(spec, one))}
        print(spec.name, *(f"{name} {value:.3f}" for name, value in results.items()), sep="  ", flush=True)
    RESULT.write_text(json.dumps(rounded(report(specs, sets)), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
