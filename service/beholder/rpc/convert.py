"""Wire to values and back: the one place on the server that knows both."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from google.protobuf.duration_pb2 import Duration

from beholder.errors import BeholderError, CapacityError, InputError, InvalidSample, code_of
from beholder.rpc.regions import Reader
from beholder.scoring.asked import Scorer
from beholder.scoring.rank import Ranked
from beholder.scoring.spec import ScorerSpec
from beholder.types import (
    EncodedImage,
    Image,
    Normalisation,
    Outcome,
    Priority,
    RawImage,
    Sample,
    SampleResult,
    TasteVerdict,
)
from beholder.v1 import samples_pb2, scorers_pb2, scores_pb2, scoring_service_pb2

PRIORITIES = {
    samples_pb2.PRIORITY_UNSPECIFIED: Priority.INTERACTIVE,
    samples_pb2.PRIORITY_INTERACTIVE: Priority.INTERACTIVE,
    samples_pb2.PRIORITY_BATCH: Priority.BATCH,
}
NORMALISATIONS = {
    scoring_service_pb2.NORMALISATION_UNSPECIFIED: Normalisation.STANDARD,
    scoring_service_pb2.NORMALISATION_STANDARD: Normalisation.STANDARD,
    scoring_service_pb2.NORMALISATION_RAW: Normalisation.RAW,
}


_Seen = dict[bytes, EncodedImage] | None


def samples_from(messages: Sequence[samples_pb2.Sample], reader: Reader) -> list[Sample | InputError]:
    """Read samples; one that is malformed becomes its own error.

    Equal bytes become one image object, which is decoded once. A lone candidate has nothing to share, and
    hashing a megabyte is not free: there it is left out.
    """
    is_alone = len(messages) == 1 and not messages[0].HasField("reference")
    seen: _Seen = None if is_alone else {}
    return [_sample_from(message, f"samples[{index}]", reader, seen) for index, message in enumerate(messages)]


def image_from(message: samples_pb2.Image, field: str, reader: Reader, seen: _Seen = None) -> Image:
    """Read one image, the same object for bytes that were `seen`.

    Args:
        reader: copies what lies in memory that was lent.

    Raises:
        InvalidSample: no content, raw pixels that are not as many as their size says, or no such part of a region.
        SharingOff: this server lends no memory.
    """
    content = message.WhichOneof("content")
    if content == "raw":
        return _raw_image(message.raw, message.raw.rgb, f"{field}.raw", "rgb")
    if content == "shared":
        shared = message.shared
        data = reader.read(shared, f"{field}.shared")
        if shared.width_px or shared.height_px:
            return _raw_image(shared, data, f"{field}.shared", "size_bytes")
    elif content == "encoded":
        data = message.encoded
    else:
        raise InvalidSample("an image is required: set encoded, raw or shared", field)
    return EncodedImage(data) if seen is None else seen.setdefault(data, EncodedImage(data))


def _sample_from(message: samples_pb2.Sample, field: str, reader: Reader, seen: _Seen) -> Sample | InputError:
    try:
        candidate = image_from(message.candidate, f"{field}.candidate", reader, seen)
        has_reference = message.HasField("reference")
        reference = image_from(message.reference, f"{field}.reference", reader, seen) if has_reference else None
    except InputError as error:
        return error
    return Sample(candidate, reference, message.prompt or None)


def _raw_image(size: samples_pb2.RawImage | samples_pb2.SharedImage, rgb: bytes, field: str, name: str) -> RawImage:
    height, width, found = size.height_px, size.width_px, len(rgb)
    if not height or not width or found != height * width * 3:
        raise InvalidSample(
            f"{name}: want height_px * width_px * 3 = {height} * {width} * 3 = {height * width * 3} bytes"
            f" with both sides at least 1, got {found}",
            field,
        )
    return RawImage(np.frombuffer(rgb, np.uint8).reshape(height, width, 3))


def weights_from(messages: Sequence[scoring_service_pb2.WeightedScorer]) -> dict[str, float]:
    """Read scorer -> weight.

    Raises:
        InvalidSample: a scorer named twice, or a weight that is not finite and above 0.
    """
    weights: dict[str, float] = {}
    for index, message in enumerate(messages):
        weight = message.weight if message.HasField("weight") else 1.0
        if not 0.0 < weight < float("inf"):
            raise InvalidSample(f"want a finite weight above 0, got {weight}", f"scorers[{index}].weight")
        if message.scorer in weights:
            raise InvalidSample(f"{message.scorer} is named twice", f"scorers[{index}].scorer")
        weights[message.scorer] = weight
    return weights


def error_to(error: BeholderError) -> scores_pb2.Error:
    """Write an error that belongs to one result."""
    message = scores_pb2.Error(
        code=scores_pb2.ErrorCode.ValueType(code_of(error).value),
        message=error.message,
        field=error.field if isinstance(error, InputError) else "",
    )
    if isinstance(error, CapacityError) and error.retry_after_s > 0.0:
        message.retry_after.CopyFrom(duration(error.retry_after_s))
    return message


def duration(seconds: float) -> Duration:
    """Write seconds."""
    message = Duration()
    message.FromNanoseconds(int(seconds * 1e9))
    return message


def write_result(message: scores_pb2.ScorerResult, scorer: str, outcome: Outcome) -> None:
    """Write one scorer's outcome, in place: a message that is made first and put into another is copied."""
    message.scorer = scorer
    if isinstance(outcome, BeholderError):
        message.error.CopyFrom(error_to(outcome))
        return
    score = message.score
    score.value = outcome.value
    for label in outcome.labels:
        score.labels.add(name=label.name, value=label.value)
    if outcome.map:
        score.map.png, score.map.high, score.map.meaning = outcome.map.png, outcome.map.high, outcome.map.meaning
    if outcome.taste:
        score.taste.CopyFrom(_verdict(outcome.taste))


