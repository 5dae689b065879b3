"""Best of N: parts made comparable, weighted, summed; ties and failures keep the order sent."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beholder.errors import InvalidSample, ScoringFailed
from beholder.scoring.rank import Ranked, rank
from beholder.types import Direction, Normalisation, Outcome, SampleResult, Score

UP, DOWN = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER


def results(**columns: list[float | None]) -> list[SampleResult]:
    """Return one result for each candidate from one column for each scorer; None is a failure."""
    rows = zip(*columns.values(), strict=True)
    return [{name: _outcome(value) for name, value in zip(columns, row, strict=True)} for row in rows]


def _outcome(value: float | None) -> Outcome:
    return ScoringFailed("no") if value is None else Score(value)


def order(ranking: list[Ranked]) -> list[int]:
    return [ranked.index for ranked in ranking]


def test_the_best_comes_first_whichever_way_is_better() -> None:
    scores = results(a=[1.0, 3.0, 2.0])
    assert order(rank(scores, {"a": 1}, {"a": UP}, Normalisation.STANDARD)) == [1, 2, 0]
    assert order(rank(scores, {"a": 1}, {"a": DOWN}, Normalisation.STANDARD)) == [0, 2, 1]


def test_standard_parts_have_mean_0_and_deviation_1_times_the_weight() -> None:
    ranking = rank(results(a=[10.0, 20.0, 60.0]), {"a": 2.5}, {"a": UP}, Normalisation.STANDARD)
    # (20 - 30) / sqrt((400 + 100 + 900) / 3) times 2.5
    assert ranking[1].contributions["a"] == pytest.approx(-10 / math.sqrt(1400 / 3) * 2.5)
    assert sum(ranked.total or 0 for ranked in ranking) == pytest.approx(0)


def test_raw_parts_are_the_scores_turned_so_that_higher_is_better() -> None:
    ranking = rank(results(a=[1.0], b=[0.25]), {"a": 1, "b": 2}, {"a": UP, "b": DOWN}, Normalisation.RAW)
    assert ranking == [Ranked(0, 0.5, {"a": 1.0, "b": -0.5})]


def test_weights_decide_between_scorers_that_disagree() -> None:
    scores = results(a=[0.0, 1.0], b=[1.0, 0.0])
    directions = {"a": UP, "b": UP}
    assert order(rank(scores, {"a": 2, "b": 1}, directions, Normalisation.STANDARD)) == [1, 0]
    assert order(rank(scores, {"a": 1, "b": 2}, directions, Normalisation.STANDARD)) == [0, 1]


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0.5, 0.5 + 6e-8, 0.5], [1e5, 1e5 + 0.0078, 1e5]])
def test_candidates_that_differ_by_rounding_alone_keep_the_order_sent(values: list[float | None]) -> None:
    ranking = rank(results(a=values), {"a": 1}, {"a": UP}, Normalisation.STANDARD)
    assert ranking == [Ranked(index, 0.0, {"a": 0.0}) for index in range(3)]


def test_one_candidate_alone_has_total_0() -> None:
    assert rank(results(a=[7.0]), {"a": 1}, {"a": UP}, Normalisation.STANDARD) == [Ranked(0, 0.0, {"a": 0.0})]


def test_ties_keep_the_order_sent() -> None:
    assert order(rank(results(a=[1.0, 2.0, 1.0, 2.0]), {"a": 1}, {"a": UP}, Normalisation.STANDARD)) == [1, 3, 0, 2]


def test_candidates_without_a_total_come_last_in_the_order_sent_and_keep_their_other_parts() -> None:
    scores = results(a=[None, 1.0, 5.0, 2.0], b=[4.0, 1.0, None, 1.0])
    ranking = rank(scores, {"a": 1, "b": 1}, {"a": UP, "b": UP}, Normalisation.RAW)
    assert order(ranking) == [3, 1, 0, 2]
    assert ranking[2] == Ranked(0, None, {"a": None, "b": 4.0})
    assert ranking[3] == Ranked(2, None, {"a": 5.0, "b": None})


def test_a_failed_candidate_does_not_move_the_mean_of_the_others() -> None:
    with_failure = rank(results(a=[1.0, None, 3.0]), {"a": 1}, {"a": UP}, Normalisation.STANDARD)
    without = rank(results(a=[1.0, 3.0]), {"a": 1}, {"a": UP}, Normalisation.STANDARD)
    assert [ranked.total for ranked in with_failure[:2]] == [ranked.total for ranked in without]


def test_where_every_candidate_failed_the_order_is_the_one_sent() -> None:
    assert order(rank(results(a=[None, None]), {"a": 1}, {"a": UP}, Normalisation.STANDARD)) == [0, 1]


def test_a_negative_zero_is_never_sent() -> None:
    (ranked,) = rank(results(a=[3.0]), {"a": 1}, {"a": DOWN}, Normalisation.STANDARD)
    assert math.copysign(1, ranked.total or 0.0) == math.copysign(1, ranked.contributions["a"] or 0.0) == 1


def test_a_scorer_without_order_cant_rank() -> None:
    with pytest.raises(InvalidSample, match="b can't rank") as caught:
        rank([], {"a": 1, "b": 1}, {"a": UP, "b": Direction.UNORDERED}, Normalisation.RAW)
    assert caught.value.field == "scorers[1].scorer"


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_weight_is_finite_and_above_0(weight: float) -> None:
    with pytest.raises(InvalidSample, match=f"weight of a: want a finite number above 0, got {weight:g}") as caught:
        rank([], {"a": weight}, {"a": UP}, Normalisation.RAW)
    assert caught.value.field == "scorers[0].weight"


EIGHTHS = st.integers(-8000, 8000).map(lambda whole: whole / 8)


@given(st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=1, max_size=8), st.sampled_from(Normalisation))
def test_the_order_sent_does_not_change_a_total(pairs: list[tuple[float, float]], normalisation: Normalisation) -> None:
    def totals(rows: list[tuple[float, float]]) -> dict[tuple[float, float], float | None]:
        sample_results = [{"a": Score(a), "b": Score(b)} for a, b in rows]
        ranking = rank(sample_results, {"a": 1, "b": 3}, {"a": UP, "b": DOWN}, normalisation)
        assert sorted(order(ranking)) == list(range(len(rows)))
        return {rows[ranked.index]: ranked.total for ranked in ranking}

    assert totals(pairs) == pytest.approx(totals(pairs[::-1]))
