"""What somebody may try with memory that a server lends, or with its socket: it lends on, and scores stay right."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from beholder.client import Client
from beholder.config import MIB
from beholder.errors import ConfigError
from beholder.inputs.image import encode_png
from beholder.lease import answer_from, packet_socket, wish_to
from beholder.rpc.lender import Lender
from beholder.rpc.regions import Regions
from beholder.v1 import samples_pb2, scores_pb2
from beholder.v1 import scoring_service_pb2 as pb
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from borrower import WAIT_S, Borrower, ask, connect, lent, pixels, wait_for
from server_process import ServerProcess, StartServer, environment

LENT_MB = 8
RAW, FILE = pixels(1), encode_png(pixels(3))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the server's socket is."""
    return tmp_path_factory.mktemp("shm") / "socket"


@pytest.fixture(scope="module")
def ours(start_server: StartServer, path: Path) -> Iterator[ServerProcess]:
    """Return a server that lends little, and has nothing to complain of at the end."""
    server = start_server(scorers="sharpness", shm=path, shm_mb=LENT_MB, max_message_mb=4, max_batch_rows=1)
    yield server
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def listens(ours: ServerProcess) -> None:
    """Have the server listen before any test speaks to its socket."""


@pytest.fixture
def borrower(path: Path) -> Iterator[Borrower]:
    borrower = ask(connect(path))
    assert isinstance(borrower, Borrower)
    yield borrower
    borrower.close()


@pytest.fixture
def asks(ours: ServerProcess) -> Iterator[Callable[[samples_pb2.Image], scores_pb2.ScorerResult]]:
    """Return a function that asks for the sharpness of an image as a message has it."""
    with grpc.insecure_channel(ours.address) as channel:
        stub = ScoringServiceStub(channel)

        def ask_for(image: samples_pb2.Image) -> scores_pb2.ScorerResult:
            request = pb.ScoreRequest(samples=[samples_pb2.Sample(candidate=image)], scorers=["sharpness"])
            return stub.Score(request, timeout=WAIT_S).samples[0].results[0]

        yield ask_for


def test_parts_are_checked_against_the_region(borrower: Borrower, asks: Callable[..., Any]) -> None:
    borrower.memory[: len(FILE)] = FILE
    good = asks(borrower.image(0, len(FILE)))
    assert good.score.value == asks(samples_pb2.Image(encoded=FILE)).score.value
    for offset, size in ((0, MIB + 1), (MIB, 1), (2**64 - 1, 2), (2**63, 2**63), (0, 0), (1, 2**64 - 1)):
        error = asks(borrower.image(offset, size)).error
        assert (error.code, error.field) == (scores_pb2.ERROR_CODE_INVALID_ARGUMENT, "samples[0].candidate.shared")
    for width, height in ((2**32 - 1, 2**32 - 1), (1, 0), (3, 3)):
        assert asks(borrower.image(0, 12, width, height)).error.code == scores_pb2.ERROR_CODE_INVALID_ARGUMENT


def test_nobody_reads_a_region_without_its_token(borrower: Borrower, asks: Callable[..., Any]) -> None:
    for token in (b"", bytes(16), borrower.offer.token[::-1], borrower.offer.token + b"x", borrower.offer.server_id):
        part = samples_pb2.SharedImage(token=token, size_bytes=1)
        assert "name none" in asks(samples_pb2.Image(shared=part)).error.message


def test_a_token_dies_with_its_connection(path: Path, asks: Callable[..., Any]) -> None:
    borrower = ask(connect(path))
    assert isinstance(borrower, Borrower)
    borrower.memory[: len(FILE)] = FILE
    assert asks(borrower.image(0, len(FILE))).HasField("score")
    borrower.connection.close()
    wait_for(lambda: "name none" in asks(borrower.image(0, len(FILE))).error.message)
    wait_for(lambda: not any(borrower.memory[: len(FILE)]))  # whoever keeps it keeps no page that was charged to us
    borrower.close()


