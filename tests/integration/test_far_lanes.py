"""An engine whose lanes are far: a front's side and an engine process' in one process, with real links between them."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from beholder.clock import monotonic
from beholder.config import Config
from beholder.engine.engine import Engine
from beholder.engine.job import Job
from beholder.engine.lanes import lanes_here
from beholder.errors import Cancelled, DeadlinePassed, QueueFull, ScoringFailed, Unavailable
from beholder.fronts import board
from beholder.fronts.board import Board
from beholder.fronts.engines import Engines
from beholder.fronts.far_lane import lanes_far
from beholder.fronts.host import Host
from beholder.fronts.memory import Memory, shared_file
from beholder.metrics import Metrics, without_runs
from beholder.types import Kind, Outcome, RawImage, Sample, Score, Tensor
from fake_scorers import HeldSession, House, brightness, brightness_drawn, difference, grey_png

WAIT_S = 20.0
MEMORY_BYTES = 2**20


class Several:
    """A front, and hosts that stand for engine processes; all have the graphs of one house.

    Attributes:
        wires: of each host, the front's end.
    """

    def __init__(self, house: House, hosts: int, memory_bytes: int, **settings: object) -> None:
        config = Config(**{"runners": 1, "decode_threads": 2, "cache_mb": 0} | settings)  # type: ignore[arg-type]
        graphs = tuple(house.loaded.graphs.values())
        self.memory = shared_file(memory_bytes)
        places = {graph.name: place for place, graph in enumerate(graphs)}
        self.engines = Engines(Memory(os.dup(self.memory)), monotonic, house.metrics)
        far = lanes_far(self.engines, places, 1, 1)
        self.engine = Engine(house.catalog, house.loaded, config, "cpu", monotonic, house.metrics, far)
        self.hosts, self.boards = list[Host](), [shared_file(board.SIZE_BYTES) for _ in range(hosts)]
        self.wires = list[socket.socket]()
        for number in range(hosts):
            metrics = Metrics()
            make = lanes_here(config, "cpu", len(graphs), monotonic, metrics)
            self.hosts.append(Host(graphs, make, Board(Memory(os.dup(self.boards[number]))), monotonic, metrics))
            self.hosts[-1].start()
            self.link(number)
        self.engine.start()

    def link(self, number: int) -> None:
        """Link the front with a host."""
        front, its = socket.socketpair()
        self.wires.append(front.dup())
        self.hosts[number].connect(0, its, Memory(os.dup(self.memory)))
        self.engines.connect(number, front, Board(Memory(os.dup(self.boards[number]))))

    def cut(self, number: int) -> None:
        """Break a link, as the end of either process does."""
        self.wires[number].shutdown(socket.SHUT_RDWR)

    def submit(self, *images: object, scorer: str = "bright", timeout_s: float = WAIT_S, explain: bool = False) -> Job:
        """Ask the front."""
        samples = [image if isinstance(image, Sample) else Sample(image) for image in images]  # type: ignore[arg-type]
        found = self.engine.scorer(scorer, explain=explain)
        return self.engine.submit(samples, [found], deadline_s=monotonic() + timeout_s, request_id="far")

    def ask(self, *images: object, scorer: str = "bright") -> list[Outcome]:
        """Ask the front, and wait."""
        return [result[scorer] for result in self.submit(*images, scorer=scorer).wait(WAIT_S)]

    def close(self) -> None:
        """Stop it all."""
        self.engine.stop()
        for host in self.hosts:
            host.stop()
        for wire in self.wires:
            wire.close()


@contextlib.contextmanager
def several(house: House, hosts: int = 1, memory_bytes: int = MEMORY_BYTES, **settings: object) -> Iterator[Several]:
    made = Several(house, hosts, memory_bytes, **settings)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def house() -> House:
    return House()


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.002)


def values(outcomes: list[Outcome]) -> list[float]:
    assert all(isinstance(outcome, Score) for outcome in outcomes), outcomes
    return [outcome.value for outcome in outcomes if isinstance(outcome, Score)]


def nothing_is_left(made: Several) -> bool:
    """Tell whether no row holds memory, waits or is counted anywhere."""
    rows = [host.board.rows(0, priority) for host in made.hosts for priority in (0, 1)]  # type: ignore[arg-type]
    waiting = [len(lane._share.rows) for lane in made.engine._lanes.values()]
    return not made.engines.used_bytes and not made.engine._held_bytes and not any(rows) and not any(waiting)


def hold_with(made: Several, session: HeldSession) -> Job:
    """Have the session run a row, of level 1, until its gate is opened."""
    session.gate.clear()
    while session.entered.acquire(blocking=False):
        pass
    job = made.submit(grey_png(1))
    assert session.entered.acquire(timeout=WAIT_S)
    return job


def test_every_row_gets_its_own_score_and_gives_its_memory_back(house: House) -> None:
    house.add_graph("bright", brightness)
    with several(house) as made:
        levels = list(range(0, 250, 3))
        assert values(made.ask(*map(grey_png, levels))) == levels
        until(lambda: nothing_is_left(made))


def test_a_front_counts_its_own_rows_and_the_engine_tells_all(house: House) -> None:
    house.add_graph("bright", brightness, rows=4)
    with several(house) as made:
        made.ask(*map(grey_png, range(20)))
        for metrics in (house.metrics, made.hosts[0].metrics):
            one = metrics.registry.get_sample_value
            assert one("beholder_rows_total", {"graph": "bright"}) == 20
            assert one("beholder_stage_duration_seconds_count", {"graph": "bright", "stage": "queue"}) == 20
            assert one("beholder_batch_rows_sum", {"graph": "bright"}) == 20
        page = {sample.name for family in without_runs(house.metrics.registry.collect()) for sample in family.samples}
        assert "beholder_rows_total" not in page
        assert "beholder_stage_duration_seconds_count" in page


def test_rows_of_native_sizes_and_of_two_roles_arrive_whole(house: House) -> None:
    house.add_graph("apart", difference, Kind.FIDELITY)
    dice = np.random.default_rng(1)
    samples = list[Sample]()
    for height, width in ((8, 9), (31, 17), (64, 64), (8, 9), (1, 200)):
        one, other = (RawImage(dice.integers(0, 256, (height, width, 3), np.uint8)) for _ in range(2))
        samples.append(Sample(one, other))
    wanted = [
        float(np.abs(it.candidate.pixels.astype(float) - it.reference.pixels.astype(float)).mean())  # type: ignore[union-attr]
        for it in samples
    ]
    with several(house) as made:
        assert values(made.ask(*samples, scorer="apart")) == pytest.approx(wanted, rel=1e-5)


def test_a_map_comes_back(house: House) -> None:
    house.add_graph("bright", brightness)
    house.add_drawing("bright", brightness_drawn)
    with several(house) as made:
        (result,) = made.submit(grey_png(9), explain=True).wait(WAIT_S)
        score = result["bright"]
        assert isinstance(score, Score)
        assert score.map is not None
        until(lambda: nothing_is_left(made))


def test_more_rows_than_the_memory_holds_wait_for_room(house: House) -> None:
    house.add_graph("bright", brightness, rows=1)
    with several(house, memory_bytes=3 * 16 * 16 * 3) as made:
        assert values(made.ask(*map(grey_png, range(100)))) == list(range(100))
        until(lambda: nothing_is_left(made))


def test_a_row_that_no_memory_holds_fails_alone(house: House) -> None:
    house.add_graph("bright", brightness)
    with several(house, memory_bytes=4096) as made:
        large, small = made.ask(grey_png(1, 100), grey_png(2))
        assert isinstance(large, ScoringFailed)
        assert values([small]) == [2.0]
        until(lambda: nothing_is_left(made))


def test_a_cancelled_row_is_dropped_where_it_waits(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=1)
    with several(house) as made:
        runs = hold_with(made, session)
        waits = made.submit(grey_png(2))
        until(lambda: len(made.hosts[0].lanes[0].workers._queue) == 1)
        waits.cancel()
        until(lambda: len(made.hosts[0].lanes[0].workers._queue) == 0)
        session.gate.set()
        assert values([runs.wait(WAIT_S)[0]["bright"]]) == [1.0]
        assert isinstance(waits.wait(WAIT_S)[0]["bright"], Cancelled)
        until(lambda: nothing_is_left(made))
        dropped = made.hosts[0].metrics.registry.get_sample_value(
            "beholder_dropped_rows_total", {"reason": "cancelled"}
        )
        assert dropped == 1


def test_a_late_row_is_told_so_while_the_engine_is_busy(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=1)
    with several(house) as made:
        runs = hold_with(made, session)
        late = made.submit(grey_png(2), timeout_s=0.3)
        assert isinstance(late.wait(WAIT_S)[0]["bright"], DeadlinePassed)
        session.gate.set()
        assert values([runs.wait(WAIT_S)[0]["bright"]]) == [1.0]
        until(lambda: nothing_is_left(made))


def test_a_failed_batch_fails_its_rows_and_no_others(house: House) -> None:
    def fails_on_9(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if (inputs["candidate"] == 9).all():
            raise RuntimeError("nine")
        return brightness(inputs)

    house.add_graph("bright", fails_on_9, rows=1)
    with several(house) as made:
        good, bad, other = made.ask(grey_png(8), grey_png(9), grey_png(10))
        assert values([good, other]) == [8.0, 10.0]
        assert isinstance(bad, ScoringFailed)
        until(lambda: nothing_is_left(made))


def test_rows_of_an_engine_that_ends_are_unavailable_and_the_next_one_goes_on(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=1)
    with several(house, decode_threads=1) as made:
        session.gate.clear()
        jobs = [made.submit(grey_png(level)) for level in range(4)]
        until(lambda: made.hosts[0].board.rows(0, 0) == 3)  # type: ignore[arg-type]
        made.cut(0)
        for job in jobs[:3]:
            assert isinstance(job.wait(WAIT_S)[0]["bright"], Unavailable)
        assert made.engine.not_ready_reason("bright")
        (refused,) = made.ask(grey_png(5))
        assert isinstance(refused, Unavailable)
        session.gate.set()
        made.link(0)
        assert values(made.ask(grey_png(6))) == [6.0]
        assert not made.engine.not_ready_reason("bright")
        until(lambda: nothing_is_left(made))


def test_what_a_front_that_ends_had_waiting_never_runs(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=1)
    with several(house, decode_threads=1) as made:
        session.gate.clear()
        session.batches.clear()
        for level in range(3):
            made.submit(grey_png(level))
        until(lambda: made.hosts[0].board.rows(0, 0) == 3)  # type: ignore[arg-type]
        made.cut(0)
        until(lambda: made.hosts[0].board.rows(0, 0) == 1)  # type: ignore[arg-type]
        session.gate.set()
        until(lambda: nothing_is_left(made))
        assert session.batches == [1]


def test_two_engines_share_the_rows_and_one_goes_on_alone(house: House) -> None:
    house.add_graph("bright", brightness, rows=1)
    with several(house, hosts=2) as made:
        rows = [host.metrics.rows.labels("bright")._value for host in made.hosts]
        assert values(made.ask(*map(grey_png, range(60)))) == list(range(60))
        assert all(count.get() > 10 for count in rows)
        made.cut(0)
        until(lambda: made.engines.count == 1)
        assert values(made.ask(*map(grey_png, range(20)))) == list(range(20))
        assert sum(count.get() for count in rows) == 80
        until(lambda: nothing_is_left(made))


def test_too_much_is_refused_with_when_to_come_back(house: House) -> None:
    session = house.add_graph("bright", brightness, rows=1)
    with several(house, max_queue_rows=2) as made:
        first = hold_with(made, session)
        second = made.submit(grey_png(2))
        with pytest.raises(QueueFull) as refused:
            made.submit(grey_png(3))
        assert refused.value.retry_after_s > 0
        session.gate.set()
        assert values([job.wait(WAIT_S)[0]["bright"] for job in (first, second)]) == [1.0, 2.0]
        assert values(made.ask(grey_png(3))) == [3.0]


def test_the_door_knows_what_a_batch_costs_from_the_start(house: House) -> None:
    def slow(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        time.sleep(0.05)
        return brightness(inputs)

    house.add_graph("bright", slow, rows=1)
    with several(house) as made:
        made.ask(*map(grey_png, range(4)))  # what preparing costs, a front learns by itself
        with pytest.raises(DeadlinePassed):
            made.submit(grey_png(1), timeout_s=0.02)
