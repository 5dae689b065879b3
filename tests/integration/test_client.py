"""What callers write, against a real server and in-process: the same words, the same answers."""

import asyncio
import io
import itertools
import signal
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from beholder.client import AsyncClient, Client, Normalisation, Ranked, Result, Sample, ScorerInfo
from beholder.config import Config
from beholder.embedded import Embedded, describe
from beholder.errors import (
    DeadlinePassed,
    InvalidSample,
    QueueFull,
    ScorerNotFound,
    Unavailable,
)
from beholder.types import Direction, Kind, Priority, Score
from blocking import Blocking
from server_process import REPO, ServerProcess, StartServer

ASSETS = REPO / "tests" / "assets"
REFERENCE, GOOD, WORSE = (ASSETS / name for name in ("landscape.png", "landscape-q75.jpg", "landscape-q30.jpg"))
OURS = ("psnr", "ssim")


Caller = Client | Embedded | Blocking


@pytest.fixture(scope="module")
def ours(start_server: StartServer) -> ServerProcess:
    """Return a server of the committed graphs alone."""
    return start_server(scorers=OURS)


@pytest.fixture(scope="module", params=["client", "async", "embedded"])
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """Return each kind of caller in turn."""
    if request.param == "embedded":
        with Embedded(Config(scorers=OURS)) as embedded:
            yield embedded
        return
    kind: type[Client] | type[Blocking] = Client if request.param == "client" else Blocking
    with kind(request.getfixturevalue("ours").address) as client:
        yield client


@pytest.fixture
def client(ours: ServerProcess) -> Iterator[Client]:
    with Client(ours.address) as client:
        yield client


def pixels(path: Path) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_score_is_one_expression(caller: Caller) -> None:
    assert caller.score(GOOD, scorers="psnr", references=REFERENCE)[0]["psnr"].value > 25


def test_results_are_in_the_order_of_the_candidates_and_scorers(caller: Caller) -> None:
    results = caller.score([REFERENCE, WORSE, GOOD], scorers=["ssim", "psnr"], references=REFERENCE)
    assert [list(result) for result in results] == [["ssim", "psnr"]] * 3
    same, worse, good = (result["ssim"].value for result in results)
    assert same == pytest.approx(1.0, abs=1e-6)
    assert worse < good < same


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda path: path.read_bytes(), id="bytes"),
        pytest.param(str, id="path"),
        pytest.param(Image.open, id="pil"),
        pytest.param(pixels, id="array"),
        pytest.param(lambda path: np.dstack([pixels(path), np.full(pixels(path).shape[:2], 255, np.uint8)]), id="rgba"),
    ],
)
def test_an_image_has_the_same_score_in_every_form(caller: Caller, form: Callable[[Path], Any]) -> None:
    wanted, got = caller.score([GOOD, form(GOOD)], scorers=OURS, references=REFERENCE)
    assert got.scores == wanted.scores


def test_scores_equal_scikit_image(caller: Caller) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    (result,) = caller.score(GOOD, scorers="psnr", references=REFERENCE)
    peer = metrics.peak_signal_noise_ratio(pixels(REFERENCE), pixels(GOOD), data_range=255)
    assert result["psnr"].value == pytest.approx(peer, abs=1e-3)


def test_a_map_comes_with_the_scores_that_draw_one_where_it_is_asked_for(caller: Caller) -> None:
    (result,) = caller.score(WORSE, scorers=OURS, references=REFERENCE, explain=True)
    assert result["psnr"].map is None
    drawn = result["ssim"].map
    assert drawn
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert (image.mode, image.size) == ("L", (192, 144))
    ((_, streamed),) = caller.score_stream([Sample(WORSE, REFERENCE)], scorers=["ssim"], explain=True)
    assert streamed["ssim"].map == drawn
    ((_, plain),) = caller.score_stream([Sample(WORSE, REFERENCE)], scorers=["ssim"])
    assert plain["ssim"].map is None
    assert [scorer.name for scorer in caller.scorers() if scorer.draws and scorer.ready] == ["ssim"]


def test_every_candidate_may_have_its_own_reference(caller: Caller) -> None:
    first, second = caller.score([GOOD, GOOD], scorers="psnr", references=[GOOD, REFERENCE])
    assert first["psnr"].value == 80.0
    assert second["psnr"].value < 80.0


