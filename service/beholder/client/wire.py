"""Values to protobuf messages and back; the only place of the client that knows their fields."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import grpc
import numpy as np
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from beholder.client.results import Ranked, Result, ScorerInfo
from beholder.errors import BeholderError, Code, InvalidSample, error_of
from beholder.types import (
    Direction,
    ErrorMap,
    Image,
    Kind,
    Label,
    Normalisation,
    Outcome,
    Priority,
    RawImage,
    Sample,
    Score,
    TasteVerdict,
)
from beholder.v1 import samples_pb2, scorer_service_pb2, scorers_pb2, scores_pb2, scoring_service_pb2

DETAILS_KEY = "grpc-status-details-bin"
PRIORITIES = {
    Priority.INTERACTIVE: samples_pb2.PRIORITY_INTERACTIVE,
    Priority.BATCH: samples_pb2.PRIORITY_BATCH,
}
NORMALISATIONS = {
    Normalisation.STANDARD: scoring_service_pb2.NORMALISATION_STANDARD,
    Normalisation.RAW: scoring_service_pb2.NORMALISATION_RAW,
}


def image_to(image: Image) -> samples_pb2.Image:
    """Return the message of an image."""
    if not isinstance(image, RawImage):
        return samples_pb2.Image(encoded=image.data)
    height_px, width_px, _ = image.pixels.shape
    rgb = np.ascontiguousarray(image.pixels).tobytes()
    return samples_pb2.Image(raw=samples_pb2.RawImage(width_px=width_px, height_px=height_px, rgb=rgb))


def shared_to(image: Image, token: bytes, offset_bytes: int) -> samples_pb2.Image:
    """Return the message of an image that was written into a region."""
    if not isinstance(image, RawImage):
        shared = samples_pb2.SharedImage(token=token, offset_bytes=offset_bytes, size_bytes=len(image.data))
        return samples_pb2.Image(shared=shared)
    height_px, width_px, _ = image.pixels.shape
    shared = samples_pb2.SharedImage(
        token=token,
        offset_bytes=offset_bytes,
        size_bytes=image.pixels.nbytes,
        width_px=width_px,
        height_px=height_px,
    )
    return samples_pb2.Image(shared=shared)


def unshare(message: Message, read: Callable[[int, int], bytes]) -> None:
    """Put bytes into every image of a message that lies in a region; `read` gives them, (offset, size) -> bytes."""
    if isinstance(message, samples_pb2.Image):
        if message.HasField("shared"):
            shared = samples_pb2.SharedImage.FromString(message.shared.SerializeToString())
            data = read(shared.offset_bytes, shared.size_bytes)
            if shared.width_px:
                message.raw.width_px, message.raw.height_px, message.raw.rgb = shared.width_px, shared.height_px, data
            else:
                message.encoded = data
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for one in [value] if isinstance(value, Message) else value:
            unshare(one, read)


def sample_to(sample: Sample, image_to: Callable[[Image], samples_pb2.Image] = image_to) -> samples_pb2.Sample:
    """Return the message of a sample."""
    reference = None if sample.reference is None else image_to(sample.reference)
    return samples_pb2.Sample(candidate=image_to(sample.candidate), reference=reference, prompt=sample.prompt or "")


def score_request(
    samples: Sequence[samples_pb2.Sample], scorers: Sequence[str], panel: str, priority: Priority, explain: bool
) -> scoring_service_pb2.ScoreRequest:
    """Return the message that asks for scores."""
    return scoring_service_pb2.ScoreRequest(
        samples=samples, scorers=scorers, panel=panel, priority=PRIORITIES[priority], explain=explain
    )


def rank_request(
    candidates: Sequence[samples_pb2.Image],
    scorers: Mapping[str, float],
    reference: samples_pb2.Image | None,
    prompt: str | None,
    normalisation: Normalisation,
    priority: Priority,
) -> scoring_service_pb2.RankRequest:
    """Return the message that asks for an order."""
    weighted = [scoring_service_pb2.WeightedScorer(scorer=name, weight=weight) for name, weight in scorers.items()]
    return scoring_service_pb2.RankRequest(
        candidates=candidates,
        reference=reference,
        prompt=prompt or "",
        scorers=weighted,
        normalisation=NORMALISATIONS[normalisation],
        priority=PRIORITIES[priority],
    )


def results_from(response: scoring_service_pb2.ScoreResponse, indices: Sequence[int]) -> list[Result]:
    """Return the result of each sample of a response.

    Args:
        response: the answer.
        indices: what the caller knows each sample sent as; errors name that index, not the one on the wire.
    """
    return [
        Result({one.scorer: _outcome_from(one, sent, index) for one in sample.results}, image_id=sample.image_id)
        for sent, (sample, index) in enumerate(zip(response.samples, indices, strict=True))
    ]


def error_from(error: scores_pb2.Error, sent: int = 0, index: int = 0) -> BeholderError:
    """Return the error of a message, naming sample `index` where the server knew it as `sent`."""
    field = error.field.replace(f"samples[{sent}]", f"samples[{index}]")
    return error_of(_code_from(error.code), error.message, field, error.retry_after.ToNanoseconds() / 1e9)


def error_from_rpc(error: grpc.RpcError) -> BeholderError:
    """Return the error of a failed call, with the field and the wait that rich details carry."""
    message = error.details() or error.code().name
    violation, retry = error_details_pb2.BadRequest.FieldViolation(), error_details_pb2.RetryInfo()
    for detail in _details_of(error):
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request) and request.field_violations:
            violation = request.field_violations[0]
        detail.Unpack(retry)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message:
        return InvalidSample(f"the request is too big for one message: {message}")
    name = error.code().name
    if name not in Code.__members__:
        return error_of(Code.INTERNAL, f"{name}: {message}")
    retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    return error_of(Code[name], violation.description or message, violation.field, retry_after_s)


def ranking_from(response: scoring_service_pb2.RankResponse) -> list[Ranked]:
    """Return the places of a response, best first."""
    return [
        Ranked(
            index=place.index,
            total=place.total if place.HasField("total") else None,
            result=Result(
                {part.result.scorer: _outcome_from(part.result) for part in place.parts}, image_id=place.image_id
            ),
            contributions={
                part.result.scorer: part.contribution for part in place.parts if part.HasField("contribution")
            },
            image_id=place.image_id,
        )
        for place in response.ranking
    ]


def scorer_from(scorer: scorers_pb2.Scorer) -> ScorerInfo:
    """Return what a message says of a scorer."""
    return ScorerInfo(
        name=scorer.name,
        version=scorer.version,
        kind=Kind[scorers_pb2.Kind.Name(scorer.kind).removeprefix("KIND_")],
        direction=Direction[scorers_pb2.Direction.Name(scorer.direction).removeprefix("DIRECTION_")],
        range_=(scorer.range_min, scorer.range_max),
        summary=scorer.summary,
        needs_reference=scorer.inputs.reference,
        needs_prompt=scorer.inputs.prompt,
        min_side_px=scorer.inputs.min_side_px,
        max_side_px=scorer.inputs.max_side_px or None,
        labels=tuple(scorer.labels),
        licence=scorer.licence,
        digest=scorer.digest,
        encoder=scorer.encoder,
        draws=scorer.draws,
        ready=scorer.ready,
        not_ready_reason=scorer.not_ready_reason,
        card=scorer.card,
    )


def scorers_from(response: scorer_service_pb2.ListScorersResponse) -> list[ScorerInfo]:
    """Return what a catalogue says of its scorers."""
    return [scorer_from(scorer) for scorer in response.scorers]


def panels_from(response: scorer_service_pb2.ListScorersResponse) -> dict[str, tuple[str, ...]]:
    """Return panel name -> scorer names."""
    return {panel.name: tuple(panel.scorers) for panel in response.panels}


def _outcome_from(result: scores_pb2.ScorerResult, sent: int = 0, index: int = 0) -> Outcome:
    if result.HasField("error"):
        return error_from(result.error, sent, index)
    score = result.score
    labels = tuple(Label(label.name, label.value) for label in score.labels)
    drawn = ErrorMap(score.map.png, score.map.high, score.map.meaning) if score.HasField("map") else None
    verdict = _verdict_from(score.taste) if score.HasField("taste") else None
    return Score(score.value, labels, drawn, verdict)


def _verdict_from(taste: scores_pb2.TasteVerdict) -> TasteVerdict:
    why_unsure = taste.why_unsure or ("not sure" if taste.unsure else "")
    return TasteVerdict(taste.version, taste.opinion, taste.sd, taste.percentile, why_unsure)


def _code_from(number: int) -> Code:
    try:
        return Code(number)
    except ValueError:
        return Code.INTERNAL


def _details_of(error: grpc.RpcError) -> Iterable[any_pb2.Any]:
    trailers: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()  # type: ignore[assignment]  # tuples
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            details: Iterable[any_pb2.Any] = status_pb2.Status.FromString(value).details
            return details
    return ()
