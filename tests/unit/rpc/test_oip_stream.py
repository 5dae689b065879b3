"""Answers of a stream: in the order of its requests, and no more of them in work than there is room for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from beholder.rpc.oip_stream import in_order


async def numbers(count: int, read: list[int]) -> AsyncIterator[int]:
    for number in range(count):
        read.append(number)
        yield number


def test_answers_come_in_the_order_of_the_requests_whichever_is_ready_first() -> None:
    async def answers() -> list[tuple[int, int]]:
        last = asyncio.Event()

        async def answer(request: int, number: int) -> tuple[int, int]:
            if request == 2:
                last.set()
            await last.wait()
            return request, number

        return [one async for one in in_order(numbers(3, []), answer)]

    assert asyncio.run(answers()) == [(0, 1), (1, 2), (2, 3)]


def test_no_more_are_read_than_there_is_room_for_until_answers_are_taken() -> None:
    async def reads() -> tuple[int, int]:
        read: list[int] = []

        async def answer(request: int, number: int) -> int:
            return request

        stream = in_order(numbers(9, read), answer, room=2)
        assert await anext(stream) == 0
        await asyncio.sleep(0)
        before = len(read)
        left = [one async for one in stream]
        assert left == list(range(1, 9))
        return before, len(read)

    assert asyncio.run(reads()) == (3, 9)  # two in work, and one read that waits for its place


def test_what_is_in_work_is_cancelled_with_the_stream() -> None:
    async def cancelled() -> list[int]:
        gone: list[int] = []

        async def answer(request: int, number: int) -> int:
            if not request:
                return request
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                gone.append(request)
                raise
            return request

        stream = in_order(numbers(3, []), answer)
        assert await anext(stream) == 0
        await asyncio.sleep(0)
        await stream.aclose()
        await asyncio.sleep(0)
        return gone

    assert sorted(asyncio.run(cancelled())) == [1, 2]


def test_a_reader_that_fails_fails_the_stream_after_the_answers_before_it() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError("gone")

    async def answers() -> int:
        async def answer(request: int, number: int) -> int:
            return request

        stream = in_order(broken(), answer)
        found = await anext(stream)
        with pytest.raises(ConnectionError):
            await anext(stream)
        return found

    assert asyncio.run(answers()) == 1
