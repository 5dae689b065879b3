"""How tastes and opinions are written: lines for people, objects for programs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from beholder.cli.report import shortest
from beholder.client import Opinion, Taste, TasteDetails, Verdict

NO_NAMES: Mapping[str, str] = {}


def counted(number: int, noun: str) -> str:
    """Return so many of something, in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def taste_object(taste: Taste) -> dict[str, Any]:
    """Return a taste for JSON."""
    return {
        "name": taste.name,
        "id": taste.id,
        "version": taste.version,
        "encoder": taste.encoder,
        "encoder_digest": taste.encoder_digest,
        "images": taste.images,
        "verdicts": taste.verdicts,
        "choices": taste.choices,
        "created": taste.created.isoformat(),
        "changed": taste.changed.isoformat(),
        "ready": taste.ready,
        "not_ready_reason": taste.not_ready_reason,
    }


def opinion_object(opinion: Opinion) -> dict[str, Any]:
    """Return an opinion for JSON."""
    if isinstance(opinion, Verdict):
        return {"image_id": opinion.image_id, "source": opinion.source, "value": shortest(opinion.value)}
    return {"better_id": opinion.better_id, "worse_id": opinion.worse_id, "is_tie": opinion.is_tie}


def ids_in(opinion: Opinion) -> tuple[str, ...]:
    """Return the ids of the images that an opinion is of."""
    return (opinion.image_id,) if isinstance(opinion, Verdict) else (opinion.better_id, opinion.worse_id)


def opinion_text(opinion: Opinion, shown: Mapping[str, str] = NO_NAMES) -> str:
    """Return an opinion for people.

    Args:
        shown: image id -> what people call it; another is called by its id.
    """
    if isinstance(opinion, Verdict):
        value = f" {opinion.value:+.2f}" if opinion.source == "rating" else ""
        return f"{opinion.source}{value} of {shown.get(opinion.image_id, opinion.image_id)}"
    better, worse = (shown.get(image, image) for image in ids_in(opinion))
    return f"{better} is {'as good as' if opinion.is_tie else 'better than'} {worse}"


def details_object(details: TasteDetails) -> dict[str, Any]:
    """Return all about a taste for JSON."""
    left, sure = details.left_out, details.certainty
    return taste_object(details.taste) | {
        "left_out": left and {"count": left.count, "right": shortest(left.right), "log_loss": shortest(left.log_loss)},
        "certainty": sure and {"sd": shortest(sure.sd), "prior_sd": shortest(sure.prior_sd)},
        "opinions": [opinion_object(opinion) for opinion in details.opinions],
    }


def details_rows(details: TasteDetails) -> list[tuple[str, str]]:
    """Return what a taste is, how well it predicts and how sure it is, for people: (what, text)."""
    taste, left, sure = details.taste, details.left_out, details.certainty
    rows = [
        ("name", f"{taste.name}, version {taste.version}"),
        ("told", _told(details)),
        ("encoder", f"{taste.encoder} ({taste.encoder_digest})"),
        ("made", f"{taste.created:%Y-%m-%d %H:%M:%S} UTC"),
        ("changed", f"{taste.changed:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    if left and left.count and len(details.opinions) > 1:
        right = f"{round(left.right * left.count, 1):g} of {counted(left.count, 'opinion')}, each from the others alone"
        rows.append(("predicts", f"{right}; log loss {left.log_loss:.2f}, a coin's is 0.69"))
    elif left:
        rows.append(("predicts", "nothing to predict yet"))
    if sure:
        rows.append(("doubt", f"sd {sure.sd:.2f} on images in general, {sure.prior_sd:.2f} before anything was told"))
    return [*rows, ("ready", "yes" if taste.ready else taste.not_ready_reason)]


def _told(details: TasteDetails) -> str:
    kinds = Counter(
        opinion.source if isinstance(opinion, Verdict) else "tie" if opinion.is_tie else "choice"
        for opinion in details.opinions
    )
    said = [counted(kinds[kind], kind) for kind in ("like", "dislike", "rating", "choice", "tie") if kinds[kind]]
    return f"{', '.join(said)}, of {counted(details.taste.images, 'image')}" if said else "nothing yet"
