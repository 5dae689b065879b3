"""One call with its retries: tables of what the server says and what is sent next."""

import numpy as np
import pytest

from beholder.client.calls import Ask, Call, Defaults, ScoreCall, Terms, rank_call, weights_of
from beholder.client.retry import Retry
from beholder.client.samples import Sample
from beholder.errors import InvalidSample, QueueFull, ScorerNotFound, Unavailable
from beholder.types import Normalisation, Priority, Score
from beholder.v1 import scores_pb2, scoring_service_pb2

ASK = Ask(["ssim", "psnr"], "", Priority.INTERACTIVE, explain=False)
FULL = scores_pb2.Error(code=scores_pb2.ERROR_CODE_RESOURCE_EXHAUSTED, message="full")
BAD = scores_pb2.Error(code=scores_pb2.ERROR_CODE_INVALID_ARGUMENT, message="bad", field="samples[0].candidate")
Part = float | scores_pb2.Error


def terms(retries: int = 2, deadline_s: float = 100.0) -> Terms:
    return Terms(Retry(retries, first_s=1.0, jitter=lambda: 1.0), deadline_s, "")


def score_call(*candidates: bytes | str, retries: int = 2, deadline_s: float = 100.0) -> ScoreCall:
    return ScoreCall([Sample(candidate) for candidate in candidates], ASK, terms(retries, deadline_s))


def answer(*samples: tuple[Part, Part]) -> scoring_service_pb2.ScoreResponse:
    response = scoring_service_pb2.ScoreResponse()
    for parts in samples:
        results = response.samples.add().results
        for name, part in zip(ASK.names, parts, strict=True):
            if isinstance(part, float):
                results.add(scorer=name, score=scores_pb2.Score(value=part))
            else:
                results.add(scorer=name, error=part)
    return response


def sent(call: ScoreCall) -> list[bytes]:
    return [sample.candidate.encoded for sample in call.request.samples]


def test_an_answer_ends_the_call() -> None:
    call = score_call(b"a", b"b")
    assert sent(call) == [b"a", b"b"]
    assert call.answered(answer((1.0, 2.0), (3.0, 4.0)), now=0.0) is None
    assert [result.scores for result in call.result] == [
        {"ssim": Score(1.0), "psnr": Score(2.0)},
        {"ssim": Score(3.0), "psnr": Score(4.0)},
    ]


def test_only_samples_that_were_refused_for_now_are_sent_again() -> None:
    call = score_call(b"a", b"b", b"c")
    assert call.answered(answer((1.0, 1.0), (FULL, FULL), (BAD, 3.0)), now=0.0) == 1.0
    assert sent(call) == [b"b"]
    assert call.answered(answer((2.0, 2.0)), now=1.0) is None
    first, second, third = call.result
    assert first["ssim"] == Score(1.0)
    assert second["psnr"] == Score(2.0)
    assert isinstance(third.errors["ssim"], InvalidSample)


def test_a_sample_sent_again_keeps_the_score_that_it_had() -> None:
    call = score_call(b"a")
    call.answered(answer((1.0, FULL)), now=0.0)
    call.answered(answer((BAD, 2.0)), now=1.0)
    assert call.result[0].scores == {"ssim": Score(1.0), "psnr": Score(2.0)}


def test_a_sample_sent_again_keeps_the_images_id_that_it_had() -> None:
    call, first = score_call(b"a"), answer((1.0, FULL))
    first.samples[0].image_id = "ab"
    call.answered(first, now=0.0)
    call.answered(answer((1.0, FULL)), now=1.0)
    assert call.result[0].image_id == "ab"


def test_errors_name_samples_as_the_caller_sent_them() -> None:
    call = score_call(b"a", b"b")
    call.answered(answer((1.0, 1.0), (FULL, FULL)), now=0.0)
    call.answered(answer((BAD, BAD)), now=1.0)
    error = call.result[1].errors["ssim"]
    assert isinstance(error, InvalidSample)
    assert error.field == "samples[1].candidate"


def test_after_the_last_retry_the_refusal_is_the_result() -> None:
    call = score_call(b"a", retries=1)
    assert call.answered(answer((FULL, 1.0)), now=0.0) == 1.0
    assert call.answered(answer((FULL, 1.0)), now=1.0) is None
    assert isinstance(call.result[0].errors["ssim"], QueueFull)


def test_no_retry_begins_after_the_deadline() -> None:
    call = score_call(b"a", deadline_s=0.9)
    assert call.answered(answer((FULL, 1.0)), now=0.0) is None
    assert isinstance(call.result[0].errors["ssim"], QueueFull)


