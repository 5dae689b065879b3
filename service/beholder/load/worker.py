"""One process of the load: sends its share of each leg and tells its parent, twice a second, what came of it.

The event loop waits by `select`, whose timeouts are as fine as the clock; `epoll` rounds up to whole milliseconds, and
would make every request late by half of one.
"""

import asyncio
import gc
import itertools
import selectors
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from beholder.clock import Clock, monotonic
from beholder.load.arrivals import InFlight, Pattern, Recorded, share
from beholder.load.callers import Caller, StreamCaller, UnaryCaller, connect, open_channels
from beholder.load.mix import Dealer, Mix
from beholder.load.requests import Requests
from beholder.load.tally import Came, Tally

REPORT_S = 0.5
BREATH = 16
"""Requests sent in a row, when late, before answers are read."""


@dataclass(frozen=True)
class Setup:
    """What stays the same over all legs.

    Attributes:
        is_stream: messages of streams rather than calls.
        connections: of each process.
        salt: makes images new to a server that saw another run.
    """

    target: str
    mix: Mix
    is_stream: bool
    connections: int
    salt: int


@dataclass(frozen=True)
class Leg:
    """A stretch of load that is measured by itself.

    Attributes:
        name: for people.
        warmup_s, seconds: the time before anything is counted, and the time that is; a pattern is as long as both.
    """

    name: str
    pattern: Pattern
    warmup_s: float
    seconds: float

    @property
    def end_s(self) -> float:
        """When the last request is sent."""
        return self.warmup_s + self.seconds


@dataclass(frozen=True)
class Job:
    """One worker's share of a leg.

    Attributes:
        start: the moment, by the clock that all processes share, at which the leg starts.
        first_number: of the leg's requests, which no other leg's have.
    """

    leg: Leg
    worker: int
    workers: int
    start: float
    first_number: int


@dataclass
class Report:
    """What a worker saw since its last report.

    Attributes:
        in_flight: requests that wait for an answer.
        cpu_s, wall_s: of this process since the leg's start.
        is_last: whether the leg is over.
    """

    tally: Tally = field(default_factory=Tally)
    in_flight: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    is_last: bool = False


Tell = Callable[[Report], None]


class Sender:
    """Sends one share of a leg through a caller.

    Args:
        stopping: set when no more may be sent.
        sleep: lets the time of `clock` pass.
    """

    def __init__(
        self,
        job: Job,
        mix: Mix,
        salt: int,
        caller: Caller,
        stopping: asyncio.Event,
        *,
        clock: Clock = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._job, self._mix = job, mix
        self._dealer, self._requests = Dealer(mix), Requests(mix, salt)
        self._caller, self._stopping = caller, stopping
        self._clock, self._sleep = clock, sleep
        self._tally = Tally()
        self._under_way = set[asyncio.Task[None]]()

    async def run(self, tell: Tell) -> None:
        """Send everything, wait for every answer, and tell what came of it."""
        pattern, cpu_s = self._job.leg.pattern, time.process_time()

        def report(is_last: bool = False) -> None:
            spent_s, wall_s = time.process_time() - cpu_s, self._clock() - self._job.start
            tally, self._tally = self._tally, Tally()
            tell(Report(tally, len(self._under_way), spent_s, wall_s, is_last))

        async def reporting() -> None:
            while True:
                await asyncio.sleep(REPORT_S)
                report()

        reporter = asyncio.create_task(reporting())
        stopper = asyncio.create_task(self._stop())
        await (self._closed(pattern) if isinstance(pattern, InFlight) else self._open(pattern))
        while self._under_way:
            await asyncio.wait(self._under_way)
        for task in (reporter, stopper):
            task.cancel()
        report(is_last=True)

    async def _stop(self) -> None:
        await self._stopping.wait()
        await self._caller.close()

    async def _open(self, pattern: Pattern) -> None:
        assert not isinstance(pattern, InFlight)  # noqa: S101  states our own dispatch
        job, in_a_row = self._job, 0
        marks = pattern if isinstance(pattern, Recorded) else None
        for number, moment in share(pattern.times(self._mix.seed + job.first_number), job.worker, job.workers):
            early_s = job.start + moment - self._clock()
            in_a_row = 0 if early_s > 0 else in_a_row + 1
            if early_s > 0:
                await self._until(job.start + moment)
            elif in_a_row % BREATH == 0:
                await asyncio.sleep(0)
            if self._stopping.is_set():
                return
            self._tally.send(moment)
            ask, picture = (marks.asks[number], marks.pictures[number]) if marks else (-1, -1)
            task = asyncio.create_task(self._one(number, moment, ask, picture))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _until(self, moment: float) -> None:
        while (left_s := moment - self._clock()) > 0 and not self._stopping.is_set():
            await self._sleep(min(left_s, REPORT_S))

    async def _closed(self, pattern: InFlight) -> None:
        job = self._job
        numbers = itertools.count(job.worker, job.workers)
        calls = len(range(job.worker, pattern.calls, job.workers))
        await self._until(job.start)

        async def caller() -> None:
            while (moment := self._clock() - job.start) < job.leg.end_s and not self._stopping.is_set():
                self._tally.send(moment)
                await self._one(next(numbers), moment)

        for _ in range(calls):
            task = asyncio.create_task(caller())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _one(self, number: int, intended: float, ask: int = -1, picture: int = -1) -> None:
        job, leg = self._job, self._job.leg
        released = self._clock() - job.start
        case = self._dealer.case(job.first_number + number, ask, picture)
        request = self._requests.score(case, job.first_number + number)
        reply = await self._caller.ask(request, case.timeout_s, case.leave_s)
        done, sent = self._clock() - job.start, reply.sent - job.start
        code, message = reply.answer.code, reply.answer.message
        came = Came(case.kind, self._mix.asks[case.ask].name, code, message, intended, released, sent, done)
        self._tally.note(came, leg.warmup_s, leg.seconds)


def work(parent: Connection, setup: Setup) -> None:
    """Be a process of the load: connect, then run the jobs that come until None does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_work(parent, setup))


async def _work(parent: Connection, setup: Setup) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    jobs: asyncio.Queue[Job | None] = asyncio.Queue()

    def hear() -> None:
        try:
            said = parent.recv()
        except EOFError:  # the parent is gone
            said = None
        if said is None:
            loop.remove_reader(parent.fileno())
        if said == STOP or said is None:
            stopping.set()
        if said != STOP:
            jobs.put_nowait(said)

    channels = open_channels(setup.target, setup.connections)
    try:
        await connect(channels)
    except TimeoutError:
        parent.send(f"{setup.target} does not answer")
        return
    loop.add_reader(parent.fileno(), hear)
    gc.freeze()  # what is there now is there to stay
    parent.send(READY)
    while job := await jobs.get():
        stopping.clear()
        caller = (StreamCaller if setup.is_stream else UnaryCaller)(channels, monotonic)
        await Sender(job, setup.mix, setup.salt, caller, stopping).run(parent.send)
        await caller.close()
    for channel in channels:
        await channel.close()


STOP, READY = "stop", "ready"
CLOCK_AHEAD_S = 0.2
"""Between the moment a leg is given out and its start: all processes have heard of it by then."""
