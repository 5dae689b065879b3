"""What requests are drawn."""

from collections import Counter

import pytest

from beholder.load.mix import Ask, Case, Dealer, Kind, Mix, Picture

ASKS = (Ask(("psnr",), 3.0), Ask(("ssim", "psnr"), 1.0), Ask(("recorded",), 0.0))
PICTURES = (Picture("a", b"a", 1.0), Picture("b", b"b", 4.0))


def dealt(count: int = 4000, **terms: float) -> list[Case]:
    dealer = Dealer(Mix(ASKS, PICTURES, **terms))  # type: ignore[arg-type]
    return [dealer.case(number) for number in range(count)]


def shares(values: list[object]) -> dict[object, float]:
    return {value: count / len(values) for value, count in Counter(values).items()}


def test_scorers_and_images_come_by_their_weights() -> None:
    cases = dealt()
    assert shares([case.ask for case in cases]) == pytest.approx({0: 0.75, 1: 0.25}, abs=0.03)
    assert shares([case.pictures[0][0] for case in cases]) == pytest.approx({0: 0.2, 1: 0.8}, abs=0.03)


def test_kinds_come_by_their_shares() -> None:
    found = shares([case.kind for case in dealt(bad=0.1, hurried=0.2, cancelled=0.3)])
    expected = {Kind.BAD: 0.1, Kind.HURRIED: 0.2, Kind.CANCELLED: 0.3, Kind.GOOD: 0.4}
    assert found == pytest.approx(expected, abs=0.03)


def test_every_image_is_new_unless_some_are_to_be_repeated() -> None:
    assert all(is_new for case in dealt(100) for _, is_new in case.pictures)
    repeated = [is_new for case in dealt(repeated=0.4, samples=2) for _, is_new in case.pictures]
    assert shares(list(repeated)) == pytest.approx({True: 0.6, False: 0.4}, abs=0.03)


def test_a_number_is_dealt_the_same_by_every_process() -> None:
    assert dealt(50, bad=0.5) == dealt(50, bad=0.5)


def test_hurried_callers_have_a_deadline_and_others_leave() -> None:
    cases = dealt(hurried=0.5, cancelled=0.5, hurry_s=0.25, patience_s=0.5)
    assert {case.timeout_s for case in cases if case.kind is Kind.HURRIED} == {0.25}
    leaving = [case.leave_s for case in cases if case.kind is Kind.CANCELLED]
    assert 0 <= min(leaving) < 0.02
    assert 0.48 < max(leaving) <= 0.5


def test_a_recording_says_what_is_asked() -> None:
    dealer = Dealer(Mix(ASKS, PICTURES))
    case = dealer.case(5, ask=2, picture=0)
    assert (case.ask, case.pictures[0][0]) == (2, 0)


def test_weights_that_are_all_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="weight above 0"):
        Dealer(Mix((Ask(("psnr",), 0.0),), PICTURES))
