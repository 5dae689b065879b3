"""Errors as gRPC statuses with rich details: ErrorInfo, BadRequest, RetryInfo."""

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from beholder.errors import BeholderError, CapacityError, InputError, code_of
from beholder.rpc.convert import duration

DOMAIN = "beholder"


def status_of(error: BeholderError, request_id: str) -> grpc.Status:
    """Build the status that fails a whole call.

    Its details: ErrorInfo (reason: the error's class, metadata: request_id), BadRequest where a field is at fault,
    RetryInfo where trying again makes sense.
    """
    details: list[Message] = [
        ErrorInfo(reason=type(error).__name__, domain=DOMAIN, metadata={"request_id": request_id})
    ]
    if isinstance(error, InputError) and error.field:
        violation = BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(BadRequest(field_violations=[violation]))
    if isinstance(error, CapacityError) and error.retry_after_s > 0.0:
        details.append(RetryInfo(retry_delay=duration(error.retry_after_s)))
    return rpc_status.to_status(
        Status(code=code_of(error).value, message=details_of(error), details=[_pack(it) for it in details])
    )


def details_of(error: BeholderError) -> str:
    """Return an error as one text, which begins with the field at fault where there is one."""
    where = f"{error.field}: " if isinstance(error, InputError) and error.field else ""
    return f"{where}{error.message}"


def _pack(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
