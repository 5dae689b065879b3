"""Tastes as protobuf messages and back; with `wire`, all of the client that knows their fields."""

import re
from collections.abc import Sequence
from datetime import UTC

from google.protobuf.message import DecodeError

from beholder.client import wire
from beholder.client.opinions import ImageId, NewOpinion, TasteImage
from beholder.client.samples import read_image
from beholder.client.shared import Parcel
from beholder.client.taste_results import (
    Certainty,
    Choice,
    Comparison,
    Difference,
    LeftOut,
    Opinion,
    OpinionOutcome,
    Removed,
    SuggestedPair,
    Taste,
    TasteDetails,
    Verdict,
)
from beholder.errors import InputError, InvalidSample
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1 import tastes_pb2


def image_to(image: TasteImage, field: str, images: Parcel) -> tastes_pb2.OpinionImage:
    """Read one image; `field` is its place in the caller's lists, `images` what it is sent by.

    Raises:
        InvalidSample: a file can't be read, or pixels have another shape or type than `ImageLike` says.
    """
    if isinstance(image, ImageId):
        return tastes_pb2.OpinionImage(id=image.hex)
    try:
        return tastes_pb2.OpinionImage(image=images.image_to(read_image(image, "image")))
    except InvalidSample as error:
        error.field = field
        raise


def images_to(all_: Sequence[TasteImage], field: str, images: Parcel) -> list[tastes_pb2.OpinionImage]:
    """Read many images; see `image_to`."""
    return [image_to(image, f"{field}[{place}]", images) for place, image in enumerate(all_)]


def opinion_to(opinion: NewOpinion, images: Parcel) -> tastes_pb2.NewOpinion:
    """Read the images of an opinion.

    Raises:
        InvalidSample: one can't be read.
    """
    if opinion.kind in ("choice", "tie"):
        better, worse = (
            image_to(image, f"{opinion.field}.{which}", images)
            for image, which in zip(opinion.images, ("better", "worse"), strict=True)
        )
        choice = tastes_pb2.NewChoice(better=better, worse=worse, is_tie=opinion.kind == "tie")
        return tastes_pb2.NewOpinion(choice=choice)
    image = image_to(opinion.images[0], opinion.field, images)
    if opinion.kind == "rating":
        value, lowest, highest = opinion.rating
        rating = tastes_pb2.NewRating(image=image, value=value, lowest=lowest, highest=highest)
        return tastes_pb2.NewOpinion(rating=rating)
    if opinion.kind == "like":
        return tastes_pb2.NewOpinion(like=image)
    return tastes_pb2.NewOpinion(dislike=image)


def outcome_from(result: tastes_pb2.OpinionResult, opinion: NewOpinion) -> OpinionOutcome:
    """Return what became of an opinion; its error names the opinion as the caller knows it."""
    if not result.HasField("error"):
        return OpinionOutcome(opinion.field, tuple(result.image_ids))
    error = wire.error_from(result.error)
    if isinstance(error, InputError):
        error.field = opinion.field + _which(error.field)
    return OpinionOutcome(opinion.field, (), error)


def place_of(field: str) -> int | None:
    """Return the place in `opinions` of the field at fault; None where it is another field."""
    match = re.match(r"opinions\[(\d+)\]", field)
    return int(match[1]) if match else None


def _which(field: str) -> str:
    match = re.search(r"\.(better|worse)\b", field)
    return match[0] if match else ""


def opinion_from(opinion: tastes_pb2.Opinion) -> Opinion:
    """Return an opinion as it is kept."""
    if opinion.HasField("choice"):
        return choice_from(opinion.choice)
    verdict = opinion.verdict
    source = tastes_pb2.Source.Name(verdict.source).removeprefix("SOURCE_").lower()
    return Verdict(verdict.image_id, source, verdict.value)


def opinions_from(opinions: Sequence[tastes_pb2.Opinion]) -> tuple[Opinion, ...]:
    """Return opinions as they are kept."""
    return tuple(map(opinion_from, opinions))


def choice_from(choice: tastes_pb2.Choice) -> Choice:
    """Return a choice."""
    return Choice(choice.better_id, choice.worse_id, choice.is_tie)


def choice_to(choice: Choice) -> tastes_pb2.Choice:
    """Return the message of a choice."""
    return tastes_pb2.Choice(better_id=choice.better_id, worse_id=choice.worse_id, is_tie=choice.is_tie)


def taste_from(taste: tastes_pb2.Taste) -> Taste:
    """Return a taste without its opinions."""
    return Taste(
        name=taste.name,
        id=taste.id,
        version=taste.version,
        encoder=taste.encoder,
        encoder_digest=taste.encoder_digest,
        images=taste.images,
        verdicts=taste.verdicts,
        choices=taste.choices,
        created=taste.created.ToDatetime(UTC),
        changed=taste.changed.ToDatetime(UTC),
        not_ready_reason=taste.not_ready_reason,
    )


def details_from(response: pb.GetTasteResponse) -> TasteDetails:
    """Return all about a taste."""
    left, sure = response.left_out, response.certainty
    return TasteDetails(
        taste_from(response.taste),
        opinions_from(response.opinions),
        LeftOut(left.count, left.right, left.log_loss) if response.HasField("left_out") else None,
        Certainty(sure.sd, sure.prior_sd) if response.HasField("certainty") else None,
    )


def removed_from(response: pb.RemoveOpinionsResponse) -> Removed:
    """Return what was taken back."""
    return Removed(taste_from(response.taste), opinions_from(response.removed))


def page_from(response: pb.ListTastesResponse) -> tuple[list[Taste], str]:
    """Return the tastes of a page, and the token of the next one."""
    return [taste_from(taste) for taste in response.tastes], response.next_page_token


def pairs_from(response: pb.SuggestPairsResponse) -> list[SuggestedPair]:
    """Return pairs to ask about, the one that teaches most first."""
    return [SuggestedPair(pair.first, pair.second, pair.gain) for pair in response.pairs]


def comparison_from(response: pb.CompareTastesResponse) -> Comparison:
    """Return how far two tastes agree."""
    return Comparison(
        response.agreement,
        response.candidate_agreement if response.HasField("candidate_agreement") else None,
        tuple(Difference(one.index, one.first_p_like, one.second_p_like) for one in response.differences),
    )


def export_to(data: bytes) -> pb.TasteExport:
    """Read what `export` gave.

    Raises:
        InvalidSample: it is nothing of the kind.
    """
    try:
        taste = pb.TasteExport.FromString(bytes(data))
    except DecodeError as error:
        raise InvalidSample("this is not what an export of a taste gave", "taste") from error
    if not taste.format:
        raise InvalidSample("this is not what an export of a taste gave", "taste")
    return taste
