"""One call as every servicer sees it: its id, its deadline, and how it ends."""

import contextlib
import logging
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from beholder.clock import Clock
from beholder.errors import BeholderError, Code, ScoringFailed, code_of
from beholder.metrics import Metrics
from beholder.rpc.status import status_of

log = logging.getLogger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]
REQUEST_ID = "x-request-id"
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(context: Context) -> str:
    """Return the caller's `x-request-id` where it is 1 to 64 of [A-Za-z0-9._-], else a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID and isinstance(value, str) and _REQUEST_ID_FORM.fullmatch(value):
            return value
    return uuid.uuid4().hex


@contextlib.asynccontextmanager
async def answering(method: str, context: Context, clock: Clock, metrics: Metrics) -> AsyncIterator[str]:
    """Give the request id, count and time the call, and turn what it raises into a status."""
    started, request_id = clock(), request_id_of(context)
    code = Code.CANCELLED.name  # a caller that goes away ends this with no error of ours, wherever it stands
    try:
        yield request_id
        code = "OK"
    except BeholderError as error:
        code = code_of(error).name
        await _abort(context, status_of(error, request_id))
    except Exception:
        code = Code.INTERNAL.name
        log.exception("%s failed (request %s)", method, request_id)
        await _abort(context, status_of(ScoringFailed("the server failed; its log has the reason"), request_id))
    finally:
        metrics.observe_request(method, code, clock() - started, request_id)


async def _abort(context: Context, status: grpc.Status) -> None:
    await context.abort(status.code, status.details, status.trailing_metadata)


def deadline_of(context: Context, clock: Clock, default_s: float) -> float:
    """Return the moment, on `clock`, after which the caller no longer waits."""
    left_s = context.time_remaining()
    return clock() + (default_s if left_s is None else left_s)