def test_a_bad_sample_is_told_in_its_own_result(caller: Caller) -> None:
    candidates = [GOOD, b"no image", "/nowhere/gone.png", np.zeros((2, 2, 3), np.float32)]
    good, broken, gone, floats = caller.score(candidates, scorers=OURS, references=REFERENCE)
    assert good.ok
    for index, bad in enumerate((broken, gone, floats), 1):
        assert set(bad.errors) == set(OURS)
        with pytest.raises(InvalidSample) as caught:
            bad["ssim"]
        assert caught.value.field == f"samples[{index}].candidate"
    assert "JPEG, PNG or WebP" in broken.errors["psnr"].message
    assert "can't read /nowhere/gone.png: No such file" in gone.errors["psnr"].message
    assert "want uint8 pixels from 0 to 255, got float32" in floats.errors["psnr"].message


def test_when_no_sample_can_be_read_each_result_says_so(caller: Caller) -> None:
    results = caller.score(["/nowhere/a.png", "/nowhere/b.png"], scorers=OURS, references=REFERENCE)
    assert [result.ok for result in results] == [False, False]


def test_a_missing_reference_is_told_by_the_scorers_that_need_one(caller: Caller) -> None:
    (result,) = caller.score(GOOD, scorers=OURS)
    assert isinstance(result.errors["ssim"], InvalidSample)
    assert result.errors["ssim"].field == "samples[0].reference"


def test_a_reference_of_another_size_is_told(caller: Caller) -> None:
    (result,) = caller.score(GOOD, scorers="ssim", references=np.zeros((9, 9, 3), np.uint8))
    assert "192x144" in result.errors["ssim"].message


def test_an_unknown_scorer_fails_the_call_with_the_nearest_name(caller: Caller) -> None:
    with pytest.raises(ScorerNotFound, match="did you mean ssim"):
        caller.score(GOOD, scorers=["ssmi"])


@pytest.mark.parametrize("words", [{}, {"scorers": ["ssim"], "panel": "safety"}])
def test_neither_and_both_of_scorers_and_panel_fail_the_call(caller: Caller, words: dict[str, Any]) -> None:
    with pytest.raises(InvalidSample, match="either scorer names or a panel"):
        caller.score(GOOD, **words)


def test_no_candidates_fail_the_call(caller: Caller) -> None:
    with pytest.raises(InvalidSample, match="got 0") as caught:
        caller.score([], scorers="ssim")
    assert caught.value.field == "samples"


def test_too_many_candidates_fail_the_call(caller: Caller) -> None:
    with pytest.raises(InvalidSample, match="256"):
        caller.score([b"x"] * 257, scorers="ssim")


def test_a_stream_takes_more_than_one_request_would(caller: Caller) -> None:
    tiny = [np.full((8, 8, 3), level, np.uint8) for level in range(3)]
    samples = [Sample(tiny[index % 3], tiny[0]) for index in range(600)]
    results = dict(caller.score_stream(samples, scorers="psnr", priority=Priority.BATCH))
    assert sorted(results) == list(range(600))
    for index, result in results.items():
        assert (result["psnr"].value == 80.0) == (index % 3 == 0)


def test_a_bad_sample_of_a_stream_hurts_no_other(caller: Caller) -> None:
    samples = [Sample(GOOD, REFERENCE), Sample(b"no image", REFERENCE), Sample("/nowhere/gone.png"), Sample(GOOD)]
    good, broken, gone, alone = (result for _, result in sorted(caller.score_stream(samples, scorers=OURS)))
    assert good.ok
    for index, bad, role in ((1, broken, "candidate"), (2, gone, "candidate"), (3, alone, "reference")):
        error = bad.errors["psnr"]
        assert isinstance(error, InvalidSample)
        assert error.field == f"samples[{index}].{role}"


def test_a_stream_of_nothing_gives_nothing(caller: Caller) -> None:
    assert list(caller.score_stream([], scorers=OURS)) == []


def test_what_the_iterable_raises_comes_out_of_the_stream(caller: Caller) -> None:
    def samples() -> Iterator[Sample]:
        yield Sample(GOOD, REFERENCE)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(caller.score_stream(samples(), scorers=OURS))


@pytest.mark.parametrize("normalisation", list(Normalisation))
def test_candidates_are_ranked_from_best_to_worst(caller: Caller, normalisation: Normalisation) -> None:
    candidates = [WORSE, REFERENCE, GOOD]
    weights = {"ssim": 1.0, "psnr": 0.5}
    ranking: list[Ranked] = caller.rank(candidates, weights, reference=REFERENCE, normalisation=normalisation)
    assert [place.index for place in ranking] == [1, 2, 0]
    for place in ranking:
        assert place.total == pytest.approx(sum(place.contributions.values()), abs=1e-5)
        assert set(place.result.scores) == {"ssim", "psnr"}
    if normalisation is Normalisation.RAW:
        assert ranking[0].contributions["psnr"] == pytest.approx(40.0)


