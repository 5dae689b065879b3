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
    """Processor seconds of a process.

    Attributes:
        whole_s: of all threads.
        loop_s: of its first thread, which runs the event loop.
        wire_s: of the threads that gRPC names, none of which runs Python.
    """

    whole_s: float
    loop_s: float
    wire_s: float

    def since(self, before: "Spent") -> "Spent":
        """Return what was spent between two readings."""
        return Spent(self.whole_s - before.whole_s, self.loop_s - before.loop_s, self.wire_s - before.wire_s)


def spent(pid: int, folder: Path = Path("/proc")) -> Spent:
    """Read what the threads of a process have spent since its start; those that ended are not in it.

    Raises:
        NotServing: it has ended, or the system has no /proc as Linux has.
    """
    try:
        tasks = {int(task.name): task for task in (folder / str(pid) / "task").iterdir()}
        names = {number: (task / "comm").read_text().strip() for number, task in tasks.items()}
        cpu_s = {number: int((task / "schedstat").read_text().split()[0]) / NS for number, task in tasks.items()}
    except (OSError, ValueError, IndexError) as error:
        raise NotServing(f"can't read what the server spends, as Linux tells it: {error}") from error
    wire_s = sum(cpu_s[number] for number, name in names.items() if name != names[pid])
    return Spent(sum(cpu_s.values()), cpu_s[pid], wire_s)


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

    def spent(self) -> Spent:
        """Return what it has spent since its start."""
        return spent(self.pid)

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
