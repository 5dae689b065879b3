"""Service over limit: each round by its own loop, callers left out where that is said."""

import pytest

from beholder.bench.loop import STAGES, Ran
from beholder.bench.process import Spent
from beholder.bench.ratio import explain, limit_of, ratio_of, service_of, spread
from beholder.bench.result import HEAD, Result
from beholder.bench.served import Served, Way
from beholder.load.histogram import Histogram

WAY = Way(8, is_stream=False)


def ran(images: int, seconds: float, cpu_s: float) -> Ran:
    """Make a run of the loop of which half is decoding."""
    return Ran(images, seconds, cpu_s, dict.fromkeys(STAGES, 0.0) | {"decode": cpu_s / 2, "run": cpu_s / 2})


def served(rate: float, requests: int, server: Spent, client_s: float = 0.0, latency_s: float = 0.1) -> Served:
    """Make a leg of ten seconds."""
    latency = Histogram()
    latency.record(latency_s)
    leg = {"throughput": rate, "answered": requests, "latency_ms": {}, "client_cpu": [0.1], "server": None}
    return Served(leg, latency, requests, 10.0, server, client_s)


def test_each_round_is_compared_with_its_own_loop() -> None:
    # The machine was twice as slow in the second round, for both: the ratio is that of one round, not of the sums.
    rounds = [ran(1000, 10, 10), ran(500, 10, 10)]
    legs = [served(90, 900, Spent(10, 0, 0)), served(40, 400, Spent(10, 0, 0))]
    ratio = ratio_of(rounds, legs, cores=2)
    assert (ratio.rate.low, ratio.rate.median, ratio.rate.high) == pytest.approx((0.8, 0.85, 0.9))


def test_by_cpu_is_the_loop_s_time_for_an_image_over_the_server_s_for_a_request() -> None:
    ratio = ratio_of([ran(1000, 10, 18)], [served(90, 900, Spent(18, 0, 0))], cores=2)
    assert ratio.cpu.median == pytest.approx(18 / 20)


def test_with_the_callers_aside_the_loop_has_the_cores_that_they_left() -> None:
    ratio = ratio_of([ran(1000, 10, 20)], [served(75, 750, Spent(15, 0, 0), client_s=5.0)], cores=2)
    assert ratio.rate.median == pytest.approx(0.75)
    assert ratio.aside.median == pytest.approx(1.0)


def test_callers_that_seem_to_take_all_cores_give_no_infinite_ratio() -> None:
    ratio = ratio_of([ran(1000, 10, 20)], [served(75, 750, Spent(15, 0, 0), client_s=20.1)], cores=2)
    assert ratio.aside.median == pytest.approx(75)


def test_what_a_request_costs_is_split_by_thread() -> None:
    service = service_of(WAY, [served(100, 1000, Spent(20, 1, 0.5), client_s=2.0)])
    assert (service.server_ms, service.loop_ms, service.wire_ms) == pytest.approx((20, 1, 0.5))
    assert service.work_ms == pytest.approx(18.5)
    assert (service.client_ms, service.client_cores, service.server_cores) == pytest.approx((2, 0.2, 2))


def test_latency_is_over_the_answers_of_all_rounds() -> None:
    legs = [served(1, 1, Spent(1, 0, 0), latency_s=seconds) for seconds in (0.1, 0.2, 0.9)]
    service = service_of(WAY, legs)
    assert (service.p50_ms, service.p99_ms) == pytest.approx((200, 900), rel=2e-3)


def test_a_sentence_says_where_the_difference_goes() -> None:
    rounds, legs = [ran(1000, 10, 19)], [served(90, 900, Spent(18, 0.9, 0.45), client_s=1.0)]
    said = explain(service_of(WAY, legs), limit_of(rounds), ratio_of(rounds, legs, 2), 2)
    assert said.startswith("8 in flight: 0.90 of the limit. Of 2 cores callers had 0.10, and 0.10 stood idle")
    assert "20.00 ms, 1.00 more than an image costs the loop" in said
    assert "1.00 its event loop, 0.50 gRPC's threads, 18.50 its threads" in said


def test_the_loop_s_stages_are_for_one_image() -> None:
    limit = limit_of([ran(1000, 10, 20)])
    assert limit.stages_ms["decode"] == limit.stages_ms["run"] == pytest.approx(10)
    assert (limit.per_s, limit.cpu_ms, limit.cores) == pytest.approx((100, 20, 2))


def test_a_spread_is_the_middle_and_both_ends() -> None:
    assert (spread([3.0, 1.0, 2.0]).low, spread([3.0, 1.0, 2.0]).median, spread([3.0, 1.0, 2.0]).high) == (1, 2, 3)


@pytest.mark.parametrize("left_out", ["loop", "service"])
def test_what_was_left_out_is_in_no_row(left_out: str) -> None:
    result = Result({}, {}, 2, batch_rows=4)
    if left_out == "loop":
        result.served = {WAY: [served(90, 900, Spent(18, 1, 0))]}
    else:
        result.ran = [ran(1000, 10, 18)]
    ((first, *cells),) = result.table()
    assert len(cells) + 1 == len(HEAD)
    assert first == ("8 in flight" if left_out == "loop" else "limit, batch 4")
    assert "service" not in left_out or len(result.sentences()) == 1
