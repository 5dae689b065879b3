"""Many callers, good, bad and gone, and a SIGTERM in the middle: nobody is forgotten or gets another's score.

Half of the load are unary calls, half messages of long streams. Every image is new to the server (a comment with its
number), so that no cache answers; every good answer is compared with the score of the same pixels asked alone.
"""

import asyncio
import random
import signal
import statistics
from collections import Counter
from dataclasses import dataclass, field

import grpc
import psutil
import pytest

from beholder.v1 import samples_pb2, scorer_service_pb2, scorer_service_pb2_grpc, scores_pb2
from beholder.v1 import scoring_service_pb2 as pb
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from server_process import REPO, ServerProcess, StartServer

ASSETS = REPO / "tests" / "assets"
IMAGES = ("landscape-q30.jpg", "landscape-q75.jpg")
REFERENCE = ASSETS / "landscape.png"
SCORERS = ("psnr", "image-safety")
IN_FLIGHT = 32
BAD, CANCELLED = 0.05, 0.05
STOP_AT = 0.97
"""The share of requests after which the server gets its SIGTERM, with `IN_FLIGHT` of them under way."""
RETRYABLE = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}
GROWTH_BYTES = 32 * 2**20
"""Resident memory may grow by this much from between 20 and 40 % of the requests to the last 20 % (medians)."""

Scores = dict[str, float]


@dataclass(frozen=True)
class Case:
    """One request, and what must come of it: `good`, `bad` or `cancelled`."""

    kind: str
    request: pb.ScoreRequest
    expected: Scores = field(default_factory=dict)


