"""The parent of all processes of a server: starts them, links them, starts again what ends, and stops them.

    parent ── engine process 0, 1, … (one for each device)
       └───── front 0, 1, …          each front has one socket pair with each engine, and memory that all engines map

An engine comes first: it tells which graphs there are. A process that ends is started again, an engine too: other
devices go on meanwhile, and with the only one readiness is off until it is warm. Only before the first welcome ends
everything with it, for then something is wrong that will not pass. The parent is told by `SimpleQueue`, whose `put`
a signal handler may call, and is the only one who decides.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from beholder.clock import monotonic
from beholder.errors import ConfigError
from beholder.fronts import board, control
from beholder.fronts.member import ENDED, ENGINE, FRONT, Member, spawn
from beholder.metrics import Families, counted, merged

log = logging.getLogger(__name__)

FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 30.0
"""Before a process is started again; each time doubled while it does not live for `STEADY_S`."""
STEADY_S = 60.0
LINK_AGAIN_S = 0.5
KNOWN_S = 0.5
"""How long fronts may take to know what is lent; a client waits for twice that."""
STOP, AGAIN, RELINK, OVERDUE = "stop", "again", "relink", "overdue"


@dataclass(frozen=True)
class Plan:
    """What is to run.

    Attributes:
        fronts: how many.
        engines: how many, once the first has described itself.
        about: (role, number, what the first engine described) -> `Start.about`.
        memory_bytes: of each front's memory.
        drain_s: after which a front that was told to drain is overdue.
        stop_s: after which an engine that was told to stop is overdue.
    """

    fronts: int
    engines: Callable[[Any], int]
    about: Callable[[str, int, Any], Any]
    memory_bytes: int
    drain_s: float
    stop_s: float


@dataclass(eq=False)
class _Known:
    """Memory that all fronts are to know.

    Attributes:
        descriptor: of the memory.
        unknown_to: fronts that have not said yet that they know it.
        by_all: set once there are none.
    """

    token: bytes
    size_bytes: int
    descriptor: int
    unknown_to: set[Member] = field(default_factory=set)
    by_all: threading.Event = field(default_factory=threading.Event)

    def tell(self, front: Member) -> None:
        front.tell(control.KNOW, (self.token, self.size_bytes), [self.descriptor])

    def is_known_to(self, *fronts: Member) -> None:
        self.unknown_to.difference_update(fronts)
        if not self.unknown_to:
            self.by_all.set()


class Keeper:
    """Runs a plan until it is told to stop.

    Args:
        welcome: told what a front says of itself, once all are serving for the first time.
    """

    def __init__(self, plan: Plan, welcome: Callable[[Any], None]) -> None:
        self._plan, self._welcome = plan, welcome
        self._events = SimpleQueue[tuple[str, Any, Any]]()
        self._members: dict[tuple[str, int], Member] = {}
        self._links = set[frozenset[Member]]()
        self._known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()
        self._left: Families = ()
        self._pauses: dict[tuple[str, int], float] = {}
        self._description: Any = None
        self._wanted = 1 + plan.fronts
        self._is_welcome = self._is_stopping = False
        self._code = 0

    def stop(self, number: int) -> None:
        """Drain and stop, and stop at once on a second Ctrl-C; it is a signal's handler."""
        self._events.put((STOP, None, number))

    def pages(self) -> list[Families]:
        """Ask all processes for their series; those that ended leave what they had counted."""
        with self._lock:
            members, left = list(self._members.values()), self._left
        return [left, *(member.series() for member in members)]

    def know(self, token: bytes, size_bytes: int, descriptor: int) -> bool:
        """Let all fronts know of memory that is lent, also those that are started later; on any thread.

        Returns:
            Whether those that are there know it by now.
        """
        try:
            known = _Known(token, size_bytes, os.dup(descriptor))
        except OSError:  # none is left
            return False
        self._events.put((control.KNOW, None, known))
        return known.by_all.wait(KNOWN_S)

    def forget(self, token: bytes) -> None:
        """Let all fronts forget it; on any thread."""
        self._events.put((control.FORGET, None, token))

    def run(self) -> int:
        """Start all, keep them, and return the exit code once all have ended.

        Raises:
            ConfigError: one of them can't start.
        """
        self._spawn(ENGINE, 0)
        try:
            while self._members or not self._is_stopping:
                what, member, value = self._events.get()
                self._handle(what, member, value)
        finally:
            self._kill()
        return self._code

    def _handle(self, what: str, member: Member, value: Any) -> None:
        if what == control.DESCRIBED and not self._is_stopping:
            self._described(value)
        elif what in (control.READY, control.BUILT):
            member.is_up = True
            if what == control.BUILT:
                for known in self._known.values():
                    known.tell(member)
            self._link(member)
        elif what == control.KNOW:
            self._let_know(value)
        elif what == control.KNOWN and value in self._known:
            self._known[value].is_known_to(member)
        elif what == control.FORGET:
            self._let_forget(value)
        elif what == control.SERVING:
            member.value = value
        elif what == control.FAILED:
            member.failure = value
        elif what == ENDED:
            self._ended(member, value)
        elif what == control.LOST:
            self._unlinked(member, value)
        elif what == RELINK and not self._is_stopping:
            self._link(value)
        elif what == AGAIN and not self._is_stopping:
            self._spawn(*value)
        elif what == STOP:
            self._signalled(value)
        elif what == OVERDUE:
            self._overdue(value)
        if not self._is_welcome:
            self._welcome_all()

    def _spawn(self, role: str, number: int) -> None:
        memory_bytes = board.SIZE_BYTES if role == ENGINE else self._plan.memory_bytes
        member = spawn(role, number, self._plan.about(role, number, self._description), memory_bytes)
        with self._lock:
            self._members[role, number] = member
        member.hear_on(lambda what, its, value: self._events.put((what, its, value)))

    def _described(self, description: Any) -> None:
        if self._description is None:
            self._description = description
            engines = self._plan.engines(description)
            self._wanted = engines + self._plan.fronts
            for role, first, count in ((ENGINE, 1, engines), (FRONT, 0, self._plan.fronts)):
                for number in range(first, count):
                    self._spawn(role, number)
        elif description != self._description:
            log.error("an engine process found other graphs than there were at the start: the server stops")
            self._code = 1
            self._stop()

    def _link(self, one: Member) -> None:
        """Link a process with all of the other role that it is not linked with."""
        for other in list(self._members.values()):
            pair = frozenset({one, other})
            if one.is_up and other.is_up and other.role != one.role and pair not in self._links:
                self._links.add(pair)
                its, others = socket.socketpair()
                one.tell(control.LINK, other.number, [its.fileno(), other.memory])
                other.tell(control.LINK, one.number, [others.fileno(), one.memory])
                its.close()
                others.close()

    def _unlinked(self, front: Member, number: int) -> None:
        """Link a front with an engine again; where that ended, its end is heard of meanwhile."""
        engine = self._members.get((ENGINE, number))
        if engine and frozenset({front, engine}) in self._links:
            self._links.remove(frozenset({front, engine}))
            self._later(LINK_AGAIN_S, RELINK, front)

    def _let_know(self, known: _Known) -> None:
        self._known[known.token] = known
        known.unknown_to = {one for one in self._members.values() if one.role == FRONT and one.is_up}
        for front in known.unknown_to.copy():
            known.tell(front)
        known.is_known_to()  # where there is none

    def _let_forget(self, token: bytes) -> None:
        known = self._known.pop(token, None)
        if known is None:
            return
        os.close(known.descriptor)
        for member in self._members.values():
            if member.role == FRONT and member.is_up:
                member.tell(control.FORGET, token)

    def _welcome_all(self) -> None:
        members = self._members.values()
        said = [member.value for member in members if member.value is not None]
        if len(said) == self._plan.fronts and sum(member.is_up for member in members) == self._wanted:
            self._is_welcome = True
            self._welcome(said[0])

    def _ended(self, member: Member, code: int) -> None:
        key = member.role, member.number
        with self._lock:
            del self._members[key]
            self._left = merged([self._left, counted(member.page)])
        self._links = {pair for pair in self._links if member not in pair}
        for known in self._known.values():
            known.is_known_to(member)
        member.is_up = False
        member.close()
        if self._is_stopping:
            self._stop_engines()
        elif not self._is_welcome:
            raise ConfigError(member.failure or f"{member.name} ended with exit code {code} before it was ready")
        else:
            lived_s = monotonic() - member.since_s
            pause_s = self._pauses.get(key, FIRST_PAUSE_S) if lived_s < STEADY_S else FIRST_PAUSE_S
            self._pauses[key] = min(2 * pause_s, MAX_PAUSE_S)
            why = f": {member.failure}" if member.failure else ""
            log.error("%s ended with exit code %d%s; it is started again in %g s", member.name, code, why, pause_s)
            self._later(pause_s, AGAIN, key)

    def _signalled(self, number: int) -> None:
        if not self._is_stopping:
            self._stop()
        elif number == signal.SIGINT:
            self._code = 1
            self._kill()

    def _stop(self) -> None:
        self._is_stopping = True
        if self._is_welcome:
            log.info("draining")
            self._tell(FRONT, control.DRAIN)
            self._later(self._plan.drain_s, OVERDUE, FRONT)
            self._stop_engines()
        else:  # nobody was let in yet
            self._kill()

    def _stop_engines(self) -> None:
        """Stop the engines once no front is left."""
        roles = {role for role, _ in self._members}
        if roles == {ENGINE}:
            self._tell(ENGINE, control.STOP)
            self._later(self._plan.stop_s, OVERDUE, ENGINE)

    def _tell(self, role: str, what: str) -> None:
        for member in self._members.values():
            if member.role == role:
                member.tell(what)

    def _overdue(self, role: str) -> None:
        for member in self._members.values():
            if member.role == role and member.process.poll() is None:
                log.warning("%s did not stop in time", member.name)
                member.process.kill()

    def _later(self, seconds: float, what: str, value: Any) -> None:
        timer = threading.Timer(seconds, self._events.put, [(what, None, value)])
        timer.daemon = True
        timer.start()

    def _kill(self) -> None:
        for member in self._members.values():
            member.process.kill()
