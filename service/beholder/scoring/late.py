"""A session that is opened when it is first run: for graphs that few callers ask, so that the start need not wait."""

import threading
from collections.abc import Callable, Mapping

from beholder.errors import BeholderError, ScoringFailed
from beholder.runtime.session import Session
from beholder.types import Tensor


class LateSession:
    """A `Session` that is not there yet.

    Args:
        name: what messages call the graph.
        like: runs on the same device and takes the same inputs.
        output_names: what the graph gives.
        open_session: opens it, or raises a BeholderError.
    """

    def __init__(
        self, name: str, like: Session, output_names: tuple[str, ...], open_session: Callable[[], Session]
    ) -> None:
        self.provider, self.input_names, self.output_names = like.provider, like.input_names, output_names
        self.shapes: Mapping[str, tuple[int | None, ...]] = {}
        self._name = name
        self._open: Callable[[], Session] | None = open_session
        self._session: Session | None = None
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once, as `Session.run` says; the first to come opens it."""
        with self._lock:
            if self._open is None:
                raise ScoringFailed(f"{self._name}: the session is closed")
            if self._session is None:
                try:
                    self._session = self._open()
                except BeholderError as error:
                    raise ScoringFailed(f"{self._name}: {error.message}") from error
            session = self._session
        return session.run(inputs)

    def close(self) -> None:
        """Let go of the graph, as `Session.close` says."""
        with self._lock:
            session, self._session, self._open = self._session, None, None
        if session:
            session.close()
