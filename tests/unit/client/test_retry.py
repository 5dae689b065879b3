"""Whether to try again, and when."""

import pytest

from beholder.client.retry import Retry
from beholder.errors import (
    BeholderError,
    Cancelled,
    DeadlinePassed,
    InvalidSample,
    QueueFull,
    ScorerNotFound,
    ScoringFailed,
    Unavailable,
)

PLENTY_S = 1000.0


def retry(jitter: float = 1.0) -> Retry:
    return Retry(retries=3, first_s=0.1, most_s=1.0, jitter=lambda: jitter)


@pytest.mark.parametrize("error", [QueueFull("full"), Unavailable("away")])
def test_what_may_pass_is_retried(error: BeholderError) -> None:
    assert retry().delay_s(error, 1, PLENTY_S) is not None


@pytest.mark.parametrize(
    "error",
    [InvalidSample("bad"), ScorerNotFound("who"), DeadlinePassed("late"), Cancelled("gone"), ScoringFailed("oh")],
)
def test_what_will_not_pass_is_not_retried(error: BeholderError) -> None:
    assert retry().delay_s(error, 1, PLENTY_S) is None


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    policy = Retry(retries=9, first_s=0.1, most_s=1.0, jitter=lambda: 1.0)
    waits = [policy.delay_s(Unavailable("away"), failures, PLENTY_S) for failures in range(1, 7)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_jitter_takes_up_to_half_of_the_wait() -> None:
    assert retry(jitter=0.0).delay_s(Unavailable("away"), 1, PLENTY_S) == pytest.approx(0.05)


def test_the_server_is_obeyed_and_callers_still_spread() -> None:
    assert retry(jitter=0.0).delay_s(QueueFull("full", 2.0), 1, PLENTY_S) == pytest.approx(2.05)


def test_after_the_last_retry_there_is_none() -> None:
    assert retry().delay_s(Unavailable("away"), 3, PLENTY_S) is not None
    assert retry().delay_s(Unavailable("away"), 4, PLENTY_S) is None


def test_a_wait_never_reaches_the_deadline() -> None:
    assert retry().delay_s(QueueFull("full", 2.0), 1, 2.1) is None
    assert retry().delay_s(QueueFull("full", 2.0), 1, 2.2) is not None
