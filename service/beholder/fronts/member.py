"""One process of a server as its parent knows it: how it is started, asked and told."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from beholder.clock import monotonic
from beholder.fronts import control
from beholder.fronts.control import Control
from beholder.fronts.memory import shared_file
from beholder.metrics import Families

ENGINE, FRONT = "engine", "front"
BOOT = (
    "import signal, sys; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)]; "
    "sys.path[:] = sys.argv[3:]; from beholder.__main__ import member; member(int(sys.argv[2]))"
)
"""What a process runs; it finds this very package, and leaves signals to its parent."""
ASK_S = 2.0
"""How long /metrics waits for a process; of one that does not answer it shows what was known."""
ENDED = "ended"


@dataclass(frozen=True)
class Start:
    """What a process is told first.

    Attributes:
        about: what it needs for its role, by the parent's own plan.
    """

    role: str
    number: int
    about: Any


@dataclass(eq=False)
class Member:
    """A process, as its parent knows it.

    Attributes:
        memory: descriptor of its memory or board, for others that are linked to it.
        is_up: whether it may be linked.
        page: what it last told of its series.
    """

    role: str
    number: int
    process: subprocess.Popen[bytes]
    control: Control
    memory: int
    since_s: float
    is_up: bool = False
    value: Any = None
    failure: str = ""
    page: Families = ()
    asked: int = 0
    replies: SimpleQueue[tuple[int, Families]] = field(default_factory=SimpleQueue)
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"{self.role} {self.number}"

    def hear_on(self, told: Callable[[str, "Member", Any], None]) -> None:
        """Hand on what the process says, and with which exit code it ended, on a thread of its own."""
        threading.Thread(target=self._hear, args=(told,), name=self.name, daemon=True).start()

    def tell(self, what: str, value: object = None, descriptors: Sequence[int] = ()) -> None:
        """Tell the process; one that has ended is heard of on its thread."""
        with suppress(OSError):
            self.control.say(what, value, descriptors)

    def close(self) -> None:
        """Let go of what was shared with it."""
        self.control.close()
        os.close(self.memory)

    def series(self) -> Families:
        """Ask for its series; those of the last time where it does not answer, or only starts."""
        if not self.is_up:
            return self.page
        with self.turn:
            self.asked += 1
            with suppress(OSError, Empty):
                self.control.say(control.METRICS, self.asked)
                number = 0
                while number != self.asked:
                    number, page = self.replies.get(timeout=ASK_S)
                self.page = page
            return self.page

    def _hear(self, told: Callable[[str, "Member", Any], None]) -> None:
        with suppress(OSError, EOFError):
            while True:
                what, value, _ = self.control.hear()
                if what == control.METRICS:
                    self.replies.put(value)
                else:
                    told(what, self, value)
        told(ENDED, self, self.process.wait())


def spawn(role: str, number: int, about: Any, memory_bytes: int) -> Member:
    """Start a process, with shared memory that is its own to write to, and tell it what to be."""
    ours, its = socket.socketpair()
    memory = shared_file(memory_bytes)
    words = [sys.executable, "-c", BOOT, f"{role}-{number}", str(its.fileno()), *sys.path]
    # In a session of its own, so that a Ctrl-C in the terminal comes to the parent alone.
    process = subprocess.Popen(  # noqa: S603 - this very interpreter
        words, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()], start_new_session=True
    )
    its.close()
    member = Member(role, number, process, Control(ours), memory, monotonic())
    member.tell(control.START, Start(role, number, about), [memory])
    return member
