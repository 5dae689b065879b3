"""What tests of every room share: a real server, and the reference data that may lie beside the checkout."""

import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest

import server_process
from server_process import REPO, ServerProcess, Setting, StartServer

hypothesis.settings.register_profile("untimed", deadline=None)  # a machine may be busy
hypothesis.settings.load_profile("untimed")
# The background job of a shell ignores it, and so would every server that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `gpu` where there is no NVIDIA driver; with one, they must pass."""
    has_driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    if item.get_closest_marker("gpu") and not has_driver:
        pytest.skip("no NVIDIA driver here")


@pytest.fixture(scope="session")
def repo() -> Path:
    """Return the checkout's root."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of reference data beside the checkout; tests that need it are skipped where it is absent."""
    folder = REPO.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the reference data is not at hand: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def start_server() -> Iterator[StartServer]:
    """Return a function that starts a server with the settings given; all are stopped at the end."""
    started: list[ServerProcess] = []

    def start(*program: Sequence[str], **settings: Setting) -> ServerProcess:
        started.append(server_process.start(*program, **settings))
        return started[-1]

    yield start
    for one in started:
        one.stop()
        one.log.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """Return a server with default settings that keeps tastes; shared, so leave it as it is."""
    return start_server(taste_store=tmp_path_factory.mktemp("store") / "tastes.db")
