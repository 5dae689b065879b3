"""A stream's policy: tables of (events, now) -> what is sent, what is finished, when to wake."""

import pytest

from beholder import types
from beholder.client.calls import Ask
from beholder.client.results import Result
from beholder.client.retry import Retry
from beholder.client.stream import Answered, Broken, NoMore, Offered, Stream
from beholder.errors import DeadlinePassed, InvalidSample, QueueFull, ScorerNotFound, Unavailable
from beholder.types import EncodedImage, Priority, Score
from beholder.v1 import scores_pb2, scoring_service_pb2

FULL = scores_pb2.Error(code=scores_pb2.ERROR_CODE_RESOURCE_EXHAUSTED, message="full")
BAD = scores_pb2.Error(code=scores_pb2.ERROR_CODE_INVALID_ARGUMENT, message="bad", field="samples[0].candidate")
AWAY = Broken(Unavailable("away"))


def stream(timeout_s: float = 100.0, retries: int = 2) -> Stream:
    ask = Ask(["ssim", "psnr"], "", Priority.BATCH, explain=False)
    return Stream(ask, Retry(retries, first_s=1.0, jitter=lambda: 1.0), timeout_s)


def offered(index: int, data: bytes = b"image") -> Offered:
    return Offered(index, types.Sample(EncodedImage(data)))


def answered(index: int, ssim: float | scores_pb2.Error, psnr: float | scores_pb2.Error = 2.0) -> Answered:
    response = scoring_service_pb2.ScoreStreamResponse(id=index)
    results = response.response.samples.add().results
    for name, part in (("ssim", ssim), ("psnr", psnr)):
        if isinstance(part, float):
            results.add(scorer=name, score=scores_pb2.Score(value=part))
        else:
            results.add(scorer=name, error=part)
    return Answered(response)


def refused(index: int, error: scores_pb2.Error) -> Answered:
    return Answered(scoring_service_pb2.ScoreStreamResponse(id=index, error=error))


def sent(it: Stream, now: float) -> list[int]:
    return [message.id for message in it.due(now)]


def only(it: Stream) -> tuple[int, Result]:
    ((index, result),) = it.take()
    return index, result


def test_a_sample_is_sent_once_and_finished_by_its_answer() -> None:
    it = stream()
    it.handle(offered(0), 0.0)
    assert sent(it, 0.0) == [0]
    assert sent(it, 0.0) == []
    it.handle(answered(0, 0.5), 1.0)
    index, result = only(it)
    assert (index, result["ssim"], result["psnr"]) == (0, Score(0.5), Score(2.0))
    assert it.take() == []


def test_a_stream_is_over_when_all_is_offered_and_answered() -> None:
    it = stream()
    it.handle(offered(0), 0.0)
    it.handle(NoMore(), 0.0)
    assert not it.is_over
    it.due(0.0)
    it.handle(answered(0, 0.5), 0.0)
    assert it.is_over


def test_a_stream_of_nothing_is_over_at_once() -> None:
    it = stream()
    it.handle(NoMore(), 0.0)
    assert it.is_over


def test_a_message_carries_the_time_that_is_left() -> None:
    it = stream(timeout_s=10.0)
    it.handle(offered(0), 0.0)
    (message,) = it.due(4.0)
    assert message.timeout_ms == 6000


def test_a_sample_that_cannot_be_read_is_finished_unsent() -> None:
    it = stream()
    it.handle(Offered(3, InvalidSample("gone", "samples[3].candidate")), 0.0)
    assert sent(it, 0.0) == []
    index, result = only(it)
    assert index == 3
    assert set(result.errors) == {"ssim", "psnr"}


def test_what_the_callers_iterable_raises_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        stream().handle(NoMore(ZeroDivisionError()), 0.0)


@pytest.mark.parametrize("refusal", [answered(0, FULL), refused(0, FULL)])
def test_a_sample_that_was_refused_for_now_is_sent_again_after_its_wait(refusal: Answered) -> None:
    it = stream()
    it.handle(offered(0), 0.0)
    it.due(0.0)
    it.handle(refusal, 5.0)
    assert it.take() == []
    assert it.wake_at() == 6.0
    assert sent(it, 5.9) == []
    assert sent(it, 6.0) == [0]


