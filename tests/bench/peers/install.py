"""Virtual environments: one for each peer, made once."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.peers.peer import Peer

COMMON = ("onnxruntime==1.32.0", "pillow>=12", "simplejpeg==1.9.0")
"""What the job needs, the same for all as far as the peers' own requirements let it be."""
INSTALL_S = 1800.0
NOTE = "beholder-bench.json"


def packages(peer: Peer) -> list[str]:
    """Return what pip is told to install for a peer."""
    return [*COMMON, *peer.packages]


def told(peer: Peer) -> list[str]:
    """Return the names of the packages whose versions the page tells."""
    return [re.split(r"[\[<>=]", package)[0].lower() for package in [*peer.packages, *COMMON]]


def install(peer: Peer, venv: Path) -> dict[str, Any]:
    """Make a peer's environment unless it is there as wanted; its packages come from where pip is set to look.

    Returns:
        `versions`, of all that is installed, and `size_mb`.

    Raises:
        RuntimeError: pip failed; the message has its last lines.
    """
    note, wanted = venv / NOTE, packages(peer)
    if note.exists():
        kept: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        if kept["packages"] == wanted:
            return kept
    started = time.monotonic()
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    python = str(venv / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
    listed = json.loads(_run([python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]))
    kept = {
        "packages": wanted,
        "versions": {one["name"].lower(): one["version"] for one in listed},
        "size_mb": round(sum(path.lstat().st_size for path in venv.rglob("*")) / 2**20),
        "install_s": round(time.monotonic() - started),
    }
    note.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return kept


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"pip took longer than {INSTALL_S:g} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(([line for line in lines if line.startswith("ERROR:")] or lines)[-1].removeprefix("ERROR: "))
    return done.stdout
