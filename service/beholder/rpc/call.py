"""One call as every servicer sees it: its id, its deadline, and how it ends."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc.aio

from beholder.clock import Clock
from beholder.errors import BeholderError, Code, ScoringFailed, code_of
from beholder.metrics import Metrics
from beholder.rpc.status import status_of
from beholder.types import REQUEST_ID_FORM

log = logging.getLogger(__name__)
R = TypeVar("R")
Context = grpc.aio.ServicerContext[Any, Any]
REQUEST_ID = "x-request-id"


def request_id_of(context: Context) -> str:
    """Return the caller's `x-request-id` where it is 1 to 64 of [A-Za-z0-9._-], else a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and REQUEST_ID_FORM.fullmatch(value):
            return value
    return f"{random.getrandbits(128):032x}"  # a name, no secret: uuid4 would ask the system


@contextlib.contextmanager
def counted(method: str, request_id: str, clock: Clock, metrics: Metrics) -> Iterator[None]:
    """Count and time one request; what it raises becomes a BeholderError, and what we did not foresee is logged."""
    started = clock()
    code = Code.CANCELLED.name  # a caller that goes away ends this with no error of ours, wherever it stands
    try:
        yield
        code = "OK"
    except BeholderError as error:
        code = code_of(error).name
        raise
    except Exception as error:
        code = Code.INTERNAL.name
        log.exception("%s failed (request %s)", method, request_id)
        raise ScoringFailed("the server failed; its log has the reason") from error
    finally:
        metrics.observe_request(method, code, clock() - started, request_id)


@contextlib.asynccontextmanager
async def answering(method: str, context: Context, clock: Clock, metrics: Metrics) -> AsyncIterator[str]:
    """Give the call's request id, count it, and turn what it raises into a status."""
    request_id = request_id_of(context)
    try:
        with counted(method, request_id, clock, metrics):
            yield request_id
    except BeholderError as error:
        status = status_of(error, request_id)
        await context.abort(status.code, status.details, status.trailing_metadata)


def deadline_of(context: Context, clock: Clock, default_s: float) -> float:
    """Return the moment, on `clock`, after which the caller no longer waits."""
    left_s = context.time_remaining()
    return clock() + (default_s if left_s is None else left_s)


async def apart(threads: ThreadPoolExecutor, call: Callable[[], R]) -> R:
    """Call what may block or take long in a thread, so that the loop goes on."""
    return await asyncio.get_running_loop().run_in_executor(threads, call)