def test_others_are_sent_while_one_waits() -> None:
    it = stream()
    it.handle(offered(0), 0.0)
    it.due(0.0)
    it.handle(answered(0, FULL), 0.0)
    it.handle(offered(1), 0.5)
    assert sent(it, 0.5) == [1]


def test_after_the_last_retry_the_refusal_is_the_result() -> None:
    it = stream(retries=1)
    it.handle(offered(0), 0.0)
    it.due(0.0)
    it.handle(answered(0, FULL), 0.0)
    it.due(1.0)
    it.handle(refused(0, FULL), 1.0)
    _, result = only(it)
    assert result["psnr"] == Score(2.0), "the score that it had is kept"
    assert isinstance(result.errors["ssim"], QueueFull)


def test_a_sample_that_was_sent_again_keeps_the_images_id_that_it_had() -> None:
    it = stream(retries=1)
    it.handle(offered(0), 0.0)
    it.due(0.0)
    first = answered(0, FULL)
    first.response.response.samples[0].image_id = "ab"
    it.handle(first, 0.0)
    it.due(1.0)
    it.handle(answered(0, 0.5), 1.0)
    assert only(it)[1].image_id == "ab"


def test_a_bad_sample_is_not_sent_again() -> None:
    it = stream()
    it.handle(offered(7), 0.0)
    it.due(0.0)
    it.handle(answered(7, BAD), 0.0)
    _, result = only(it)
    error = result.errors["ssim"]
    assert isinstance(error, InvalidSample)
    assert error.field == "samples[7].candidate"


def test_a_sample_past_its_deadline_is_given_up() -> None:
    it = stream(timeout_s=10.0)
    it.handle(offered(0), 0.0)
    it.due(0.0)
    assert it.wake_at() == 10.0
    assert sent(it, 10.0) == []
    _, result = only(it)
    assert isinstance(result.error, DeadlinePassed)
    assert "no answer within 10 s" in result.error.message


def test_an_answer_that_comes_too_late_is_ignored() -> None:
    it = stream(timeout_s=10.0)
    it.handle(offered(0), 0.0)
    it.due(0.0)
    it.due(10.0)
    it.take()
    it.handle(answered(0, 0.5), 11.0)
    assert it.take() == []


def test_after_a_break_what_was_not_answered_is_sent_again() -> None:
    it = stream()
    for index in range(3):
        it.handle(offered(index), 0.0)
    it.due(0.0)
    it.handle(answered(1, 0.5), 0.0)
    it.handle(AWAY, 0.0)
    assert sent(it, 0.5) == []
    assert it.wake_at() == 1.0
    assert sent(it, 1.0) == [0, 2]


def test_breaks_that_follow_each_other_end_the_stream() -> None:
    it = stream(retries=2)
    it.handle(offered(0), 0.0)
    it.handle(AWAY, 0.0)
    it.handle(AWAY, 1.0)
    with pytest.raises(Unavailable):
        it.handle(AWAY, 3.0)


def test_an_answer_between_breaks_lets_the_stream_go_on() -> None:
    it = stream(retries=2)
    for index in range(9):
        it.handle(offered(index), 0.0)
        it.handle(AWAY, 0.0)
        it.due(50.0)
        it.handle(answered(index, 0.5), 50.0)
    assert len(it.take()) == 9


def test_a_break_that_no_retry_mends_comes_out_at_once() -> None:
    with pytest.raises(ScorerNotFound):
        stream().handle(Broken(ScorerNotFound("who")), 0.0)


def test_the_biggest_sample_is_to_blame_for_a_message_that_is_too_big() -> None:
    it = stream()
    it.handle(offered(0, b"small"), 0.0)
    it.handle(offered(1, b"big" * 100), 0.0)
    it.handle(offered(2, b"small"), 0.0)
    it.due(0.0)
    it.handle(Broken(InvalidSample("too big for one message")), 0.0)
    index, result = only(it)
    assert index == 1
    assert isinstance(result.error, InvalidSample)
    assert sent(it, 0.0) == [0, 2]


def test_a_stream_that_waits_for_its_caller_needs_no_waking() -> None:
    assert stream().wake_at() is None
