"""A real `beholder serve` in a process of its own, for whoever wants to talk to one.

It listens on free ports of 127.0.0.1, sees no setting but those given, and writes its output to a file, so that
a full pipe never stops it.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[1]
SERVING = re.compile(r"serving on (?P<address>\S+:\d+), metrics on http://(?P<metrics>\S+:\d+)/metrics")
START_S = 120.0
STOP_S = 60.0
Setting = str | float | Path | list[str] | tuple[str, ...]


@dataclass(frozen=True)
class ServerProcess:
    """A server that answers.

    Attributes:
        address: host:port of gRPC.
        metrics_address: host:port of /metrics.
        log: its stdout and stderr.
    """

    address: str
    metrics_address: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = STOP_S) -> int:
        """Signal the server and return its exit code; one that will not go is killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


StartServer = Callable[..., ServerProcess]
"""What the fixture `start_server` is: takes `Config` fields."""


def environment(**settings: Setting) -> dict[str, str]:
    """Return this process's environment with only `settings` as `BEHOLDER_*`, importing this checkout."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BEHOLDER_")}
    for name, value in settings.items():
        separator = ":" if name == "models" else ","
        text = separator.join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        env[f"BEHOLDER_{name.upper()}"] = text
    env["PYTHONPATH"] = os.pathsep.join([str(REPO / "service"), *filter(None, [env.get("PYTHONPATH")])])
    env["PYTHONUNBUFFERED"] = "1"
    return env


def start(program: Sequence[str] = ("-m", "beholder", "serve"), /, **settings: Setting) -> ServerProcess:
    """Start a server and wait until it says that it serves.

    Args:
        program: what Python runs.
        settings: `Config` fields; the addresses are free ports unless given.

    Raises:
        RuntimeError: it stopped, or said nothing within `START_S`; the message carries its output.
    """
    free: dict[str, Setting] = {"address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0"}
    env = environment(**free | settings)
    handle, name = tempfile.mkstemp(prefix="beholder-", suffix=".log")
    log = Path(name)
    with os.fdopen(handle, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *program], env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        # Rich may wrap or colour a line, never inside a word.
        said = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace")).split())
        if match := SERVING.search(said):
            return ServerProcess(match["address"], match["metrics"], process, log)
        if process.poll() is not None:
            raise RuntimeError(f"beholder serve stopped with exit code {process.returncode}:\n{log.read_text()}")
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise RuntimeError(f"beholder serve said nothing for {START_S:g} s:\n{log.read_text()}")
