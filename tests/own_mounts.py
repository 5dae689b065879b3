"""A script in a child process that may mount file systems which nobody else sees: small disks, read-only ones."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server_process import REPO

OWN_MOUNTS = ("unshare", "--mount", "--map-root-user")


def in_its_own_mounts(script: str, *arguments: Path) -> str:
    """Run a script that may mount, and return what it printed; the test is skipped where nobody here may do that."""
    if not shutil.which("unshare") or subprocess.run([*OWN_MOUNTS, "true"], capture_output=True).returncode:
        pytest.skip("no mounts of one's own here: unshare --mount is missing or not allowed")
    path = os.pathsep.join((str(REPO / "service"), str(REPO / "tests")))
    command = [*OWN_MOUNTS, sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
