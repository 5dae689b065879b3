"""A server in a process of its own, on free ports of this machine, and the processor time that it spends.

It is `beholder serve` as an operator starts it, in the same environment but for `OWN` and what is to be measured.
"""

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from beholder.clock import monotonic
from beholder.config import PREFIX
from beholder.errors import BeholderError

OWN = {"address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", "taste_store": ""}
"""Settings that are never the operator's: it is alone on its ports, and opens nobody's tastes."""
SERVING = re.compile(r"serving on (?P<address>\S+:\d+), metrics on http://(?P<metrics>\S+:\d+)/metrics")
START_S, STOP_S = 300.0, 30.0
LOOK_S = 0.05
TOLD_LINES = 5
NS = 1e9


class NotServing(BeholderError):
    """The server that is to be measured did not start, or ended."""


@dataclass(frozen=True)
class Spent:
    """Processor seconds of a server's processes.

    Attributes:
        whole_s: of all threads.
        loop_s: of their first threads, which run the event loops.
        wire_s: of the threads that gRPC names, none of which runs Python.
    """

    whole_s: float
    loop_s: float
    wire_s: float


@dataclass(frozen=True)
class Reading:
    """What the threads of a process, and of those that it started, have spent since they began.

    Attributes:
        pids: of the processes; each is also its first thread's number.
        names: thread -> its name.
        cpu_s: thread -> processor seconds.
    """

    pids: tuple[int, ...]
    names: Mapping[int, str]
    cpu_s: Mapping[int, float]

    def since(self, before: "Reading") -> Spent:
        """Return what was spent between two readings; threads that ended in between are not in it."""
        grown = {number: cpu_s - before.cpu_s.get(number, 0.0) for number, cpu_s in self.cpu_s.items()}
        plain = {self.names[pid] for pid in self.pids}
        wire_s = sum(cpu_s for number, cpu_s in grown.items() if self.names[number] not in plain)
        return Spent(sum(grown.values()), sum(grown[pid] for pid in self.pids), wire_s)


def read_threads(pid: int, folder: Path = Path("/proc")) -> Reading:
    """Read what the threads of a process, and of those that it started, have spent.

    Raises:
        NotServing: it has ended, or the system has no /proc as Linux has.
    """
    pids, names, cpu_s = list[int](), dict[int, str](), dict[int, float]()
    for one in _family(pid, folder):
        try:
            tasks = list((folder / str(one) / "task").iterdir())
        except OSError as error:
            if one != pid:  # it ended meanwhile
                continue
            raise NotServing(f"can't read what the server spends, as Linux tells it: {error}") from error
        for task in tasks:
            with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
                ns, name = int((task / "schedstat").read_text().split()[0]), (task / "comm").read_text().strip()
                cpu_s[int(task.name)], names[int(task.name)] = ns / NS, name
        pids += [one] if one in cpu_s else []
    if pid not in cpu_s:
        raise NotServing(f"can't read what the server spends: {folder / str(pid)} does not tell it as Linux does")
    return Reading(tuple(pids), names, cpu_s)


def _family(pid: int, folder: Path) -> list[int]:
    """Return a process and those that it started, and so on."""
    children: dict[int, list[int]] = {}
    for stat in folder.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


class Server:
    """A server that serves while it is used as a context.

    Args:
        environ: its environment.
        settings: `Config` fields laid over that, as text.

    Raises:
        NotServing: it stopped, or did not serve within `START_S`; carries what it said last.
    """

    def __init__(self, environ: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self._environ = dict(environ) | {PREFIX + name.upper(): text for name, text in {**OWN, **settings}.items()}
        self.address = self.metrics_address = ""

    def __enter__(self) -> Self:
        self._said = tempfile.NamedTemporaryFile(prefix="beholder-", suffix=".log")
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "beholder", "serve"],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for whoever measures, and who ends this in turn
        )
        try:
            self._await_serving()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def threads(self) -> Reading:
        """Return what its threads, and those of the processes that it started, have spent since they began."""
        return read_threads(self.pid)

    def _await_serving(self) -> None:
        started = monotonic()
        while monotonic() < started + START_S:
            text = Path(self._said.name).read_text(errors="replace")
            if match := SERVING.search(text):
                self.address, self.metrics_address = match["address"], match["metrics"]
                return
            if self._process.poll() is not None:
                last = "\n".join(text.strip().splitlines()[-TOLD_LINES:])
                raise NotServing(f"the server stopped with exit code {self._process.returncode}: {last}")
            time.sleep(LOOK_S)
        raise NotServing(f"the server did not serve within {START_S:g} s")

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