def test_a_failed_call_waits_longer_each_time_and_then_raises() -> None:
    call = score_call(b"a")
    away = Unavailable("away")
    assert call.failed(away, now=0.0) == 1.0
    assert call.failed(away, now=1.0) == 2.0
    with pytest.raises(Unavailable) as caught:
        call.failed(away, now=3.0)
    assert caught.value is away


def test_a_call_that_can_never_succeed_raises_at_once() -> None:
    with pytest.raises(ScorerNotFound):
        score_call(b"a").failed(ScorerNotFound("who"), now=0.0)


def test_a_failure_after_an_answer_leaves_what_was_answered() -> None:
    call = score_call(b"a", b"b")
    call.answered(answer((1.0, 1.0), (FULL, FULL)), now=0.0)
    assert call.failed(ScorerNotFound("who"), now=1.0) is None
    assert call.result[0].ok
    assert isinstance(call.result[1].errors["ssim"], QueueFull)


def test_a_sample_that_cannot_be_read_is_never_sent() -> None:
    call = score_call(b"a", "/nowhere/gone.png", b"c")
    assert sent(call) == [b"a", b"c"]
    call.answered(answer((1.0, 1.0), (BAD, 2.0)), now=0.0)
    _, unread, bad = call.result
    assert isinstance(unread.error, InvalidSample)
    assert set(unread.errors) == {"ssim", "psnr"}
    assert isinstance(bad.errors["ssim"], InvalidSample)


def test_when_no_sample_can_be_read_nothing_is_sent() -> None:
    assert score_call("/nowhere/gone.png").is_empty
    assert not score_call(b"a").is_empty


def test_no_samples_at_all_are_left_to_the_server_to_refuse() -> None:
    assert not score_call().is_empty


def test_time_left_is_never_negative() -> None:
    call = score_call(b"a", deadline_s=10.0)
    assert call.left_s(4.0) == 6.0
    assert call.left_s(11.0) == 0.0


def test_every_try_has_the_same_request_id() -> None:
    call = score_call(b"a")
    ((key, request_id),) = call.metadata
    assert key == "x-request-id"
    assert len(request_id) == 32
    assert call.metadata == ((key, request_id),)


def test_a_request_id_may_be_given() -> None:
    assert Terms(Retry(), 0.0, "mine").metadata == (("x-request-id", "mine"),)


def test_a_plain_call_gives_what_its_answer_decodes_to() -> None:
    call = Call[str, str, str]("ask", str.upper, terms())
    assert call.answered("yes", now=0.0) is None
    assert call.result == "YES"


@pytest.mark.parametrize(
    ("scorers", "weights"),
    [({"a": 2.0, "b": 1.0}, {"a": 2.0, "b": 1.0}), (["a", "b"], {"a": 1.0, "b": 1.0}), ("ab", {"ab": 1.0})],
)
def test_scorers_without_weights_weigh_alike(scorers: dict[str, float] | list[str], weights: dict[str, float]) -> None:
    assert weights_of(scorers) == weights


def test_a_lone_scorer_may_be_given_as_a_string() -> None:
    assert Ask("ssim", "", Priority.BATCH, explain=False).names == ["ssim"]


def test_a_candidate_that_cannot_be_read_stops_a_ranking() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(InvalidSample) as caught:
        rank_call([pixels, "/nowhere/gone.png"], {"a": 1.0}, None, None, Normalisation.RAW, Priority.BATCH, terms())
    assert caught.value.field == "candidates[1]"


def test_a_lone_candidate_is_ranked_as_the_only_one() -> None:
    call = rank_call(b"a", {"ssim": 1.0}, None, None, Normalisation.RAW, Priority.INTERACTIVE, terms())
    assert [candidate.encoded for candidate in call.request.candidates] == [b"a"]


@pytest.mark.parametrize("request_id", ["two words", "ünï", "line\n", "x" * 65])
def test_a_request_id_that_no_server_takes_is_refused(request_id: str) -> None:
    with pytest.raises(InvalidSample, match="request_id: want 1 to 64 of A-Z") as caught:
        Defaults(Retry(0), 1.0, lambda: 0.0).terms(None, request_id)
    assert (caught.value.field, repr(request_id) in caught.value.message) == ("request_id", True)


def test_a_request_id_goes_with_the_call() -> None:
    assert Defaults(Retry(0), 1.0, lambda: 0.0).terms(None, "job-7.a_B").metadata == (("x-request-id", "job-7.a_B"),)