def test_one_request_names_no_more_than_a_message_may_hold(path: Path, ours: ServerProcess) -> None:
    borrower = ask(connect(path), 2 * MIB)
    assert isinstance(borrower, Borrower)
    samples = [samples_pb2.Sample(candidate=borrower.image(offset, MIB)) for offset in range(6)]
    with grpc.insecure_channel(ours.address) as channel:
        request = pb.ScoreRequest(samples=samples, scorers=["sharpness"])
        answer = ScoringServiceStub(channel).Score(request, timeout=WAIT_S)
    messages = [sample.results[0].error.message for sample in answer.samples]
    assert ["in one request at most" in message for message in messages] == [False] * 4 + [True] * 2
    borrower.close()


def test_the_size_of_what_is_lent_is_sealed(borrower: Borrower, asks: Callable[..., Any]) -> None:
    for size in (0, 1, MIB - 1, MIB + 1, 2**40):
        with pytest.raises(PermissionError):
            os.ftruncate(borrower.fd, size)
    with pytest.raises(PermissionError):
        os.posix_fallocate(borrower.fd, MIB, MIB)
    assert asks(borrower.image(0, MIB)).error.code == scores_pb2.ERROR_CODE_INVALID_ARGUMENT  # zeros are no file


def test_an_image_that_changes_meanwhile_never_answers_for_another(
    borrower: Borrower, asks: Callable[..., Any], path: Path
) -> None:
    """Raw pixels flip while they are scored; what the cache then says of either image is that image's own score."""
    one, two = pixels(11).tobytes(), pixels(12).tobytes()

    def sent(rgb: bytes) -> float:
        raw = samples_pb2.RawImage(width_px=256, height_px=256, rgb=rgb)
        return asks(samples_pb2.Image(raw=raw)).score.value

    is_done = threading.Event()

    def flip() -> None:
        while not is_done.is_set():
            borrower.memory[: len(one)] = one
            borrower.memory[: len(two)] = two

    flipping = threading.Thread(target=flip)
    flipping.start()
    try:
        for _ in range(40):
            assert asks(borrower.image(0, len(one), 256, 256)).HasField("score")
    finally:
        is_done.set()
        flipping.join()
    truth = [asks(samples_pb2.Image(encoded=encode_png(pixels(seed)))).score.value for seed in (11, 12)]
    assert [sent(one), sent(two)] == truth  # files have digests of their own, so that these were computed anew


def test_a_borrower_that_is_killed_leaves_nothing_behind(ours: ServerProcess, path: Path) -> None:
    before = lent(ours)
    script = (
        "import sys, numpy as np\nfrom beholder.client import Client\n"
        f"client = Client({ours.address!r}, shm=True, shm_mb=1)\n"
        "image = np.zeros((256, 256, 3), np.uint8)\n"
        "while True:\n    client.score([image] * 4, scorers='sharpness')\n    print('.', flush=True)\n"
    )
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", script], env=environment(), stdout=subprocess.PIPE)
        assert process.stdout
        assert process.stdout.readline() == b".\n"
        process.kill()
        process.wait()
        process.stdout.close()
    wait_for(lambda: lent(ours) == before)
    with Client(ours.address) as client:
        assert client.score(RAW, scorers="sharpness")[0].scores


