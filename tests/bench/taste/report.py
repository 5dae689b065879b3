"""Writes docs/taste.md and its figures from docs/taste.json."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.scorer_report import table
from bench.taste import figures, tables
from bench.taste.eye import REPO
from bench.taste.found import TOLD, Found, sets_of
from bench.taste.statistics import estimate
from bench.taste.tables import STEADY_GATE
from bench.taste.ways import AMONG, BOTH, CHOICES, LIKES
from bench.taste.words import FEW_COUNTS, few, gate, of_100, outcomes, percent

DOCS = REPO / "docs"
KEPT = DOCS / "taste.json"
DEFAULT, BARE = "taste-eye", "efficientnet-lite0"
"""The encoder that tastes use unless they are told otherwise, and what it sees objects with."""
CALIBRATION_GATE = 0.05
MANY = 4
USERS_WAYS = (
    (BOTH, "n likes and n dislikes"),
    (AMONG, "n likes alone, to order candidates (`Rank`)"),
    (LIKES, "n likes alone, one picture by itself (`Score`)"),
)
USES = {
    "1": "A hint.",
    "3": "Enough to bring the better ones of a batch forward.",
    "5": "What this was made for: to order candidates of which a person then looks at the best.",
    "8": "More of the same: the curve has not ended (below).",
}


def write_report() -> None:
    """Write the page and its figures anew."""
    for path, text in pages(json.loads(KEPT.read_text(encoding="utf-8"))).items():
        path.write_text(text, encoding="utf-8")


def pages(kept: Mapping[str, Any]) -> dict[Path, str]:
    """Return what is written: file -> text."""
    sets = sets_of(kept, main_encoder(kept))
    return {
        DOCS / "taste.md": "\n\n".join(page(kept)) + "\n",
        DOCS / "taste_curves.svg": figures.curves(sets),
        DOCS / "taste_reliability.svg": figures.reliability(sets),
    }


def main_encoder(kept: Mapping[str, Any]) -> str:
    """Return the encoder that the page is about."""
    return DEFAULT if DEFAULT in kept["encoders"] else next(iter(kept["encoders"]))


def page(kept: Mapping[str, Any]) -> Iterator[str]:
    """Yield docs/taste.md, block by block."""
    encoder = main_encoder(kept)
    sets = sets_of(kept, encoder)
    yield "# Tastes: what they learn, and how sure that is"
    yield (
        f"Written by `make taste` from [taste.json](taste.json); every number and every verdict in words comes from "
        f"there. Encoder: `{encoder}`" + ("." if len(kept["encoders"]) == 1 else "; others are compared below.")
    )
    yield from _in_short(sets)
    yield from _for_users(sets)
    yield from _curves(sets)
    yield from _encoders(kept, encoder)
    yield from _steadiness(sets)
    yield from _calibration(sets)
    yield from _serving(kept.get("serving"))
    yield from _method(kept, encoder, sets)


def _in_short(sets: Sequence[Found]) -> Iterator[str]:
    found = outcomes(sets)
    yield "## In short"
    yield (
        "A taste that was told n likes and n dislikes, against what is simpler: AUC on pictures of other contents, and "
        "the squared error of P(like), person by person. Significant at 95 %, not corrected for how many comparisons "
        "there are."
    )
    for sign, title in ((-1, "**Lost** against"), (0, "**Not significant** against"), (1, "**Won** against")):
        yield f"{title}:" if found[sign] else f"{title} nothing."
        if found[sign]:
            yield "\n".join(found[sign])
    yield "**Too few people to be sure** (mean difference; above 0 the taste was better):"
    yield from table(("people", "against", *FEW_COUNTS), few(sets))
    yield "**Gates**:"
    yield "\n".join(_gates(sets))


def _gates(sets: Sequence[Found]) -> Iterator[str]:
    for found in sets:
        steady = found.kept["flips"].get("0.0")
        if steady:
            turned, unseen = (estimate(steady["changes"]["JPEG 75"][share]) for share in ("flips", "unseen"))
            said = f"{gate(found.name, turned, STEADY_GATE)}; {percent(unseen.mean)} flip without `unsure`"
            yield f"- Fewer than 2 % of verdicts flip under JPEG 75: {said}."
    for found in sets:
        one = found.kept["calibration"][BOTH].get("20")
        if one:
            error = tables.error_of(one)
            yield f"- Calibration error under 5 % at n = 20: {gate(found.name, error, CALIBRATION_GATE)}."


def _for_users(sets: Sequence[Found]) -> Iterator[str]:
    yield "## What a taste is good for"
    yield (
        "Of 100 pairs of one picture that a person likes and one that they don't, so many are put in the right order "
        "by a taste that was told of n others. Guessing gets 50. The mean over people hides that some are read much "
        "better than others."
    )
    for way, said in USERS_WAYS:
        yield from table((said, *(found.name for found in sets)), tables.pairs_of_100(sets, way))
    yield "\n".join((*_by_count(sets), *_to_know(sets)))


def _by_count(sets: Sequence[Found]) -> Iterator[str]:
    yield "- **n = 0**: P(like) is 0.5, or what the operator's prior says where there is one; always `unsure`."
    for count, said in USES.items():
        means = [found.mean(BOTH, count).mean for found in sets if found.mean(BOTH, count).people]
        yield f"- **n = {count}** of each: {of_100(min(means))} to {of_100(max(means))} of 100, by set. {said}"


def _to_know(sets: Sequence[Found]) -> Iterator[str]:
    more = [found.name for found in sets if found.mean(BOTH, "5").mean > found.mean(AMONG, "5").mean]
    gaps = [found.against(CHOICES, BOTH, "5").mean for found in sets]
    yield (
        f"- Say what you dislike, too: at n = 5 that was better than likes alone in {len(more)} of {len(sets)} sets. "
        "A choice between two pictures teaches about as much as a like and a dislike (AUC at n = 5 differs by "
        f"{min(gaps):+.3f} to {max(gaps):+.3f}, by set)."
    )
    over = tables.range_of([found.kept["calibration"][LIKES]["5"]["right"] for found in sets])
    yield (
        "- **Likes alone say little about one picture by itself**: they tell how it differs from the background, not "
        f"from what you reject, and then P(like) is no probability (verdicts right: {over} at n = 5). Let them order "
        "candidates: `Rank` judges them against each other. Elsewhere a taste told likes alone is always `unsure`."
    )
    yield (
        "- Where people agree, as on technical quality, a prior made of many people's ratings can know more than your "
        "few examples (*streams*): `beholder taste prior fit`. None is shipped."
    )
    yield (
        "- **`unsure`** has four reasons: nothing was told yet; only likes were told, and it is no ranking; the "
        "verdict lies so near to the middle that a change which nobody sees (coding, resizing) may flip it; or the "
        "picture is far from the background and from every example. The tables below count the last two. It does not "
        "know when a taste is wrong about a picture that looks ordinary. " + _unsure(sets)
    )
    yield (
        "- P(like) is for candidates of which as many are liked as not. If you like one picture in ten, order by it, "
        "and don't read it as a chance."
    )
    yield (
        "- **Not known**: how this holds for your people and your pictures. Taste proper was measured on four people "
        "who rated cubist paintings and on ViPer's one example user; the others judge technical quality, or are "
        "programs. No taste was followed over time."
    )
    yield (
        "- **Deleting** a taste or an example takes it out of the store at once. PostgreSQL keeps the bytes in the "
        "server's files until vacuum, and in its write-ahead log and your backups as long as you keep those."
    )


def _unsure(sets: Sequence[Found]) -> str:
    at_five = [found.kept["calibration"][BOTH]["5"] for found in sets]
    shares = {key: tables.range_of([one[key] for one in at_five]) for key in ("unsure", "right_sure", "right_unsure")}
    return (
        f"At n = 5 it is said of {shares['unsure']} of verdicts, by set; of those {shares['right_unsure']} were right, "
        f"of the others {shares['right_sure']}."
    )


def _curves(sets: Sequence[Found]) -> Iterator[str]:
    yield "## Learning curves"
    yield "![AUC by number of examples, for each set of people](taste_curves.svg)"
    yield (
        "AUC: how often a picture that the person likes comes before one that they don't, on pictures of contents "
        "that no example shows. Likes: n pictures. Likes and dislikes: n of each, as for nearest neighbour, logistic "
        "regression and the other person. Choices: n, between a liked and a disliked one. Ratings: 2n pictures that "
        "nobody chose. Among the candidates: likes against the middle of all pictures that are asked "
        "about. In brackets 95 % of 4000 bootstrap samples of people (of eleven people such an interval is somewhat "
        "narrow); of fewer than eight, each person's number instead. The population prior is made for each "
        "person of all the others, from everything they said of all pictures on the examples' side: far more than n."
    )
    for found in sets:
        yield f"### {found.name}"
        people = len(found.kept["people"])
        yield f"{'One person' if people == 1 else f'{people} people'}: {found.kept['about']} {_who(found)}"
        yield from table(("AUC, by n", *found.counts()), tables.means(found, "auc"))
        if found.ways("within"):
            yield from table(("pairs of one content right, by n", *found.counts()), tables.means(found, "within"))
        yield from table(("difference of AUC, by n", *found.counts()), tables.differences(found))
    yield "### People whom settings were chosen on"
    yield (
        "The learner's few constants were set by looking at these; they count in no figure above. AUC by likes and "
        "dislikes, mean."
    )
    yield from table(("", *max((found.counts() for found in sets), key=len)), tables.chosen_on(sets))


def _who(found: Found) -> str:
    chosen_on = found.kept["chosen_on"]
    if not chosen_on:
        return "No setting was chosen on them."
    names = f" ({', '.join(chosen_on)})" if len(chosen_on) < MANY else ""
    return f"Settings were chosen on {len(chosen_on)} of them{names}; these are the others."


def _encoders(kept: Mapping[str, Any], encoder: str) -> Iterator[str]:
    others = [name for name in kept["encoders"] if name != encoder]
    if others:
        yield "## Encoders"
        yield f"AUC with `{encoder}` minus AUC with another, on the same people and examples."
    for other in others:
        rows = tables.encoders(sets_of(kept, encoder), sets_of(kept, other))
        yield from table((f"against `{other}`", "told", "n = 1", "n = 3", "n = 5", "n = 8"), rows)


def _steadiness(sets: Sequence[Found]) -> Iterator[str]:
    steady = [found for found in sets if found.kept["flips"]]
    yield "## Steadiness"
    yield (
        "The share of verdicts (like or not, of tastes told of 5 likes and 5 dislikes) that a change of the held-out "
        "picture flips, and of those flips the share that `unsure` had warned of. The people of *streams* are left "
        "out: they judge coding itself, which may well turn a verdict."
    )
    yield from table(("change", *(found.name for found in steady)), tables.flips(steady))
    yield (
        "With the nuisance covariance in the metric, so many times (0 is what ships): does it keep verdicts steadier, "
        "and what does it cost? Its other use, to know when to say `unsure`, is in all of them."
    )
    yield from table(("set", "times", "flips, JPEG 75", "flips, half size", "`unsure`", "AUC"), tables.blind(sets))
    yield "\n".join(line for found in sets for line in tables.blind_in_words(found))


def _calibration(sets: Sequence[Found]) -> Iterator[str]:
    yield "## Calibration"
    yield "![What came true by what P(like) said](taste_reliability.svg)"
    yield (
        "On held-out pictures, as many liked as not. ECE: by how much P(like) and what came true differ, in tenths of "
        "P. Brier: its mean squared error; 0.25 is what always saying 0.5 gets. Right: verdicts that agree with the "
        "person, among all, among those not called `unsure`, and among those called so."
    )
    for kind, told in TOLD.items():
        head = (f"told {told}", "n", "ECE", "Brier", "against 0.25", "right", "sure", "unsure", "share unsure")
        yield from table(head, tables.calibration(sets, kind))


def _serving(serving: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## Serving"
    if not serving:
        yield "Not measured here yet."
        return
    yield str(serving["about"])
    yield from table(
        ("what", "figure"), ((row["what"], f"{row['value']:g} {row['unit']}".strip()) for row in serving["rows"])
    )


def _method(kept: Mapping[str, Any], encoder: str, sets: Sequence[Found]) -> Iterator[str]:
    one = kept["encoders"][encoder]
    background = {
        "shipped": "the one in the encoder's folder",
        "fitted": "fitted here as shipped ones are: 101 photographs and 20 generated images, their four corners, and "
        "changes of each that people hardly see",
    }[one["background"]]
    yield "## How it was measured"
    yield (
        f"Graph `{one['digest'][:12]}`, run as in a request; background: {background}. The learner is the server's. A "
        "person likes what they put above the middle of their own opinions. A split halves the contents (for *viper*: "
        "n prompts against the rest), draws examples from one side and asks about the other: "
        f"{', '.join(found.name for found in sets)} alike, the same draws for every way and every encoder. Differences "
        "are person by person on those draws. Made-up people judge by the pooled features of another network "
        "(`open-nsfw`), which no taste sees. The reference data is not part of this repository; `--shared` names its "
        "folder."
    )
