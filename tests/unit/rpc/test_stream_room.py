"""How much of a stream is in work while its caller reads nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from beholder.rpc.scoring_servicer import EXPLAINED_SAMPLES, STREAM_REQUESTS, _Stream
from beholder.v1 import samples_pb2
from beholder.v1 import scoring_service_pb2 as pb


async def taken(request: pb.ScoreRequest) -> int:
    """Count the messages worked on until one answer was read."""
    worked_on = 0

    async def answer(message: pb.ScoreStreamRequest, _: int) -> pb.ScoreStreamResponse:
        nonlocal worked_on
        worked_on += 1
        return pb.ScoreStreamResponse(id=message.id)

    async def requests() -> AsyncIterator[pb.ScoreStreamRequest]:
        for number in range(STREAM_REQUESTS + 100):
            yield pb.ScoreStreamRequest(id=number, request=request)

    async with contextlib.aclosing(_Stream(answer).answers(requests())) as answers:
        await anext(answers)
        for _ in range(10):
            await asyncio.sleep(0.0)
        return worked_on


@pytest.mark.parametrize(
    ("samples", "explain", "messages"),
    [(1, False, STREAM_REQUESTS), (1, True, EXPLAINED_SAMPLES), (2, True, EXPLAINED_SAMPLES // 2), (256, True, 1)],
)
def test_maps_that_nobody_reads_are_few(samples: int, explain: bool, messages: int) -> None:
    request = pb.ScoreRequest(samples=[samples_pb2.Sample()] * samples, explain=explain)
    assert asyncio.run(taken(request)) == messages
