"""Values to messages and back."""

import grpc
import numpy as np
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from grpc.aio import AioRpcError, Metadata

from beholder.client import Normalisation, Result, wire
from beholder.errors import CODES, BeholderError, CapacityError, Code, InvalidSample, QueueFull, ScoringFailed, code_of
from beholder.types import Direction, EncodedImage, Kind, Label, Priority, RawImage, Sample, Score, TasteVerdict
from beholder.v1 import samples_pb2, scorers_pb2, scores_pb2, scoring_service_pb2


def rpc_error(code: grpc.StatusCode, text: str, *details: Message) -> AioRpcError:
    packed = []
    for detail in details:
        packed.append(Any())
        packed[-1].Pack(detail)
    status = Status(code=code.value[0], message=text, details=packed).SerializeToString()
    trailers = Metadata(("grpc-status-details-bin", status)) if details else Metadata()
    return AioRpcError(code, Metadata(), trailers, details=text)


def test_encoded_bytes_are_sent_as_they_are() -> None:
    assert wire.image_to(EncodedImage(b"abc")) == samples_pb2.Image(encoded=b"abc")


def test_pixels_are_sent_row_by_row_with_their_size() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    raw = wire.image_to(RawImage(pixels)).raw
    assert (raw.height_px, raw.width_px, raw.rgb) == (2, 3, bytes(range(18)))


def test_a_sample_without_reference_or_prompt_has_neither() -> None:
    message = wire.sample_to(Sample(EncodedImage(b"a")))
    assert not message.HasField("reference")
    assert message.prompt == ""


def test_a_sample_carries_its_reference_and_prompt() -> None:
    message = wire.sample_to(Sample(EncodedImage(b"a"), EncodedImage(b"r"), "a cat"))
    assert (message.reference.encoded, message.prompt) == (b"r", "a cat")


@pytest.mark.parametrize("priority", list(Priority))
def test_every_priority_has_its_word_on_the_wire(priority: Priority) -> None:
    request = wire.score_request([], ["ssim"], "", priority, explain=False)
    assert samples_pb2.Priority.Name(request.priority) == f"PRIORITY_{priority.name}"


@pytest.mark.parametrize("normalisation", list(Normalisation))
def test_every_normalisation_has_its_word_on_the_wire(normalisation: Normalisation) -> None:
    request = wire.rank_request([], {"ssim": 2.0}, None, None, normalisation, Priority.BATCH)
    assert scoring_service_pb2.Normalisation.Name(request.normalisation) == f"NORMALISATION_{normalisation.name}"
    assert [(one.scorer, one.weight) for one in request.scorers] == [("ssim", 2.0)]
    assert not request.HasField("reference")


def test_a_score_comes_back_with_its_labels() -> None:
    score = scores_pb2.Score(value=0.5, labels=[scores_pb2.Label(name="cat", value=0.25)])
    response = scoring_service_pb2.ScoreResponse(
        samples=[scores_pb2.SampleResult(results=[scores_pb2.ScorerResult(scorer="content", score=score)])]
    )
    assert wire.results_from(response, [0]) == [Result({"content": Score(0.5, (Label("cat", 0.25),))})]


def test_a_verdict_of_a_taste_comes_back_with_the_images_id() -> None:
    verdict = scores_pb2.TasteVerdict(version=3, opinion=0.5, sd=2.0, percentile=75.0, unsure=True, why_unsure="far")
    score = scores_pb2.Score(value=0.5, taste=verdict)
    sample = scores_pb2.SampleResult(results=[scores_pb2.ScorerResult(scorer="taste/ann", score=score)], image_id="ab")
    (result,) = wire.results_from(scoring_service_pb2.ScoreResponse(samples=[sample]), [0])
    assert result.image_id == "ab"
    assert result["taste/ann"].taste == TasteVerdict(3, 0.5, 2.0, 75.0, "far")


@pytest.mark.parametrize("kind", CODES)
def test_every_error_comes_back_as_its_own_class(kind: type[BeholderError]) -> None:
    message = scores_pb2.Error(code=scores_pb2.ErrorCode.ValueType(CODES[kind].value), message="why")
    error = wire.error_from(message)
    assert type(error) is kind
    assert error.message == "why"


def test_an_error_names_the_sample_as_its_caller_knows_it() -> None:
    message = scores_pb2.Error(code=scores_pb2.ERROR_CODE_INVALID_ARGUMENT, field="samples[1].candidate")
    error = wire.error_from(message, sent=1, index=7)
    assert isinstance(error, InvalidSample)
    assert error.field == "samples[7].candidate"