def test_no_more_is_lent_than_allowed(ours: ServerProcess, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wait_for(lambda: lent(ours) == 0)
    held = [ask(connect(path)) for _ in range(LENT_MB)]
    assert all(isinstance(one, Borrower) for one in held)
    with connect(path) as connection:
        assert "BEHOLDER_SHM_MB" in str(ask(connection))
    with Client(ours.address, shm=True) as client:
        assert client.score(RAW, scorers="sharpness")[0].scores
        assert not client.shares_memory
    assert "BEHOLDER_SHM_MB" in caplog.text
    for one in held:
        assert isinstance(one, Borrower)
        one.close()
    wait_for(lambda: lent(ours) == 0)


@pytest.mark.parametrize("said", [b"x", bytes(12), b"GET / HTTP/1.1\r\n\r\n", b"BHW1" + bytes(500), wish_to(1) + b"x"])
def test_who_says_something_else_is_shown_out(path: Path, said: bytes) -> None:
    with connect(path) as connection:
        connection.send(said)
        assert connection.recv(1) == b""


def test_who_says_more_loses_what_was_lent(path: Path, asks: Callable[..., Any]) -> None:
    borrower = ask(connect(path))
    assert isinstance(borrower, Borrower)
    borrower.connection.send(b"and another thing")
    assert borrower.connection.recv(1) == b""
    wait_for(lambda: "name none" in asks(borrower.image(0, 1)).error.message)
    borrower.close()


def test_file_descriptors_that_are_sent_along_are_not_kept(path: Path, ours: ServerProcess) -> None:
    process = psutil.Process(ours.process.pid)
    before = process.num_fds()
    for _ in range(20):
        with connect(path) as connection, open(os.devnull, "rb") as file:
            socket.send_fds(connection, [wish_to(0)], [file.fileno()] * 10)
            assert "want a region of at least 1 byte" in str(answer_from(connection.recv(512)))
    wait_for(lambda: process.num_fds() <= before)


def test_who_says_nothing_is_shown_out_and_keeps_nobody_waiting(path: Path) -> None:
    silent = [connect(path) for _ in range(50)]
    borrower = ask(connect(path))
    assert isinstance(borrower, Borrower)
    borrower.close()
    assert all(connection.recv(1) == b"" for connection in silent)
    for connection in silent:
        connection.close()


def test_a_thousand_borrowers_leave_no_descriptor_and_no_memory(path: Path, ours: ServerProcess) -> None:
    process = psutil.Process(ours.process.pid)

    def borrow(times: int) -> None:
        for _ in range(times):
            borrower = ask(connect(path))
            assert isinstance(borrower, Borrower)
            borrower.memory[:] = bytes(MIB)
            borrower.close()
        wait_for(lambda: lent(ours) == 0)

    borrow(100)
    fds, resident = process.num_fds(), process.memory_info().rss
    borrow(1000)
    wait_for(lambda: process.num_fds() <= fds)
    assert process.memory_info().rss - resident < 32 * MIB


# Where the socket lies.


def test_the_socket_is_its_owners_alone(path: Path) -> None:
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def lend_at(path: Path) -> int:
    """Lend at a path for a moment, and return the rights of the socket."""

    async def lend() -> int:
        lender = Lender(path, Regions(MIB, MIB))
        lender.start()
        mode = stat.S_IMODE(path.stat().st_mode)
        await lender.stop()
        return mode

    return asyncio.run(lend())


def test_a_folder_that_a_group_shares_lets_the_group_in(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    assert lend_at(tmp_path / "shm") == 0o660
    assert not (tmp_path / "shm").exists()


def test_a_socket_that_was_left_behind_is_taken_over(tmp_path: Path) -> None:
    with packet_socket() as left:
        left.bind(os.fspath(tmp_path / "shm"))
    assert (tmp_path / "shm").exists()
    assert lend_at(tmp_path / "shm") == 0o600


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("file", "a file of this name that is no socket"),
        ("link", "a file of this name that is no socket"),
        ("no/such/folder", "No such file or directory"),
        ("x" * 120, "may have 107 bytes"),
    ],
)
def test_a_path_that_can_not_be_had_stops_the_start(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(ConfigError, match=f"BEHOLDER_SHM: can't listen on .*: .*{says}"):
        lend_at(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_socket_in_use_is_left_alone(path: Path) -> None:
    with pytest.raises(ConfigError, match="another server lends memory there"):
        lend_at(path)
    borrower = ask(connect(path))
    assert isinstance(borrower, Borrower)
    borrower.close()
