"""Results: written, read, compared, doubted, summed up."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from load_results import CLOSED, leg_of, result_of

from beholder.errors import InputError
from beholder.load.arrivals import InFlight, Recorded
from beholder.load.compare import Change, compare_results, different_terms, noise_of, student
from beholder.load.doubts import all_doubts, doubt_of_slo
from beholder.load.mix import Mix
from beholder.load.plan import Plan, closed_legs, peak_of, rate_legs, recorded_leg
from beholder.load.result import Result, of_json, read_result
from beholder.load.summary import failures, headlines, keeps_up, knee
from beholder.load.words import BurstWords, RateWords


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = result_of(leg_of([0.01] * 20, lost=10))
    path = tmp_path / "result.json"
    path.write_text(result.to_json())
    again = read_result(path)
    assert json.loads(again.to_json()) == json.loads(result.to_json())
    assert of_json(again.legs[0]["latency_ms"]["p99"]) == math.inf
    assert again.legs[0]["sent"] == 30


@pytest.mark.parametrize(
    ("text", "message"), [("", "is no JSON"), ("[]", "is no result"), ('{"beholder_load": 1}', "has no 'config'")]
)
def test_what_is_no_result_is_told(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_result(path)


def runs(centre: float, spread: float, seed: int, count: int = 4) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [leg_of([centre * dice.uniform(1 - spread, 1 + spread)] * 200) for _ in range(count)]


def change_of(before: list[dict[str, Any]], after: list[dict[str, Any]], metric: str = "p99") -> Change:
    changes = compare_results(result_of(*before), result_of(*after))
    (found,) = [change for change in changes if change.metric == metric]
    return found


def test_a_change_beyond_the_noise_of_runs_counts() -> None:
    worse = change_of(runs(0.010, 0.05, 1), runs(0.015, 0.05, 2))
    assert (worse.verdict, worse.is_between_runs) == ("worse", True)
    assert worse.ratio == pytest.approx(1.5, rel=0.1)
    assert change_of(runs(0.015, 0.05, 3), runs(0.010, 0.05, 4)).verdict == "better"


def test_a_change_within_the_noise_of_runs_is_noise() -> None:
    wrong = sum(
        change_of(runs(0.010, 0.3, seed), runs(0.010, 0.3, 1000 + seed)).verdict != "noise" for seed in range(40)
    )
    assert wrong <= 3  # 1 % are to be expected


def test_single_runs_only_seem_to_differ() -> None:
    dice = random.Random(5)

    def one(centre: float) -> list[dict[str, Any]]:
        return [leg_of([centre * dice.uniform(0.9, 1.1) for _ in range(500)])]

    assert change_of(one(0.010), one(0.020), "p50").verdict == "seems worse"
    assert change_of(one(0.010), one(0.010), "p50").verdict == "noise"


def test_more_answered_is_better_and_more_lost_is_worse() -> None:
    few, many = ([leg_of([0.01] * 200, pattern=CLOSED) for _ in range(3)], [leg_of([0.01] * 400, lost=8)] * 3)
    closed = [leg | {"is_closed": True} for leg in many]
    assert change_of([leg | {"name": "10/s"} for leg in few], closed, "throughput").verdict == "better"
    assert change_of(runs(0.01, 0.1, 1), many, "lost").verdict == "worse"
    assert change_of(runs(0.01, 0.1, 1), many, "answered").verdict == "worse"


def test_a_percentile_that_was_never_answered_is_worse_than_any() -> None:
    fine, never = [leg_of([0.01] * 50)], [leg_of([0.01] * 50, lost=10)]
    assert change_of(fine, never, "p99").verdict == "seems worse"
    assert change_of(never, fine, "p99").verdict == "seems better"
    assert change_of(never, never, "p99").verdict == "noise"


def test_rates_that_hold_an_objective_are_compared_to_where_they_broke() -> None:
    def searched(rate: float, broken: float) -> Result:
        result = result_of()
        result.slo = {"text": "p99=50ms", "rate": rate, "broken": broken}
        return result

    def verdict(before: Result, after: Result) -> str:
        (change,) = compare_results(before, after)
        return change.verdict

    assert verdict(searched(100, 105), searched(103, 108)) == "noise"
    assert verdict(searched(100, 105), searched(140, 147)) == "seems better"
    assert verdict(searched(100, 105), searched(60, 63)) == "seems worse"


def test_legs_are_compared_with_their_like_alone() -> None:
    assert compare_results(result_of(leg_of([0.01], "1/s")), result_of(leg_of([0.01], "2/s"))) == []


def test_other_terms_are_told() -> None:
    before, after = result_of(started="now", stream=False), result_of(started="later", stream=True)
    assert different_terms(before, after) == ["stream: False → True"]


def test_noise_is_welchs_interval() -> None:
    assert noise_of([1.0, 1.2, 0.8], [1.1, 1.0, 1.2]) == pytest.approx(student(2.94) * (0.04 / 3 + 0.01 / 3) ** 0.5)
    assert noise_of([1.0, 1.0], [2.0, 2.0]) == 0
    assert math.isnan(noise_of([1.0], [2.0, 2.0]))
    assert math.isnan(noise_of([1.0, math.inf], [2.0, 2.0]))


def test_a_busy_or_late_client_and_other_callers_are_doubted() -> None:
    leg = leg_of([0.01] * 100)
    assert all_doubts([leg]) == []
    busy = leg | {"client_cpu": [0.2, 0.97], "lag_ms": {"p99": 7.0}}
    others = leg | {"server": leg["server"] | {"requests": {"Score OK": 300.0}}, "is_whole": False}
    said = all_doubts([busy, busy, others])
    assert len(said) == 4
    assert "used 97% of a core; add --processes" in said[0]
    assert said[0].endswith("(and so in 1 more)")
    assert "let go 7.0 ms or more after it was due" in said[1]
    assert "200 requests that are not ours" in said[2]
    assert "stopped" in said[3]


def test_few_requests_are_few_for_a_high_percentile() -> None:
    assert doubt_of_slo(1000, 1000) == []
    assert "999 requests a run are few" in doubt_of_slo(999, 1000)[0]


def test_the_knee_is_between_what_was_kept_up_with_and_what_was_not() -> None:
    kept = [leg_of([0.01] * (10 * rate), f"{rate}/s") for rate in (1, 2, 4)]
    broken = leg_of([0.01] * 80, "10/s", lost=20)
    assert [keeps_up(leg) for leg in (*kept, broken)] == [True, True, True, False]
    assert knee([*kept, broken]) == "the knee: the server kept up with 4/s, and not with 10/s"
    assert knee(kept) == "the server kept up with 4/s, the highest rate tried"
    assert knee([broken, broken | {"rate": 20.0}]) == "the server did not keep up with 10/s, the lowest rate tried"
    assert knee([one | {"good": 0} for one in (broken, broken | {"rate": 20.0})]) == ""
    assert knee(kept[:1]) == ""


def test_answers_that_come_after_the_leg_are_no_keeping_up() -> None:
    assert not keeps_up(leg_of([5.0] * 100))


def test_failures_are_told_over_all_legs_and_what_was_meant_is_none() -> None:
    leg = leg_of([0.01] * 20, lost=3)
    expected = {"outcomes": [["bad", "NOT_FOUND", 7], ["hurried", "DEADLINE_EXCEEDED", 2]], "examples": []}
    (said,) = failures([leg, leg, leg | expected])
    assert said.startswith('6 good requests: RESOURCE_EXHAUSTED: <too> full & "busy"')


def test_an_objective_comes_first() -> None:
    result = result_of(leg_of([0.01] * 20, pattern=CLOSED))
    result.slo = {"text": "p99=50ms", "is_held": True, "sentence": "held in 3 of 3 runs"}
    assert headlines(result) == ["p99=50ms: held; held in 3 of 3 runs"]


def test_legs_have_their_rate_from_the_warm_up_on() -> None:
    (ramp,) = rate_legs(RateWords(ramp=(10.0, 50.0)), None, 2.0, 8.0, is_even=False)
    (burst,) = rate_legs(RateWords((10.0,)), BurstWords(50.0, 1.0, 4.0), 2.0, 8.0, is_even=True)
    assert [(leg.pattern.seconds, leg.end_s, peak_of(leg.pattern)) for leg in (ramp, burst)] == [(10, 10, 50)] * 2  # type: ignore[union-attr]
    assert [leg.name for leg in rate_legs(RateWords((1.0, 2.5)), None, 0, 1, is_even=True)] == ["1/s", "2.5/s"]
    assert closed_legs((1, 8), 1.0, 2.0)[1].pattern == InFlight(8)
    assert recorded_leg(Recorded((0.0, 3.0), (-1, -1), (-1, -1)), "x").end_s == 3.0


def test_more_processes_send_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beholder.load.plan.os.cpu_count", lambda: 8)

    def processes(rate: float) -> int:
        return Plan(Mix((), ()), rate_legs(RateWords((rate,)), None, 1.0, 1.0, is_even=True), False).processes()

    assert [processes(rate) for rate in (10, 1000, 100_000)] == [1, 2, 8]
    assert Plan(Mix((), ()), [], True).processes() == 2
