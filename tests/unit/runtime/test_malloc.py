"""The process keeps what it freed, unless its operator has other plans for malloc."""

import platform
import subprocess
import sys

import pytest

from beholder.runtime import malloc
from beholder.runtime.malloc import keep_freed

FAULTS = """
import resource, sys
from beholder.runtime.malloc import keep_freed
keep_freed({} if sys.argv[1] == "kept" else {"MALLOC_ARENA_TEST": "8"})
def work():
    for _ in range(10):
        parts = [bytearray(mib << 20) for mib in (12, 16, 6)]
        del parts
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Page faults of buffers as an image of 2048x2048 needs them, again and again."""


class NoLibrary:
    """What other systems have to say."""


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_CONF", "GLIBC_TUNABLES"])
def test_what_an_operator_set_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc.ctypes, "CDLL", None)
    assert keep_freed({name: "1", "PATH": "/bin"}) is False


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_another_system_is_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: None) -> NoLibrary:
        if error is AttributeError:
            return NoLibrary()
        raise error

    monkeypatch.setattr(malloc.ctypes, "CDLL", refuse)
    assert keep_freed({}) is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives everything back")
def test_pages_are_kept_for_the_next_image() -> None:
    """In a process of its own: the thresholds last as long as it."""
    faults = {
        which: int(subprocess.run([sys.executable, "-c", FAULTS, which], check=True, capture_output=True).stdout)
        for which in ("kept", "given back")
    }
    assert faults["kept"] < 100
    assert faults["given back"] > 10 * 4096