def test_a_candidate_that_is_broken_comes_last_without_a_total(caller: Caller) -> None:
    last = caller.rank([b"no image", GOOD], ["ssim"], reference=REFERENCE)[-1]
    assert (last.index, last.total, last.contributions) == (0, None, {})
    error = last.result.errors["ssim"]
    assert isinstance(error, InvalidSample)
    assert error.field == "candidates[0]"


def test_a_weight_of_nothing_fails_the_ranking(caller: Caller) -> None:
    with pytest.raises(InvalidSample, match="above 0"):
        caller.rank([GOOD], {"ssim": 0.0}, reference=REFERENCE)


def test_the_catalogue_is_described(caller: Caller) -> None:
    scorers: list[ScorerInfo] = caller.scorers()
    names = [scorer.name for scorer in scorers]
    assert names == sorted(names)
    ssim = scorers[names.index("ssim")]
    assert (ssim.kind, ssim.direction) == (Kind.FIDELITY, Direction.HIGHER_IS_BETTER)
    assert (ssim.needs_reference, ssim.needs_prompt, ssim.ready, ssim.card) == (True, False, True, "")
    assert ssim.range_ == (-1.0, 1.0)
    others = [scorer for scorer in scorers if scorer.name not in OURS]
    assert others
    assert all(not scorer.ready and scorer.not_ready_reason for scorer in others)


def test_one_scorer_is_described_with_its_card(caller: Caller) -> None:
    assert caller.scorer("ssim").card == (REPO / "models" / "ssim" / "CARD.md").read_text(encoding="utf-8")
    with pytest.raises(ScorerNotFound, match="did you mean ssim"):
        caller.scorer("ssmi")


def test_panels_name_their_scorers(caller: Caller) -> None:
    panels = caller.panels()
    assert panels
    assert all(scorers for scorers in panels.values())


def test_a_server_that_scores_is_ready(caller: Caller) -> None:
    assert caller.ready()


def test_describing_a_folder_loads_nothing_and_says_what_a_server_would(client: Client) -> None:
    offline = {scorer.name: scorer for scorer in describe(Config())}
    online = {scorer.name: scorer for scorer in client.scorers()}
    assert list(offline) == list(online)
    assert offline["ssim"] == online["ssim"]
    assert describe(Config(), "ssim")[0].card


def test_embedded_and_server_give_the_same_scores(client: Client) -> None:
    with Embedded(Config(scorers=OURS)) as embedded:
        words: dict[str, Any] = {"scorers": OURS, "references": REFERENCE}
        mine = embedded.score([GOOD, WORSE], **words)
        theirs = client.score([GOOD, WORSE], **words)
    assert [result.scores for result in mine] == [result.scores for result in theirs]


def test_nobody_at_the_address_is_unavailable_after_the_retries() -> None:
    waits: list[float] = []
    with Client("127.0.0.1:1", retries=2, sleep=waits.append) as client:
        with pytest.raises(Unavailable):
            client.score(GOOD, scorers="ssim")
        assert not client.ready()
        with pytest.raises(Unavailable):
            list(client.score_stream([GOOD], scorers="ssim"))
    assert len(waits) == 2


def test_a_call_ends_at_its_deadline(client: Client) -> None:
    with pytest.raises(DeadlinePassed):
        client.score([GOOD] * 64, scorers=OURS, references=REFERENCE, timeout_s=0.001)


def test_a_sample_of_a_stream_ends_at_its_deadline(client: Client) -> None:
    ((_, result),) = client.score_stream([Sample(GOOD, REFERENCE)], scorers=OURS, timeout_s=0.0001)
    assert isinstance(result.errors["ssim"], DeadlinePassed)


def test_what_a_busy_server_refuses_is_sent_again_until_it_has_room(start_server: StartServer) -> None:
    """The server takes two rows at a time, and is sent 32."""
    busy = start_server(scorers=OURS, max_queue_rows=2)
    samples = [Sample(GOOD, REFERENCE) for _ in range(60)]
    with Client(busy.address, retries=1000) as client:
        results = [result for _, result in client.score_stream(samples, scorers=OURS, in_flight=32)]
    assert len(results) == 60
    assert all(result.ok for result in results)
    with Client(busy.address, retries=1, timeout_s=5) as client, pytest.raises(QueueFull):
        client.score([GOOD, GOOD], scorers=OURS, references=REFERENCE)


