"""Callers, their clients and any number of replicas in virtual time: millions of requests, the same for every seed.

What decides is the own code of the product: `BatchQueue`, `Admission`, `CostModel`, `engine.expected` and the
client's `Retry`. What threads, sockets and devices do around it is simulated: no clock, no threads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from beholder.client.retry import Retry
from beholder.errors import CapacityError, DeadlinePassed
from beholder.metrics import Metrics
from load.arrivals import Caller, Moments, who
from load.devices import Machine
from load.events import Events
from load.replica import End, Policy, Replica, Request


@dataclass
class Ledger:
    """What came of it all: an entry for each request that ended, and what the devices did."""

    callers: list[str] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    device_s: float = 0.0

    def ran(self, rows: int, seconds: float) -> None:
        """Write down a batch."""
        self.batches.append(rows)
        self.device_s += seconds


class World:
    """Callers before replicas; a request, and each try of it, goes to any of them.

    Args:
        machine: what each replica is.
    """

    def __init__(self, machine: Machine, policy: Policy, seed: int, replicas: int = 1) -> None:
        self.events, self.ledger = Events(), Ledger()
        self._policy = policy
        self._rng, self._dice = np.random.default_rng(seed), Random(seed)
        self._retry = Retry(jitter=self._dice.random)
        metrics = Metrics()
        self._replicas = [
            Replica(self.events, machine, policy, self.close, self.ledger.ran, metrics, self._rng)
            for _ in range(replicas)
        ]

    def run(self, callers: Sequence[Caller], moments: Moments) -> Ledger:
        """Send a request at each moment, and let all of them end."""
        numbers = who(callers, len(moments), self._rng)
        coming = zip(moments.tolist(), (callers[number] for number in numbers), strict=True)
        self._next(coming)
        self.events.run()
        return self.ledger

    def close(self, request: Request, end: End) -> None:
        """Write down how a request ended; what comes later of it counts no more."""
        if request.end is not None:
            return
        request.end, caller, now = end, request.caller, self.events.now
        self.ledger.callers.append(caller.name)
        self.ledger.ends.append(end)
        self.ledger.sent_s.append(request.sent_s)
        self.ledger.ended_s.append(now)
        if end not in (End.GOOD, End.CANCELLED) and request.times < caller.insists:
            self.events.at(now + caller.insists_after_s, self._ask, caller, request.times + 1)

    def _next(self, coming: Iterator[tuple[float, Caller]]) -> None:
        for moment, caller in coming:
            self.events.at(moment, self._arrive, caller, coming)
            return

    def _arrive(self, caller: Caller, coming: Iterator[tuple[float, Caller]]) -> None:
        self._next(coming)
        self._ask(caller, 0)

    def _ask(self, caller: Caller, times: int) -> None:
        now = self.events.now
        request = Request(caller, now, now + caller.timeout_s, times)
        self._try(request)
        if not self._policy.by_deadline:
            self.events.at(request.deadline_s, self._give_up, request)
        if caller.gives_up and self._dice.random() < caller.gives_up:
            self.events.at(now + self._dice.random() * caller.gives_up_s, self._cancel, request, End.CANCELLED)

    def _try(self, request: Request) -> None:
        if request.end is not None:
            return
        replica = self._dice.choice(self._replicas)
        try:
            replica.submit(request)
        except CapacityError as error:
            request.failures += 1
            delay_s = self._retry.delay_s(error, request.failures, request.deadline_s - self.events.now)
            if delay_s is None:
                self.close(request, End.REFUSED if isinstance(error, DeadlinePassed) else End.FULL)
            else:
                self.events.at(self.events.now + delay_s, self._try, request)
        else:
            request.replica = replica

    def _give_up(self, request: Request) -> None:
        """Stop waiting; a server that knows no deadlines may not even notice."""
        if self._policy.drops_late:
            self._cancel(request, End.EXPIRED)
        else:
            self.close(request, End.LATE)

    def _cancel(self, request: Request, end: End) -> None:
        if request.end is None:
            self.close(request, end)
            if request.replica is not None:
                request.replica.cancel(request)