def _verdict(verdict: TasteVerdict) -> scores_pb2.TasteVerdict:
    return scores_pb2.TasteVerdict(
        version=verdict.version,
        opinion=verdict.opinion,
        sd=verdict.sd,
        percentile=verdict.percentile,
        unsure=verdict.unsure,
        why_unsure=verdict.why_unsure,
    )


def results_to(results: Sequence[SampleResult], image_ids: Sequence[str]) -> scoring_service_pb2.ScoreResponse:
    """Write the results of a request."""
    response = scoring_service_pb2.ScoreResponse()
    for result, image_id in zip(results, image_ids, strict=True):
        sample = response.samples.add(image_id=image_id)
        for name, outcome in result.items():
            write_result(sample.results.add(), name, outcome)
    return response


def ranking_to(
    ranking: Sequence[Ranked], results: Sequence[SampleResult], image_ids: Sequence[str]
) -> scoring_service_pb2.RankResponse:
    """Write a ranking with the parts of each total."""
    response = scoring_service_pb2.RankResponse()
    for ranked in ranking:
        candidate = response.ranking.add(index=ranked.index, total=ranked.total, image_id=image_ids[ranked.index])
        for name, outcome in results[ranked.index].items():
            part = candidate.parts.add(contribution=ranked.contributions[name])
            write_result(part.result, name, outcome)
            if part.result.HasField("error"):
                part.result.error.field = rank_field(part.result.error.field)
    return response


def rank_field(field: str) -> str:
    """Turn a field of the samples made from a RankRequest into the field that its caller sent."""
    field = re.sub(r"^samples\[(\d+)\]\.candidate", r"candidates[\1]", field)
    return re.sub(r"^samples\[\d+\]\.", "", re.sub(r"^samples$", "candidates", field))


def scorer_to(spec: ScorerSpec, not_ready_reason: str, card: str = "") -> scorers_pb2.Scorer:
    """Describe a scorer."""
    return scorers_pb2.Scorer(
        name=spec.name,
        version=spec.version,
        kind=scorers_pb2.Kind.Value(f"KIND_{spec.kind.name}"),
        direction=scorers_pb2.Direction.Value(f"DIRECTION_{spec.direction.name}"),
        range_min=spec.range_[0],
        range_max=spec.range_[1],
        summary=spec.summary,
        inputs=scorers_pb2.Inputs(
            reference=spec.needs_reference,
            prompt=spec.needs_prompt,
            min_side_px=spec.image.min_side_px if spec.image else 1,
            max_side_px=(spec.image.max_side_px or 0) if spec.image else 0,
        ),
        labels=spec.labels,
        licence=spec.licence,
        card=card,
        digest=spec.graph.file.sha256,
        encoder=spec.encoder,
        ready=not not_ready_reason,
        not_ready_reason=not_ready_reason,
        draws=spec.map is not None,
    )


def taste_scorer_to(scorer: Scorer) -> scorers_pb2.Scorer:
    """Describe a taste as a scorer."""
    image = scorer.graph.image
    return scorers_pb2.Scorer(
        name=scorer.spec.name,
        version=1,
        kind=scorers_pb2.KIND_TASTE,
        direction=scorers_pb2.DIRECTION_HIGHER_IS_BETTER,
        range_min=0.0,
        range_max=1.0,
        summary="P(like) as learned from what one person said of other images.",
        inputs=scorers_pb2.Inputs(min_side_px=image.min_side_px, max_side_px=image.max_side_px or 0),
        encoder=scorer.graph.name,
        ready=True,
    )


def panels_to(panels: Mapping[str, Sequence[str]]) -> list[scorers_pb2.Panel]:
    """Describe the panels, by name."""
    return [scorers_pb2.Panel(name=name, scorers=scorers) for name, scorers in sorted(panels.items())]
