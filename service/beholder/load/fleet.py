"""The processes of the load, and what they saw together."""

import contextlib
import multiprocessing
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Self

from beholder.clock import monotonic
from beholder.errors import BeholderError, Unavailable
from beholder.load.mix import Mix
from beholder.load.tally import Second, Tally
from beholder.load.worker import CLOCK_AHEAD_S, READY, REPORT_S, STOP, Job, Leg, Report, Setup, work

NUMBERS = 2**28
"""Requests that one leg may have; the next leg's numbers start after them."""
START_S = 30.0
TICK_S = 0.2


class Broken(BeholderError):
    """A process of the load ended before its time."""


@dataclass
class Seen:
    """What the processes have seen of a leg so far.

    Attributes:
        elapsed_s: since its start.
        in_flight: requests that wait for an answer.
        cpu: of each process that had something to do for a while, in cores.
        is_whole: whether nobody stopped it.
    """

    leg: Leg
    tally: Tally = field(default_factory=Tally)
    elapsed_s: float = 0.0
    in_flight: int = 0
    cpu: tuple[float, ...] = ()
    is_whole: bool = True

    def second(self, number: int) -> Second:
        """Return what happened in a second of the leg."""
        return self.tally.seconds.get(number, Second())


Watch = Callable[[Seen], None]


class Fleet:
    """Processes that send; used as a context, in which they live.

    Args:
        processes: how many.
        watch: told what was seen so far, some times a second.

    Raises:
        Unavailable: the server does not answer.
    """

    def __init__(
        self,
        target: str,
        mix: Mix,
        *,
        processes: int = 1,
        is_stream: bool = False,
        connections: int = 1,
        watch: Watch = lambda _: None,
    ) -> None:
        self._setup = Setup(target, mix, is_stream, connections, salt=1 + secrets.randbelow(2**24 - 1))
        self._count, self._watch = processes, watch
        self._workers: list[tuple[SpawnProcess, Connection]] = []
        self._legs = 0

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")  # gRPC does not survive a fork
        try:
            for _ in range(self._count):
                ours, its = context.Pipe()
                process = context.Process(target=work, args=(its, self._setup), daemon=True)
                process.start()
                its.close()
                self._workers.append((process, ours))
            for _, pipe in self._workers:
                self._expect_ready(pipe)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, leg: Leg) -> Seen:
        """Run one leg and return what was seen of it; Ctrl-C ends it early, with what was seen so far.

        Raises:
            Broken: a process ended.
        """
        start = monotonic() + CLOCK_AHEAD_S
        for number, (_, pipe) in enumerate(self._workers):
            pipe.send(Job(leg, number, self._count, start, self._legs * NUMBERS))
        self._legs += 1
        seen, last = Seen(leg), dict[Connection, Report]()
        running = [pipe for _, pipe in self._workers]
        while running:
            with self._stopped_by_hand(seen, running):
                said = wait(running, TICK_S)
                for pipe in [one for one in running if one in said]:
                    report = _heard(pipe)
                    assert isinstance(report, Report)  # noqa: S101  states our own protocol
                    seen.tally.add(report.tally)
                    last[pipe] = report
                    if report.is_last:
                        running.remove(pipe)
                seen.in_flight = sum(report.in_flight for report in last.values())
                seen.cpu = tuple(report.cpu_s / report.wall_s for report in last.values() if report.wall_s > REPORT_S)
                seen.elapsed_s = max(0.0, monotonic() - start)
                self._watch(seen)
        return seen

    @contextlib.contextmanager
    def _stopped_by_hand(self, seen: Seen, running: Sequence[Connection]) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            if not seen.is_whole:  # the second time: at once
                raise
            seen.is_whole = False
            for pipe in running:
                pipe.send(STOP)

    def _expect_ready(self, pipe: Connection) -> None:
        if not pipe.poll(START_S):
            raise Broken(f"a process of the load did not start within {START_S:g} s")
        said = _heard(pipe)
        if said != READY:
            raise Unavailable(str(said))

    def _end(self) -> None:
        for _, pipe in self._workers:
            with contextlib.suppress(OSError):
                pipe.send(None)
        for process, pipe in self._workers:
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
            pipe.close()
        self._workers.clear()


def _heard(pipe: Connection) -> Report | str:
    try:
        said: Report | str = pipe.recv()
    except EOFError:
        raise Broken("a process of the load ended before its time; its output says why") from None
    return said
