"""A real PostgreSQL from the system's packages, in a folder of its own, on a Unix socket there."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

START_S = 30.0
USER = "beholder"


def binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, where there is one."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: [int(n) for n in it.parent.name.split(".")]
    )
    on_path = shutil.which("postgres")
    folders = [*debian, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


@dataclass
class PostgresServer:
    """A server and its folder; its only user needs no password."""

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def address(self, database: str) -> str:
        """Return the address of one database."""
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            *(self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder),
            *("-c", "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=32MB"),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as_nobody_special())
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline_s or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def crash(self) -> None:
        """End it at once, with nothing written that is not yet."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(START_S)

    def empty_database(self) -> str:
        """Return the address of a database in which nothing of ours is left; nobody may be using it."""
        address = self.address("postgres")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS beholder CASCADE")
        return address


def make(programs: Path) -> PostgresServer:
    """Return a new server, not started; the folder's path is short, as a socket's must be."""
    folder = Path(tempfile.mkdtemp(prefix="beholder-pg-"))
    run_as = _as_nobody_special()
    if run_as:
        os.chown(folder, pwd.getpwnam(run_as["user"]).pw_uid, -1)
    command = [
        *(programs / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"),
        "--no-sync",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **run_as)
    return PostgresServer(programs, folder)


def _as_nobody_special() -> Mapping[str, Any]:
    """Return whom to run it as: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": "postgres" if "postgres" in names else "nobody", "group": "nogroup", "extra_groups": []}


@contextlib.contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a new server, and leave nothing of it; a test that needs one is skipped where there is no PostgreSQL."""
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server here: apt install postgresql")
    server = make(programs)
    server.start()
    yield server
    server.crash()
    shutil.rmtree(server.folder)
