"""Tastes on the wire to values and back."""

from collections.abc import Mapping, Sequence

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from beholder.errors import InputError, InvalidSample
from beholder.rpc.convert import error_to, image_from
from beholder.rpc.regions import Reader
from beholder.store.opinions import Choice, Opinion, Source, Taste, Verdict
from beholder.store.store import Summary
from beholder.taste.telling import ImageOrId, NewChoice, NewOpinion, NewVerdict, rating
from beholder.types import F32
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1 import tastes_pb2

EXPORT_FORMAT = 1
SOURCES = {
    Source[tastes_pb2.Source.Name(value).removeprefix("SOURCE_")]: value for value in tastes_pb2.Source.values()[1:]
}


def opinions_from(messages: Sequence[tastes_pb2.NewOpinion], reader: Reader) -> list[NewOpinion | InputError]:
    """Read what somebody says; an opinion that is malformed becomes its own error."""
    return [_opinion_or_error(message, f"opinions[{place}]", reader) for place, message in enumerate(messages)]


def images_from(messages: Sequence[tastes_pb2.OpinionImage], reader: Reader) -> list[ImageOrId]:
    """Read candidates.

    Raises:
        InvalidSample: one is none.
    """
    return [_image_from(message, f"candidates[{place}]", reader) for place, message in enumerate(messages)]


def _opinion_or_error(message: tastes_pb2.NewOpinion, field: str, reader: Reader) -> NewOpinion | InputError:
    try:
        return _opinion_from(message, field, reader)
    except InputError as error:
        return error


def _opinion_from(message: tastes_pb2.NewOpinion, field: str, reader: Reader) -> NewOpinion:
    which = message.WhichOneof("opinion")
    if which == "like":
        return NewVerdict(_image_from(message.like, f"{field}.like", reader), Source.LIKE, 1.0)
    if which == "dislike":
        return NewVerdict(_image_from(message.dislike, f"{field}.dislike", reader), Source.DISLIKE, -1.0)
    if which == "rating":
        image = _image_from(message.rating.image, f"{field}.rating.image", reader)
        try:
            return rating(image, message.rating.value, message.rating.lowest, message.rating.highest)
        except InvalidSample as error:
            raise InvalidSample(error.message, f"{field}.rating") from error
    if which == "choice":
        better = _image_from(message.choice.better, f"{field}.choice.better", reader)
        worse = _image_from(message.choice.worse, f"{field}.choice.worse", reader)
        return NewChoice(better, worse, message.choice.is_tie)
    raise InvalidSample("want a like, a dislike, a rating or a choice, got none", field)


def _image_from(message: tastes_pb2.OpinionImage, field: str, reader: Reader) -> ImageOrId:
    which = message.WhichOneof("which")
    if which == "id":
        return message.id
    return image_from(message.image, f"{field}.image" if which else field, reader)


def opinion_to(opinion: Opinion) -> tastes_pb2.Opinion:
    """Write an opinion as it is kept."""
    if isinstance(opinion, Verdict):
        verdict = tastes_pb2.Verdict(image_id=opinion.image, source=SOURCES[opinion.source], value=opinion.value)
        return tastes_pb2.Opinion(verdict=verdict)
    choice = tastes_pb2.Choice(better_id=opinion.better, worse_id=opinion.worse, is_tie=opinion.is_tie)
    return tastes_pb2.Opinion(choice=choice)


def result_to(result: tuple[str, ...] | InputError) -> tastes_pb2.OpinionResult:
    """Write what became of an opinion."""
    if isinstance(result, InputError):
        return tastes_pb2.OpinionResult(error=error_to(result))
    return tastes_pb2.OpinionResult(image_ids=result)


def taste_to(taste: Summary, not_ready_reason: str) -> tastes_pb2.Taste:
    """Write a taste without its opinions."""
    return tastes_pb2.Taste(
        name=taste.name,
        id=taste.id,
        version=taste.version,
        encoder=taste.encoder,
        encoder_digest=taste.encoder_digest,
        images=taste.images,
        verdicts=taste.verdicts,
        choices=taste.choices,
        created=_timestamp(taste.created_s),
        changed=_timestamp(taste.changed_s),
        not_ready_reason=not_ready_reason,
    )


def export_to(taste: Taste) -> pb.TasteExport:
    """Write all that is kept of a taste."""
    images = [
        pb.EmbeddedImage(id=image, embedding=np.ascontiguousarray(embedding, "<f4").tobytes())
        for image, embedding in taste.embeddings.items()
    ]
    return pb.TasteExport(
        format=EXPORT_FORMAT,
        name=taste.name,
        encoder=taste.encoder,
        encoder_digest=taste.encoder_digest,
        opinions=map(opinion_to, taste.opinions),
        images=images,
    )


def taste_from(message: pb.TasteExport) -> Taste:
    """Read what was exported; its id and version are nobody's.

    Raises:
        InvalidSample: another format, or not what an export is.
    """
    if message.format != EXPORT_FORMAT:
        raise InvalidSample(f"want an export of format {EXPORT_FORMAT}, got {message.format}", "taste.format")
    told = [_kept(opinion, f"taste.opinions[{place}]") for place, opinion in enumerate(message.opinions)]
    verdicts = {opinion.image: opinion for opinion in told if isinstance(opinion, Verdict)}
    choices = [opinion for opinion in told if isinstance(opinion, Choice)]
    embeddings: Mapping[str, F32] = {
        image.id: _embedding(image.embedding, f"taste.images[{place}].embedding")
        for place, image in enumerate(message.images)
    }
    return Taste("", message.name, 0, message.encoder, message.encoder_digest, verdicts, choices, embeddings)


def _kept(message: tastes_pb2.Opinion, field: str) -> Opinion:
    which = message.WhichOneof("opinion")
    if which == "choice":
        return Choice(message.choice.better_id, message.choice.worse_id, message.choice.is_tie)
    sources = {value: source for source, value in SOURCES.items()}
    if which is None or message.verdict.source not in sources:
        raise InvalidSample("want a verdict of a known source, or a choice", field)
    return Verdict(message.verdict.image_id, message.verdict.value, sources[message.verdict.source])


def _embedding(data: bytes, field: str) -> F32:
    if not data or len(data) % 4:
        raise InvalidSample(f"want float32 numbers, 4 bytes each, got {len(data)} bytes", field)
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)


def _timestamp(seconds: float) -> Timestamp:
    message = Timestamp()
    message.FromNanoseconds(int(seconds * 1e9))
    return message
