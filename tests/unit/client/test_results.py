"""A result gives a score or raises what went wrong with it."""

import pytest

from beholder.client import Result
from beholder.errors import InvalidSample, QueueFull
from beholder.types import Score

GOOD, BAD = Score(0.5), InvalidSample("image is broken", "samples[0].candidate")
RESULT = Result({"ssim": GOOD, "psnr": BAD})


def test_a_score_is_had_by_name() -> None:
    assert RESULT["ssim"] is GOOD


def test_a_failed_scorer_raises_its_own_error() -> None:
    with pytest.raises(InvalidSample) as caught:
        RESULT["psnr"]
    assert caught.value is BAD


def test_a_scorer_that_was_not_asked_is_a_key_error_that_names_those_asked() -> None:
    with pytest.raises(KeyError, match="'open-nsfw' was not asked; asked: ssim, psnr"):
        RESULT["open-nsfw"]


def test_looking_raises_nothing() -> None:
    assert RESULT.outcomes["psnr"] is BAD
    assert RESULT.errors == {"psnr": BAD}
    assert RESULT.scores == {"ssim": GOOD}
    assert list(RESULT) == ["ssim", "psnr"]
    assert "psnr" in RESULT
    assert "open-nsfw" not in RESULT


@pytest.mark.parametrize(
    ("result", "is_ok"), [(RESULT, False), (Result({"ssim": GOOD}), True), (Result({}, QueueFull("full")), False)]
)
def test_ok_means_that_every_scorer_gave_a_score(result: Result, is_ok: bool) -> None:
    assert result.ok is is_ok


def test_a_sample_refused_whole_raises_for_any_name() -> None:
    """Where a panel was asked, its scorers' names are not known."""
    refused = Result({}, QueueFull("full"))
    with pytest.raises(QueueFull):
        refused["ssim"]
