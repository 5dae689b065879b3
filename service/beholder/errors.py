"""The errors a caller or an operator can meet; no error here knows the wire.

BeholderError
├─ InputError             the caller must change the request
│  ├─ InvalidSample           names the field, the limit and what was found
│  │  └─ TasteFull               it, or the store, holds as many as it may
│  ├─ ScorerNotFound          names the nearest that exist
│  │  └─ TasteNotFound           a taste is asked as a scorer
│  ├─ ScorerNotExported       known, but its graph was never built here
│  │  ├─ TasteNotServed          no store, or not the encoder that the taste was told with
│  │  └─ SharingOff              this server lends no memory for images
│  ├─ TasteExists             the name is taken
│  └─ VersionConflict         somebody else wrote first; names both versions
├─ CapacityError          the same request may work later; carries retry_after_s
│  ├─ QueueFull
│  ├─ Unavailable             starting, draining or failing
│  │  └─ StoreUnavailable        tastes can't be read or written just now
│  └─ DeadlinePassed          never reached the device
├─ Cancelled              the caller went away
├─ ScoringFailed          ours; the caller is told no more than that
├─ StoreFailed            ours too: the database is damaged or was changed by others
└─ ConfigError            start-up only: one line on stderr, exit code 2
"""

from enum import Enum


class BeholderError(Exception):
    """Root of everything that Beholder raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(BeholderError):
    """The request as sent can never succeed.

    Args:
        message: what is wrong, the limit, and what was found.
        field: path in the request, such as `samples[3].candidate`; empty for the whole request.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class InvalidSample(InputError):
    """A part of the request breaks a stated limit or can't be read."""


class TasteFull(InvalidSample):
    """A taste, or the store of all, would hold more than the operator allows."""


class ScorerNotFound(InputError):
    """A scorer or panel name that is not in the catalogue."""


class TasteNotFound(ScorerNotFound):
    """A taste that was never made, or is deleted."""


class ScorerNotExported(InputError):
    """A scorer whose graph has not been built on this server."""


class TasteNotServed(ScorerNotExported):
    """A taste that this server can't keep or judge by as it was started."""


class SharingOff(ScorerNotExported):
    """An image that lies in shared memory, which this server was not told to lend."""


class TasteExists(InputError):
    """A taste of this name was made by another request."""


class VersionConflict(InputError):
    """The taste is no longer what the writer read: read it again, then write."""


class CapacityError(BeholderError):
    """The same request may succeed later.

    Args:
        message: what was full or missing.
        retry_after_s: seconds after which trying again makes sense.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(CapacityError):
    """Admission refused: too much is in flight."""


class Unavailable(CapacityError):
    """The server is starting, draining, or the scorer keeps failing."""


class StoreUnavailable(Unavailable):
    """The store of tastes is locked, full or out of reach; a write that was not answered may be sent again."""


class DeadlinePassed(CapacityError):
    """The deadline is over, or can't be met; nothing reached the device."""


class Cancelled(BeholderError):
    """The caller gave up before the answer was ready."""


class ScoringFailed(BeholderError):
    """The model failed on this batch, or gave a number that is not finite."""


class StoreFailed(BeholderError):
    """The store of tastes is damaged; the server's log has the reason."""


class ConfigError(BeholderError):
    """A setting, scorer folder or model file is wrong; start-up stops."""


class Code(Enum):
    """What kind of failure it was, by gRPC's canonical names and numbers."""

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    INTERNAL = 13
    UNAVAILABLE = 14


CODES: dict[type[BeholderError], Code] = {
    InvalidSample: Code.INVALID_ARGUMENT,
    ScorerNotFound: Code.NOT_FOUND,
    ScorerNotExported: Code.FAILED_PRECONDITION,
    TasteExists: Code.ALREADY_EXISTS,
    VersionConflict: Code.ABORTED,
    QueueFull: Code.RESOURCE_EXHAUSTED,
    Unavailable: Code.UNAVAILABLE,
    DeadlinePassed: Code.DEADLINE_EXCEEDED,
    Cancelled: Code.CANCELLED,
    ScoringFailed: Code.INTERNAL,
}
"""One class for each code: what a client meets where the server raised that class or one derived from it."""

RETRYABLE = frozenset({Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE})


def code_of(error: BaseException) -> Code:
    """Return the code of an error, its own or its nearest base's; anything else is INTERNAL."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), Code.INTERNAL)


def error_of(code: Code, message: str, field: str = "", retry_after_s: float = 0.0) -> BeholderError:
    """Build the error that `code` stands for; the inverse of `code_of` for the classes in `CODES`."""
    kind = next(kind for kind, its_code in CODES.items() if its_code is code)
    if issubclass(kind, InputError):
        return kind(message, field)
    if issubclass(kind, CapacityError):
        return kind(message, retry_after_s)
    return kind(message)