def test_an_error_brings_the_wait_that_the_server_asks_for() -> None:
    message = scores_pb2.Error(code=scores_pb2.ERROR_CODE_RESOURCE_EXHAUSTED, retry_after=Duration(nanos=250_000_000))
    error = wire.error_from(message)
    assert isinstance(error, QueueFull)
    assert error.retry_after_s == 0.25


def test_a_code_that_a_newer_server_may_send_counts_as_internal() -> None:
    assert isinstance(wire.error_from(scores_pb2.Error(code=scores_pb2.ErrorCode.ValueType(99))), ScoringFailed)


@pytest.mark.parametrize("code", list(Code))
def test_every_status_comes_back_as_the_error_of_its_code(code: Code) -> None:
    error = wire.error_from_rpc(rpc_error(grpc.StatusCode[code.name], "why"))
    assert code_of(error) is code
    assert error.message == "why"


def test_a_status_brings_retry_info() -> None:
    detail = RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
    error = wire.error_from_rpc(rpc_error(grpc.StatusCode.UNAVAILABLE, "draining", detail))
    assert isinstance(error, CapacityError)
    assert error.retry_after_s == 1.5


def test_a_status_brings_the_field_at_fault() -> None:
    violation = BadRequest.FieldViolation(field="samples", description="want 1 to 256")
    detail = BadRequest(field_violations=[violation])
    error = wire.error_from_rpc(rpc_error(grpc.StatusCode.INVALID_ARGUMENT, "samples: want 1 to 256", detail))
    assert isinstance(error, InvalidSample)
    assert (error.field, error.message) == ("samples", "want 1 to 256")


def test_a_status_that_is_not_ours_keeps_its_name() -> None:
    error = wire.error_from_rpc(rpc_error(grpc.StatusCode.UNIMPLEMENTED, "no such method"))
    assert isinstance(error, ScoringFailed)
    assert error.message == "UNIMPLEMENTED: no such method"


def test_a_message_that_is_too_big_is_the_callers_to_change() -> None:
    """gRPC itself says RESOURCE_EXHAUSTED here, which would be retried in vain."""
    text = "Received message larger than max (300000000 vs. 268435456)"
    assert isinstance(wire.error_from_rpc(rpc_error(grpc.StatusCode.RESOURCE_EXHAUSTED, text)), InvalidSample)


def test_a_ranking_keeps_the_places_and_the_candidates_without_a_total() -> None:
    ranking = scoring_service_pb2.RankResponse()
    best, last = ranking.ranking.add(index=1, total=2.0), ranking.ranking.add(index=0)
    best.parts.add(contribution=2.0, result=scores_pb2.ScorerResult(scorer="ssim", score=scores_pb2.Score(value=1)))
    failed = scores_pb2.Error(code=scores_pb2.ERROR_CODE_INTERNAL, message="oh")
    last.parts.add(result=scores_pb2.ScorerResult(scorer="ssim", error=failed))
    best.image_id = "ab"
    first, second = wire.ranking_from(ranking)
    assert (first.index, first.total, first.contributions, first.result["ssim"]) == (1, 2.0, {"ssim": 2.0}, Score(1.0))
    assert (first.image_id, first.result.image_id, second.image_id) == ("ab", "ab", "")
    assert (second.index, second.total, second.contributions) == (0, None, {})
    assert isinstance(second.result.errors["ssim"], ScoringFailed)


def test_a_scorer_comes_back_as_it_was_described() -> None:
    message = scorers_pb2.Scorer(
        name="ssim",
        version=3,
        kind=scorers_pb2.KIND_FIDELITY,
        direction=scorers_pb2.DIRECTION_LOWER_IS_BETTER,
        range_min=0.0,
        range_max=float("inf"),
        inputs=scorers_pb2.Inputs(reference=True, min_side_px=11, max_side_px=4096),
        labels=["a", "b"],
        ready=True,
    )
    info = wire.scorer_from(message)
    assert (info.name, info.version, info.kind, info.direction) == ("ssim", 3, Kind.FIDELITY, Direction.LOWER_IS_BETTER)
    assert info.range_ == (0.0, float("inf"))
    assert (info.needs_reference, info.needs_prompt, info.min_side_px) == (True, False, 11)
    assert (info.max_side_px, wire.scorer_from(scorers_pb2.Scorer(kind=1, direction=1)).max_side_px) == (4096, None)
    assert (info.labels, info.ready, info.card) == (("a", "b"), True, "")