@dataclass
class Tally:
    """What came of all requests.

    Attributes:
        outcomes: (kind, what came) -> how many; what came is SCORES or a status code's name.
        wrong: good requests with another answer than the same pixels alone.
        surplus: stream answers that nobody waited for.
        rss_bytes: the server's resident memory at each percent of the requests before the SIGTERM.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    surplus: int = 0
    rss_bytes: list[int] = field(default_factory=list)


def numbered(jpeg: bytes, number: int) -> bytes:
    """Return the same picture in a file of its own: a comment segment after the start of the image."""
    return jpeg[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + jpeg[2:]


def request_of(image: bytes, scorers: tuple[str, ...]) -> pb.ScoreRequest:
    """Ask about one image, with the reference that psnr needs."""
    sample = samples_pb2.Sample(candidate=samples_pb2.Image(encoded=image))
    if "psnr" in scorers:
        sample.reference.encoded = REFERENCE.read_bytes()
    return pb.ScoreRequest(samples=[sample], scorers=scorers)


def bad_request(number: int, image: bytes) -> pb.ScoreRequest:
    """Return one of five requests that can't succeed."""
    scorers = ("psnr",)
    match number % 5:
        case 0:
            return request_of(image[: len(image) // 2], scorers)
        case 1:
            return request_of(b"", scorers)
        case 2:
            return request_of(b"this is no picture", scorers)
        case 3:
            return pb.ScoreRequest(samples=request_of(image, scorers).samples, scorers=["pnsr"])
        case _:
            return pb.ScoreRequest(samples=request_of(image, ("image-safety",)).samples, scorers=scorers)


def scores_of(response: pb.ScoreResponse) -> Scores | str:
    """Return the scores of the only sample, or the code of its first error."""
    results = response.samples[0].results
    for result in results:
        if result.HasField("error"):
            return scores_pb2.ErrorCode.Name(result.error.code).removeprefix("ERROR_CODE_")
    return {result.scorer: result.score.value for result in results}


class Stream:
    """A ScoreStream whose answers find whoever asked."""

    def __init__(self, stub: ScoringServiceStub, tally: Tally) -> None:
        self._call, self._tally = stub.ScoreStream(), tally
        self._waiting: dict[int, asyncio.Future[Scores | str]] = {}
        self._reader = asyncio.create_task(self._read())
        self._turn = asyncio.Lock()
        self._broken = ""

    async def ask(self, number: int, request: pb.ScoreRequest) -> Scores | str:
        """Send one message and wait for its answer; a code's name where there is none."""
        answer: asyncio.Future[Scores | str] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with self._turn:
                await self._call.write(pb.ScoreStreamRequest(id=number, request=request))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._reader
        if self._broken and not answer.done():
            answer.set_result(self._broken)
        return await answer

    async def _read(self) -> None:
        try:
            async for message in self._call:
                answer = self._waiting.pop(message.id, None)
                if answer is None:
                    self._tally.surplus += 1
                elif message.HasField("error"):
                    answer.set_result(scores_pb2.ErrorCode.Name(message.error.code).removeprefix("ERROR_CODE_"))
                else:
                    answer.set_result(scores_of(message.response))
            self._broken = "ENDED"
        except grpc.aio.AioRpcError as error:
            self._broken = error.code().name
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(self._broken)


async def answer_of(call: grpc.aio.UnaryUnaryCall[pb.ScoreRequest, pb.ScoreResponse]) -> Scores | str:
    """Wait for a unary call: its scores, or a code's name."""
    try:
        return scores_of(await call)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    except asyncio.CancelledError:
        return "CANCELLED"


async def unary(stub: ScoringServiceStub, request: pb.ScoreRequest, patience_s: float | None = None) -> Scores | str:
    """Call once, and go away after `patience_s`."""
    call = stub.Score(request, timeout=120)
    answer = asyncio.ensure_future(answer_of(call))
    await asyncio.wait([answer], timeout=patience_s)
    call.cancel()
    return await answer


async def soak(server: ServerProcess, total: int) -> Tally:
    """Send `total` requests, `IN_FLIGHT` at a time, and a SIGTERM when `STOP_AT` of them are sent."""
    tally, memory = Tally(), psutil.Process(server.process.pid)
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = ScoringServiceStub(channel)
        listed = await scorer_service_pb2_grpc.ScorerServiceStub(channel).ListScorers(
            scorer_service_pb2.ListScorersRequest()
        )
        scorers = tuple(scorer.name for scorer in listed.scorers if scorer.ready and scorer.name in SCORERS)
        files = [(ASSETS / name).read_bytes() for name in IMAGES]
        alone = [scores_of(await stub.Score(request_of(image, scorers))) for image in files]
        numbers = iter(range(total))

        async def caller(stream: Stream | None) -> None:
            for number in numbers:
                if number == int(total * STOP_AT):
                    server.process.send_signal(signal.SIGTERM)
                elif number < total * STOP_AT and number % max(1, total // 100) == 0:
                    tally.rss_bytes.append(memory.memory_info().rss)
                dice = random.Random(number)
                case = case_of(number, dice, files, alone, scorers)
                if stream and case.kind != "cancelled":
                    came = await stream.ask(number, case.request)
                else:
                    came = await unary(stub, case.request, dice.uniform(0, 0.1) if case.kind == "cancelled" else None)
                note(tally, number, case, came)

        streams = [Stream(stub, tally) for _ in range(2)]
        callers = [caller(streams[place % 4] if place % 4 < 2 else None) for place in range(IN_FLIGHT)]
        await asyncio.gather(*callers)
    return tally


def case_of(
    number: int, dice: random.Random, files: list[bytes], alone: list[Scores | str], scorers: tuple[str, ...]
) -> Case:
    """Return the case of a number; the same on every run."""
    which = number % len(files)
    image = numbered(files[which], number)
    roll = dice.random()
    if roll < BAD:
        return Case("bad", bad_request(number, image))
    expected = alone[which]
    assert isinstance(expected, dict), expected
    return Case("cancelled" if roll < BAD + CANCELLED else "good", request_of(image, scorers), expected)


def note(tally: Tally, number: int, case: Case, came: Scores | str) -> None:
    """Count what came of a case, and compare its scores."""
    outcome = came if isinstance(came, str) else "SCORES"
    tally.outcomes[case.kind, outcome] += 1
    if isinstance(came, dict) and came != pytest.approx(case.expected, rel=1e-4, abs=1e-5):
        tally.wrong.append(f"request {number}: want {case.expected}, got {came}")


def check(tally: Tally, total: int, exit_code: int) -> None:
    """Assert that every request came to a right end, and the server to a clean one."""
    came = {kind: {outcome for its, outcome in tally.outcomes if its == kind} for kind in ("good", "bad", "cancelled")}
    assert tally.outcomes.total() == total
    assert not tally.wrong
    assert not tally.surplus
    assert came["good"] <= {"SCORES", *RETRYABLE}
    assert came["bad"] <= {"INVALID_ARGUMENT", "NOT_FOUND", *RETRYABLE}
    assert came["cancelled"] <= {"SCORES", "CANCELLED", *RETRYABLE}
    refused = sum(count for (_, outcome), count in tally.outcomes.items() if outcome in RETRYABLE)
    assert refused <= total * (1 - STOP_AT) + IN_FLIGHT, (
        "more were refused than were under way or sent after the SIGTERM"
    )
    assert exit_code == 0


def test_300_requests_come_to_a_right_end_though_the_server_is_stopped(start_server: StartServer) -> None:
    server = start_server()
    tally = asyncio.run(soak(server, 300))
    check(tally, 300, server.stop())


@pytest.mark.slow
def test_10000_requests_leave_memory_flat(start_server: StartServer, capsys: pytest.CaptureFixture[str]) -> None:
    server = start_server()
    tally = asyncio.run(soak(server, 10_000))
    with capsys.disabled():
        print("\n", dict(sorted(tally.outcomes.items())))
        print("MiB of resident memory at each 2 %:", *(rss // 2**20 for rss in tally.rss_bytes[::2]))
    check(tally, 10_000, server.stop())
    early, late = tally.rss_bytes[20:40], tally.rss_bytes[-20:]
    assert statistics.median(late) - statistics.median(early) <= GROWTH_BYTES
