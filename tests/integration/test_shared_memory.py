"""Images in memory that a real server lends: the same scores for callers, whatever becomes of the server."""

import asyncio
import contextlib
import json
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from beholder.cli.main import run
from beholder.client import AsyncClient, Client, Result, Sample
from beholder.client.shared import WORTH_BYTES
from beholder.config import MIB
from beholder.errors import ConfigError
from beholder.inputs.image import encode_png
from beholder.types import EncodedImage, RawImage
from beholder.v1 import samples_pb2, scores_pb2
from beholder.v1 import scoring_service_pb2 as pb
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from borrower import WAIT_S, pixels, wait_for
from eye_folder import EYE, write_models
from server_process import REPO, ServerProcess, StartServer

SCORERS = ("psnr", "ssim", "sharpness")
ALONE = {"max_batch_rows": 1}
"""The last bits of a score may differ with its company."""
RAW, OTHER = pixels(1), pixels(2)
FILE = encode_png(pixels(3))
SMALL = encode_png(pixels(4, 32))
assert min(RAW.nbytes, len(FILE)) >= WORTH_BYTES > len(SMALL)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_models(tmp_path_factory.mktemp("shm") / "models")
    for name in SCORERS[1:]:
        shutil.copytree(REPO / "models" / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def ours(start_server: StartServer, models: Path) -> ServerProcess:
    """Return a server that lends memory and keeps tastes."""
    store, path = models.with_name("tastes.db"), models.with_name("shm")
    return start_server(models=models, scorers=SCORERS, taste_encoder=EYE, taste_store=store, shm=path, **ALONE)


@pytest.fixture(scope="module")
def path(models: Path, ours: ServerProcess) -> Path:
    """Return that server's socket."""
    return models.with_name("shm")


@pytest.fixture
def client(ours: ServerProcess) -> Iterator[Client]:
    with Client(ours.address, shm=True, shm_mb=4) as client:
        yield client


@pytest.fixture
def inline(ours: ServerProcess) -> Iterator[Client]:
    with Client(ours.address) as client:
        yield client


def values(results: list[Result]) -> list[dict[str, float]]:
    return [{name: score.value for name, score in result.scores.items()} for result in results]


# What a caller sees.


def test_scores_are_those_of_images_sent_bit_for_bit(client: Client, inline: Client) -> None:
    samples = {"candidates": [RAW, FILE, SMALL, RAW], "references": [OTHER, FILE, SMALL, OTHER], "scorers": SCORERS[:2]}
    assert values(client.score(**samples)) == values(inline.score(**samples))
    assert client.shares_memory
    assert not inline.shares_memory


def test_pixels_in_any_layout_are_sent_as_they_are(client: Client, inline: Client) -> None:
    turned, grey, clear = RAW.swapaxes(0, 1), RAW[:, :, 0], np.dstack([RAW, OTHER[:, :, :1]])
    for image in (turned, RAW[::-1, ::-1], grey, clear):
        assert values(client.score(image, scorers="sharpness")) == values(inline.score(image, scorers="sharpness"))


def test_a_stream_a_ranking_and_a_map_are_the_same_too(client: Client, inline: Client) -> None:
    def told(caller: Client) -> list[object]:
        pairs = [Sample(RAW, OTHER), Sample(FILE, FILE), Sample(OTHER, RAW)]
        streamed = sorted(caller.score_stream(pairs, scorers="ssim"), key=lambda pair: pair[0])
        ranked = caller.rank([RAW, OTHER, FILE], ["psnr", "ssim"], reference=RAW)
        drawn = caller.score(RAW, references=OTHER, scorers="ssim", explain=True)
        return [
            values([result for _, result in streamed]),
            [(place.index, place.total) for place in ranked],
            [result.scores["ssim"].map for result in drawn],
        ]

    assert told(client) == told(inline)


def test_an_asynchronous_client_shares_too(ours: ServerProcess, path: Path, inline: Client) -> None:
    async def told() -> list[Any]:
        async with AsyncClient(ours.address, shm=path, shm_mb=2) as client:
            scored = await client.score([RAW, FILE], references=OTHER, scorers="psnr")
            assert client.shares_memory
            streamed = [pair async for pair in client.score_stream([RAW, FILE, OTHER], scorers="sharpness")]
            ranked = await client.rank([RAW, OTHER], ["sharpness"])
        return [values(scored), values([result for _, result in sorted(streamed)]), [place.index for place in ranked]]

    sharp = values(inline.score([RAW, FILE, OTHER], scorers="sharpness"))
    order = [place.index for place in inline.rank([RAW, OTHER], ["sharpness"])]
    assert asyncio.run(told()) == [values(inline.score([RAW, FILE], references=OTHER, scorers="psnr")), sharp, order]


def test_tastes_are_told_and_asked_by_shared_images(client: Client, inline: Client) -> None:
    client.tastes.create("shared")
    told = client.tastes.add("shared", likes=[RAW, FILE], dislikes=[OTHER, SMALL], choices=[(RAW, OTHER)])
    assert told.ok
    inline.tastes.create("sent")
    assert inline.tastes.add("sent", likes=[RAW, FILE], dislikes=[OTHER, SMALL], choices=[(RAW, OTHER)]).ok
    assert client.tastes.get("shared").opinions == inline.tastes.get("sent").opinions
    names = ["taste/shared", "taste/sent"]
    [result] = client.score(RAW, scorers=names)
    assert result[names[0]].value == result[names[1]].value
    assert result.image_id == inline.score(RAW, scorers=names)[0].image_id
    pairs = [caller.tastes.suggest("sent", [RAW, OTHER, FILE]) for caller in (client, inline)]
    compared = [caller.tastes.compare("sent", "shared", [RAW, FILE]) for caller in (client, inline)]
    assert pairs[0] == pairs[1]
    assert compared[0] == compared[1]


def test_a_command_shares_too(
    ours: ServerProcess, tmp_path: Path, inline: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "noise.png"
    file.write_bytes(FILE)
    assert run(["score", str(file), "--shm", "-s", "sharpness", "--json", "--address", ours.address], {}) == 0
    said = json.loads(capsys.readouterr().out)["scores"]["sharpness"]["value"]
    assert said == pytest.approx(inline.score(FILE, scorers="sharpness")[0]["sharpness"].value, rel=1e-6)


def test_what_is_drawn_where_the_server_reads_is_not_copied(client: Client, inline: Client) -> None:
    expected = values(inline.score([RAW, OTHER, RAW[64:]], scorers="sharpness"))
    canvas = client.canvas(256, 256)
    lease = client._shared._lease
    assert lease
    taken = dict(lease._room._taken)
    canvas[:] = RAW
    assert values(client.score([canvas, canvas[64:]], scorers="sharpness")) == [expected[0], expected[2]]
    part, canvas[:] = canvas[64:], OTHER
    [(_, streamed)] = client.score_stream([canvas], scorers="sharpness")
    assert values([streamed]) == [expected[1]]
    assert lease._room._taken == taken  # nothing else was written
    del canvas
    assert lease.canvas(1, 1) is not None
    assert taken.keys() <= lease._room._taken.keys()  # a part still refers to it
    assert (part == OTHER[64:]).all()
    del part
    assert lease.write(np.zeros((4 * MIB, 1, 1), np.uint8)) == 0


def test_a_canvas_is_an_ordinary_array_where_nothing_is_lent(client: Client, inline: Client) -> None:
    drawn = [inline.canvas(256, 256), client.canvas(2048, 2048)[:256, :256]]
    for canvas in drawn:
        canvas[:] = RAW
    assert values(client.score(drawn, scorers="sharpness")) == 2 * values(inline.score(RAW, scorers="sharpness"))

    async def asked(address: str) -> tuple[int, ...]:
        async with AsyncClient(address, shm=True) as asynchronous:
            return (await asynchronous.canvas(2, 3)).shape

    assert asyncio.run(asked("127.0.0.1:1")) == (2, 3, 3)


def test_what_finds_no_room_is_sent(ours: ServerProcess, inline: Client) -> None:
    many = [pixels(seed) for seed in range(12)]
    with Client(ours.address, shm=True, shm_mb=1) as client:
        assert values(client.score(many, scorers="sharpness")) == values(inline.score(many, scorers="sharpness"))
        streamed = dict(client.score_stream(many, scorers="sharpness", in_flight=12))
        assert client.shares_memory
    assert values([streamed[index] for index in range(12)]) == values(inline.score(many, scorers="sharpness"))


def test_room_is_free_again_once_a_call_is_over(client: Client) -> None:
    for _ in range(20):
        client.score([RAW, OTHER], scorers="sharpness")
        with (
            contextlib.suppress(StopIteration),
            contextlib.closing(client.score_stream([RAW] * 9, scorers="psnr")) as it,
        ):
            next(it)  # and no more: the rest is given up
        client.rank([RAW, b"broken"], ["sharpness"])
        with pytest.raises(Exception, match="can't read"):
            client.rank([RAW, Path("nowhere.png")], ["sharpness"])
    lease = client._shared._lease
    assert lease
    wait_for(lambda: lease.write(np.zeros((4 * MIB, 1, 1), np.uint8)) == 0)


def test_threads_share_one_region_without_mixing_images(client: Client, inline: Client) -> None:
    images = [pixels(seed) for seed in range(16)]
    expected = values(inline.score(images, scorers="sharpness"))
    wrong: list[int] = []

    def ask_for(number: int) -> None:
        for turn in range(8):
            index = (number + turn) % len(images)
            if values(client.score(images[index], scorers="sharpness")) != [expected[index]]:
                wrong.append(index)

    threads = [threading.Thread(target=ask_for, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_server_that_lends_nothing_is_sent_bytes(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    server = start_server(scorers="sharpness", **ALONE)
    with Client(server.address, shm=True) as client, Client(server.address) as inline:
        assert values(client.score(RAW, scorers="sharpness")) == values(inline.score(RAW, scorers="sharpness"))
        assert not client.shares_memory
        assert "BEHOLDER_SHM=PATH" in caplog.text
        with grpc.insecure_channel(server.address) as channel:
            image = samples_pb2.Image(shared=samples_pb2.SharedImage(token=bytes(16), size_bytes=1))
            request = pb.ScoreRequest(samples=[samples_pb2.Sample(candidate=image)], scorers=["sharpness"])
            error = ScoringServiceStub(channel).Score(request, timeout=WAIT_S).samples[0].results[0].error
    assert (error.code, error.field) == (scores_pb2.ERROR_CODE_FAILED_PRECONDITION, "samples[0].candidate.shared")


def test_a_server_that_comes_back_lends_again(start_server: StartServer, tmp_path: Path, inline: Client) -> None:
    settings = {"scorers": "sharpness", "shm": tmp_path / "shm", **ALONE}
    first = start_server(**settings)
    expected = values(inline.score([RAW, FILE], scorers="sharpness"))
    with Client(first.address, shm=True, timeout_s=WAIT_S) as client:
        assert values(client.score([RAW, FILE], scorers="sharpness")) == expected
        old = client._shared._lease
        first.stop(signal.SIGKILL)
        again = start_server(**settings, address=first.address)  # in place of the socket that is left
        scored = client.score([RAW, FILE], scorers="sharpness")
        assert values(scored) == expected
        wait_for(lambda: values(client.score([RAW, FILE], scorers="sharpness")) == expected and client.shares_memory)
        assert client._shared._lease is not old
    again.stop(signal.SIGKILL)


def test_what_was_written_goes_as_bytes_where_the_server_that_lent_is_gone(
    start_server: StartServer, tmp_path: Path, inline: Client
) -> None:
    settings, again = {"scorers": "sharpness", "shm": tmp_path / "shm", **ALONE}, list[ServerProcess]()
    first = start_server(**settings)
    expected = values(inline.score([RAW, FILE, OTHER], scorers="sharpness"))

    def images() -> Iterator[Any]:
        yield RAW
        first.stop(signal.SIGKILL)
        yield FILE  # written, but nobody is there
        again.append(start_server(**settings, address=first.address))
        yield OTHER

    with Client(first.address, shm=True, retries=50) as client:
        found = dict(client.score_stream(images(), scorers="sharpness", timeout_s=60.0))
    assert values([found[index] for index in range(3)]) == expected
    again[0].stop(signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_written_outlives_the_server_that_lent(
    start_server: StartServer, tmp_path: Path, how: signal.Signals
) -> None:
    server = start_server(scorers="sharpness", shm=tmp_path / "shm")
    with Client(server.address, shm=True) as client:
        canvas = client.canvas(256, 256)
        canvas[:] = OTHER
        parcel = client._shared.held_parcel()
        images = [parcel.image_to(image) for image in (RawImage(RAW), RawImage(canvas), EncodedImage(FILE))]
        assert [image.WhichOneof("content") for image in images] == ["shared"] * 3
        server.stop(how)
        wait_for(lambda: not client.shares_memory)
        for image in images:
            parcel.check(image)
    assert [images[0].raw.rgb, images[1].raw.rgb, images[2].encoded] == [RAW.tobytes(), OTHER.tobytes(), FILE]


def test_a_socket_of_another_server_is_not_taken(
    ours: ServerProcess, start_server: StartServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = start_server(scorers="sharpness", shm=tmp_path / "other")
    with Client(ours.address, shm=tmp_path / "other") as client:
        assert client.score(RAW, scorers="sharpness")[0].scores
        assert not client.shares_memory
    assert "socket of another server" in caplog.text
    other.stop(signal.SIGKILL)


def test_memory_is_shared_with_one_server_only() -> None:
    with pytest.raises(ConfigError, match="want Linux, shm_mb of at least 1 and one server"):
        Client("127.0.0.1:1,127.0.0.1:2", shm=True)
