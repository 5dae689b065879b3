"""The client for threads: it waits, `calls` and `stream` decide.

A client may be shared by threads; it holds one channel, which connects at the first call and again when it breaks.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from beholder.client import wire
from beholder.client.calls import Ask, Call, Defaults, ScoreCall, get_call, list_call, rank_call, weights_of
from beholder.client.channel import options_of, target_of
from beholder.client.results import Ranked, Result, ScorerInfo
from beholder.client.retry import Retry
from beholder.client.samples import ImageLike, Sample, samples_of
from beholder.client.shared import Parcel, Shared, ask_server
from beholder.client.stream import Stream
from beholder.client.sync_stream import run_stream
from beholder.client.taste_calls import TasteCall
from beholder.client.tastes import Tastes
from beholder.clock import Clock, monotonic
from beholder.types import U8, Normalisation, Priority
from beholder.v1 import scorer_service_pb2_grpc, scoring_service_pb2_grpc, taste_service_pb2_grpc

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


class Client:
    """A connection to one Beholder server, or to many replicas of it.

    Args:
        target: host:port, `dns:///name:port`, or replicas as IP:port,IP:port.
        timeout_s: deadline of a call, retries included, where the call names none.
        retries: tries after the first, when the server says UNAVAILABLE or RESOURCE_EXHAUSTED.
        credentials: for TLS (`grpc.ssl_channel_credentials()`); None connects in the clear.
        keepalive_s: how often a silent connection is tested while calls wait on it.
        round_robin: spread calls over all addresses behind the target.
        shm: whether images go through memory that the server lends, where it runs on this host and is told to
            (`BEHOLDER_SHM`); a path names the server's socket where this process sees it at another place. Where
            there is none to be had, images are sent as bytes.
        shm_mb: MiB to borrow; images that find no room in it are sent as bytes.
        clock: monotonic seconds.
        sleep: waits between tries.

    Attributes:
        tastes: what people like, which is asked as scorer `taste/NAME`.

    Raises:
        ConfigError: the target can't be understood, or memory can't be shared with it.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout_s: float = 30.0,
        retries: int = 4,
        credentials: grpc.ChannelCredentials | None = None,
        keepalive_s: float = 30.0,
        round_robin: bool = True,
        shm: bool | str | os.PathLike[str] = False,
        shm_mb: int = 64,
        clock: Clock = monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address, options = target_of(target), options_of(keepalive_s=keepalive_s, round_robin=round_robin)
        self._channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials
            else grpc.insecure_channel(address, options)
        )
        self._sleep = sleep
        self._scoring = scoring_service_pb2_grpc.ScoringServiceStub(self._channel)
        self._scorers = scorer_service_pb2_grpc.ScorerServiceStub(self._channel)
        self._taste_service = taste_service_pb2_grpc.TasteServiceStub(self._channel)
        self._shared = Shared(shm, shm_mb, partial(ask_server, address, credentials, options), address, clock)
        self._defaults = Defaults(Retry(retries), timeout_s, clock, partial(Parcel, self._shared.lease))
        self.tastes = Tastes(self._ask_taste, self._defaults)
        self._check = health_pb2_grpc.HealthStub(self._channel).Check  # type: ignore[attr-defined]  # made at run time

    def score(
        self,
        candidates: ImageLike | Iterable[ImageLike],
        *,
        scorers: Sequence[str] = (),
        panel: str = "",
        references: ImageLike | Iterable[ImageLike | None] | None = None,
        prompts: str | Iterable[str | None] | None = None,
        priority: Priority = Priority.INTERACTIVE,
        explain: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> list[Result]:
        """Score candidates in one request.

        An image that is broken or can't be read has its error in its own result and hurts no other.

        Args:
            candidates: one image or many, at most what the server takes in one request (256 unless it says otherwise).
            scorers: names of scorers; either these or a panel.
            panel: a panel's name.
            references: what candidates are compared to: one for all, or one for each.
            prompts: what candidates are judged against: one for all, or one for each.
            priority: who goes first where requests wait.
            explain: whether scores have a `map` of where the error is, from the scorers that draw one.
            timeout_s: deadline of the call, retries included; None means the client's own.
            request_id: 1 to 64 of [A-Za-z0-9._-], for the server's log; a new one is made where it is empty.

        Returns:
            One result for each candidate, in their order.

        Raises:
            BeholderError: the request as a whole failed (an unknown scorer, no server, too many samples).
        """
        ask = Ask(scorers, panel, priority, explain)
        terms = self._defaults.terms(timeout_s, request_id)
        return self._run(self._scoring.Score, ScoreCall(samples_of(candidates, references, prompts), ask, terms))

    def score_stream(
        self,
        samples: Iterable[Sample | ImageLike],
        *,
        scorers: Sequence[str] = (),
        panel: str = "",
        priority: Priority = Priority.INTERACTIVE,
        explain: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
        in_flight: int = 32,
    ) -> Generator[tuple[int, Result]]:
        """Score samples as they come, any number of them, over one stream.

        The iterable is read in a thread of its own, never more than `in_flight` samples ahead of the results.
        Close the iterator (or leave its loop) to cancel what is under way.

        Args:
            samples: `Sample`s, or bare candidates.
            scorers: as in `score`.
            panel: as in `score`.
            priority: as in `score`.
            explain: as in `score`.
            timeout_s: deadline of each sample, retries included.
            request_id: one for the whole stream.
            in_flight: samples read and not yet answered.

        Returns:
            (index of the sample, its result), in the order in which they are ready.

        Raises:
            BeholderError: the server stayed away longer than the retries last.
        """
        wanted_s = self._defaults.timeout_s if timeout_s is None else timeout_s
        stream = Stream(
            Ask(scorers, panel, priority, explain), self._defaults.retry, wanted_s, self._shared.held_parcel
        )
        metadata = self._defaults.terms(timeout_s, request_id).metadata
        return run_stream(
            stream, samples, self._scoring.ScoreStream, metadata, in_flight, self._defaults.clock, self._shared.lease
        )

    def rank(
        self,
        candidates: ImageLike | Iterable[ImageLike],
        scorers: Mapping[str, float] | Iterable[str],
        *,
        reference: ImageLike | None = None,
        prompt: str | None = None,
        normalisation: Normalisation = Normalisation.STANDARD,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> list[Ranked]:
        """Order candidates from best to worst (best-of-N).

        Args:
            candidates: at most what the server takes in one request.
            scorers: name -> weight above 0, or names that weigh alike.
            reference: what all candidates are compared to.
            prompt: what all candidates are judged against.
            normalisation: how scores become comparable before they are weighted.
            priority: as in `score`.
            timeout_s: as in `score`.
            request_id: as in `score`.

        Returns:
            Best first; candidates on which a scorer failed come last.

        Raises:
            BeholderError: the request as a whole failed, or an image can't be read.
        """
        terms = self._defaults.terms(timeout_s, request_id)
        call = rank_call(candidates, weights_of(scorers), reference, prompt, normalisation, priority, terms)
        return self._run(self._scoring.Rank, call)

    def scorers(self) -> list[ScorerInfo]:
        """Describe all scorers, without their cards."""
        return self._run(self._scorers.ListScorers, list_call(wire.scorers_from, self._defaults.terms(None, "")))

    def panels(self) -> dict[str, tuple[str, ...]]:
        """Return panel name -> its scorers."""
        return self._run(self._scorers.ListScorers, list_call(wire.panels_from, self._defaults.terms(None, "")))

    def scorer(self, name: str) -> ScorerInfo:
        """Describe one scorer, with its card.

        Raises:
            ScorerNotFound: names the nearest that exist.
        """
        return self._run(self._scorers.GetScorer, get_call(name, self._defaults.terms(None, "")))

    def ready(self) -> bool:
        """Return whether a server answers and takes requests; never retries."""
        try:
            answer = self._check(health_pb2.HealthCheckRequest(), timeout=self._defaults.timeout_s)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    @property
    def shares_memory(self) -> bool:
        """Whether the server lends memory for images just now; it is asked for at the first call that has any."""
        return self._shared.is_lent

    def canvas(self, height_px: int, width_px: int) -> U8:
        """Return pixels (H, W, 3), not yet drawn, from where they need not be copied to be shared.

        Ask for scores of them as of any array; they may be drawn anew once the answer is there. The place is free again
        when nothing refers to them. Where no memory is lent they are an ordinary array.
        """
        return self._shared.canvas(height_px, width_px)

    def close(self) -> None:
        """Close the connection and cancel calls under way."""
        self._channel.close()
        self._shared.close()  # last: its end frees what calls may still want to read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask_taste(self, call: TasteCall[Q, A, R]) -> R:
        return self._run(getattr(self._taste_service, call.method), call)

    def _run(self, method: "grpc.UnaryUnaryMultiCallable[Q, A]", call: Call[Q, A, R]) -> R:
        clock = self._defaults.clock
        delay_s: float | None = None if call.is_empty else 0.0
        while delay_s is not None:
            if delay_s:
                self._sleep(delay_s)
            try:
                answer = method(call.to_send(), timeout=call.left_s(clock()), metadata=call.metadata)
            except grpc.RpcError as error:
                delay_s = call.failed(wire.error_from_rpc(error), clock())
            else:
                delay_s = call.answered(answer, clock())
        call.end()
        return call.result