@pytest.mark.parametrize("kind", ["client", "async"])
def test_a_stream_outlives_its_server(start_server: StartServer, kind: str) -> None:
    """One server stops with samples unanswered and dies; another takes its address: every sample is answered once."""
    first = start_server(scorers=["psnr"])
    half, restarted = threading.Event(), threading.Event()

    def samples() -> Iterator[Sample]:
        for index in range(40):
            if index == 10:
                first.process.send_signal(signal.SIGSTOP)
            if index == 20:
                half.set()
                restarted.wait(60)
            yield Sample(GOOD, REFERENCE)

    def restart() -> None:
        half.wait(60)
        first.stop(signal.SIGKILL)
        start_server(scorers=["psnr"], address=first.address)
        restarted.set()

    thread = threading.Thread(target=restart)
    thread.start()

    async def collect() -> list[tuple[int, Result]]:
        async with AsyncClient(first.address, retries=20) as client:
            source = _in_thread(samples())
            return [pair async for pair in client.score_stream(source, scorers=["psnr"], timeout_s=60)]

    if kind == "async":
        results = asyncio.run(collect())
    else:
        with Client(first.address, retries=20) as client:
            results = list(client.score_stream(samples(), scorers=["psnr"], timeout_s=60))
    thread.join()
    assert sorted(index for index, _ in results) == list(range(40))
    assert all(result.ok for _, result in results)


async def _in_thread(samples: Iterator[Sample]) -> AsyncIterator[Sample]:
    while (sample := await asyncio.to_thread(next, samples, None)) is not None:
        yield sample


def test_a_stream_is_read_no_further_ahead_than_asked(client: Client) -> None:
    taken = itertools.count()

    def samples() -> Iterator[Sample]:
        while True:
            next(taken)
            yield Sample(GOOD, REFERENCE)

    stream = client.score_stream(samples(), scorers=OURS, in_flight=4)
    for _ in range(10):
        next(stream)
    stream.close()
    assert next(taken) <= 10 + 4 + 1


def test_results_come_while_the_caller_still_makes_samples(client: Client) -> None:
    """A generation backend makes the next image once it has seen the score of the last."""
    seen = threading.Event()

    def samples() -> Iterator[Sample]:
        yield Sample(GOOD, REFERENCE)
        assert seen.wait(30)
        yield Sample(WORSE, REFERENCE)

    stream = client.score_stream(samples(), scorers=OURS)
    assert next(stream)[0] == 0
    seen.set()
    assert next(stream)[0] == 1


def test_an_async_stream_that_is_left_early_stops(ours: ServerProcess) -> None:
    async def samples() -> AsyncIterator[Sample]:
        while True:
            yield Sample(GOOD, REFERENCE)

    async def first_of_many() -> Result:
        async with (
            AsyncClient(ours.address) as client,
            aclosing(client.score_stream(samples(), scorers=OURS)) as stream,
        ):
            async for _, result in stream:
                return result
        raise AssertionError("no result")

    assert asyncio.run(first_of_many()).ok


def test_many_calls_of_one_async_client_go_at_once(ours: ServerProcess) -> None:
    async def ask() -> list[list[Result]]:
        async with AsyncClient(ours.address) as client:
            calls = (client.score(GOOD, scorers=OURS, references=REFERENCE) for _ in range(32))
            return await asyncio.gather(*calls)

    answers = asyncio.run(ask())
    assert len({result["ssim"].value for (result,) in answers}) == 1


def test_calls_spread_over_replicas(start_server: StartServer) -> None:
    replicas = [start_server(scorers=["psnr"]) for _ in range(2)]
    with Client(",".join(replica.address for replica in replicas)) as client:
        deadline = time.monotonic() + 30
        while min(_calls(replica) for replica in replicas) < 4 and time.monotonic() < deadline:
            client.score(GOOD, scorers="psnr", references=REFERENCE)
        first, second = map(_calls, replicas)
        assert abs(first - second) <= 8, "in turn, but for the first while both connect"
        replicas[0].stop()
        assert isinstance(client.score(GOOD, scorers="psnr", references=REFERENCE)[0]["psnr"], Score)


def _calls(replica: ServerProcess) -> int:
    with urllib.request.urlopen(f"http://{replica.metrics_address}/metrics", timeout=10) as page:
        text = page.read().decode()
    lines = [line for line in text.splitlines() if line.startswith("beholder_requests_total") and '"Score"' in line]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)
