"""A server and all that it starts: found, measured, ended."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "BENCH_PEERS_SERVER"
"""In the environment of a server and so of all its children, also of those that leave its group and its parent."""
STOP_S = 15.0
MIB = 2**20


@dataclass(frozen=True)
class Usage:
    """What a server's processes use together.

    Attributes:
        cpu_s: since each began, children that ended included.
        pss_mb: memory in MiB, shared pages divided among those that share them.
    """

    cpu_s: float
    rss_mb: float
    pss_mb: float
    processes: int


class Running:
    """A server's processes.

    Args:
        command: what to run, in a session of its own.
        env: laid over this process's environment.
        folder: where it runs.
        log: its stdout and stderr.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> None:
        self.log = log
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        plain = {key: text for key, text in os.environ.items() if not key.startswith(("BEHOLDER_", "PYTHON"))}
        with log.open("wb") as output:
            self._leader = subprocess.Popen(
                command,
                env=plain | dict(env) | {name: value},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._known: dict[int, psutil.Process] = {}

    @property
    def exit_code(self) -> int | None:
        """What the first process ended with; None while it runs."""
        return self._leader.poll()

    def members(self) -> list[psutil.Process]:
        """Find the processes that live, once seen also those that overwrote their environment."""
        for process in psutil.process_iter():
            if process.pid not in self._known and (process.pid == self._leader.pid or self._is_marked(process)):
                self._known[process.pid] = process
        for process in list(self._known.values()):
            with contextlib.suppress(psutil.Error):
                self._known.update((child.pid, child) for child in process.children(recursive=True))
        self._known = {pid: process for pid, process in self._known.items() if _is_alive(process)}
        return list(self._known.values())

    def usage(self) -> Usage:
        """Add up what all processes use."""
        cpu_s, rss, pss, count = 0.0, 0, 0, 0
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                memory, times = process.memory_full_info(), process.cpu_times()
                cpu_s += times.user + times.system + times.children_user + times.children_system
                rss, pss, count = rss + memory.rss, pss + memory.pss, count + 1
        return Usage(cpu_s, rss / MIB, pss / MIB, count)

    def pause(self) -> None:
        """Hold all processes where they are: they take no processor time until they go on."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let all processes run again."""
        self._send(signal.SIGCONT)

    def stop(self) -> tuple[float, bool]:
        """Send SIGTERM to the first process, and SIGKILL to what is left.

        Returns:
            Seconds, and whether anything had to be killed.
        """
        self.go_on()
        started = time.monotonic()
        if self._leader.poll() is None:
            self._leader.send_signal(signal.SIGTERM)
        while self.members() and time.monotonic() < started + STOP_S:
            self._leader.poll()
            time.sleep(0.1)
        left = self.members()
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._leader.wait()
        psutil.wait_procs(left, timeout=STOP_S)
        return time.monotonic() - started, bool(left)

    def _send(self, number: signal.Signals) -> None:
        for process in self.members():
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    def _is_marked(self, process: psutil.Process) -> bool:
        with contextlib.suppress(OSError):
            return self._mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        return False


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running(command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> Iterator[Running]:
    """Start a server; whatever happens, its processes are ended."""
    server = Running(command, env, folder, log)
    try:
        yield server
    finally:
        server.stop()


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
