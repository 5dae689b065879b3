"""What overload does to the engine's own policy, in virtual time: a seed always gives the same, and no thread runs."""

from pathlib import Path

import numpy as np
import pytest

from beholder.types import Priority
from load.arrivals import Caller, bursts, poisson, ramp, recorded
from load.devices import GPU, TWO_CORES, TWO_GRAPHS, Machine
from load.events import Cores, Events
from load.replica import BEHOLDER, FIFO, FIFO_DROPS, FIXED_DELAY, End, Policy
from load.scenarios import INSISTENT, MIXED, ONE_SECOND, PAIR, PANEL, STALLING, TIGHT, Scenario, live_under_bulk
from load.simulator import World


def goodput(scenario: str, machine: Machine, callers: tuple[Caller, ...], load: float, **more: object) -> float:
    seconds = 1.5 if machine is GPU else 40.0
    return Scenario(scenario, machine, BEHOLDER, callers, load, seconds, **more).run().goodput  # type: ignore[arg-type]


@pytest.mark.parametrize("machine", [TWO_CORES, GPU], ids=lambda machine: machine.name)
@pytest.mark.parametrize("callers", [MIXED, ONE_SECOND, TIGHT], ids=["mixed", "a second", "six service times"])
def test_goodput_at_three_times_the_capacity_is_nine_tenths_of_the_peak(
    machine: Machine, callers: tuple[Caller, ...]
) -> None:
    at = {load: goodput("", machine, callers, load) for load in (1.0, 1.5, 3.0)}
    assert at[3.0] >= 0.9 * max(at.values())
    assert at[3.0] >= 0.95


def test_graphs_that_share_a_device_keep_their_goodput_and_get_their_share_of_it() -> None:
    shares = (0.5, 0.5)
    found = {load: Scenario("", TWO_GRAPHS, BEHOLDER, PAIR, load, 60.0, shares=shares).run() for load in (1.0, 3.0)}
    assert found[3.0].goodput >= 0.9 * found[1.0].goodput
    slow, fast = (found[3.0].share(caller.name, End.GOOD) for caller in PAIR)
    assert min(slow, fast) >= 0.7 * max(slow, fast)


def test_samples_that_two_graphs_are_asked_of_keep_their_goodput() -> None:
    found = {
        load: Scenario("", TWO_GRAPHS, BEHOLDER, PANEL, load, 60.0, shares=(1.0, 1.0)).run() for load in (1.0, 3.0)
    }
    assert found[3.0].goodput >= 0.9 * found[1.0].goodput


@pytest.mark.parametrize("policy", [FIFO, FIFO_DROPS, FIXED_DELAY], ids=lambda policy: policy.name)
def test_who_knows_no_deadlines_answers_nearly_nobody_in_time(policy: Policy) -> None:
    assert Scenario("", TWO_CORES, policy, ONE_SECOND, 3.0, 60.0).run().goodput < 0.1


@pytest.mark.parametrize("policy", [BEHOLDER, FIFO, FIFO_DROPS, FIXED_DELAY], ids=lambda policy: policy.name)
def test_every_request_ends_once_and_makes_room(policy: Policy) -> None:
    world = World(TWO_CORES, policy, 5)
    moments = bursts(150.0, 20.0, np.random.default_rng(5))
    ledger = world.run(MIXED, moments)
    assert len(ledger.ends) == len(moments)
    (replica,) = world._replicas
    assert replica._admission._rows == 0
    assert replica._coming == [0]
    assert len(replica._preparers.queue) == len(replica._lanes[0].queue) == 0


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, again, other = (Scenario("", TWO_CORES, BEHOLDER, MIXED, 2.0, 10.0, seed=seed).run() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_people_are_served_as_if_there_were_no_bulk_work() -> None:
    alone, under = (Scenario("", TWO_CORES, BEHOLDER, live_under_bulk(load), load, 90.0).run() for load in (0.3, 5.0))
    assert under.share("live", End.GOOD) >= 0.99
    assert under.latency_ms("live", 99) <= alone.latency_ms("live", 99) + 150.0
    assert under.goodput >= 0.95
    assert under.share("bulk", End.GOOD) > 0.1


def test_bulk_work_gets_what_interactive_work_leaves_and_nothing_where_that_is_nothing() -> None:
    callers = (Caller("live", 0.5, timeout_s=1.0), Caller("bulk", 0.5, Priority.BATCH, timeout_s=5.0))
    found = {load: Scenario("", TWO_CORES, BEHOLDER, callers, load, 60.0).run() for load in (1.6, 4.0)}
    assert found[1.6].share("bulk", End.GOOD) >= 0.15
    assert found[4.0].share("bulk", End.GOOD) <= 0.05
    assert found[4.0].share("live", End.GOOD) >= 0.4


def test_callers_that_ask_anew_at_once_do_not_bring_it_down() -> None:
    assert goodput("", TWO_CORES, INSISTENT, 3.0) >= 0.9


def test_batches_that_stall_cost_what_they_take_and_no_more() -> None:
    assert Scenario("", STALLING, BEHOLDER, ONE_SECOND, 3.0, 120.0).run().goodput >= 0.85


def test_after_a_wave_all_is_as_before() -> None:
    rng = np.random.default_rng(2)
    wave = ramp((0.0, 250.0, 0.0), 20.0, rng)
    calm = 25.0 + poisson(25.0, 20.0, rng)
    ledger = World(TWO_CORES, BEHOLDER, 2).run(ONE_SECOND, np.concatenate([wave, calm]))
    ends = [end for end, sent_s in zip(ledger.ends, ledger.sent_s, strict=True) if sent_s > 25.0]
    assert len(ends) == len(calm)
    assert set(ends) == {End.GOOD}


def test_bursts_and_ramps_come_at_the_rate_that_was_asked() -> None:
    rng = np.random.default_rng(1)
    assert len(bursts(100.0, 1000.0, rng)) == pytest.approx(100_000, rel=0.15)
    assert len(ramp((0.0, 200.0), 100.0, rng)) == pytest.approx(10_000, rel=0.05)


def test_a_recorded_trace_keeps_its_rhythm_at_another_rate_for_as_long_as_is_wanted(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("10.0\n10.5\n13.0\n")
    assert recorded(trace, 1.0, 6.0).tolist() == pytest.approx([0.0, 1 / 3, 2.0, 3.0, 3 + 1 / 3, 5.0])


def test_jobs_share_the_cores_evenly() -> None:
    events, ended = Events(), {}
    cores = Cores(events, 2)
    for name, work_s in (("short", 1.0), ("long", 3.0), ("longer", 4.0)):
        cores.start(work_s, lambda name=name: ended.update({name: events.now}))
    events.run()
    assert ended == pytest.approx({"short": 1.5, "long": 3.5, "longer": 4.5})
