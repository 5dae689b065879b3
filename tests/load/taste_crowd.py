"""A crowd before a server that keeps tastes: what they share, and what they note."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from beholder.v1 import samples_pb2, scores_pb2, tastes_pb2
from beholder.v1 import scoring_service_pb2 as scoring
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from beholder.v1.taste_service_pb2_grpc import TasteServiceStub
from load.taste_people import Taste, all_said, picture

TIMEOUT_S = 60.0
PATIENCE_S = 180.0
"""How long somebody tries again who gets no answer."""
HOT = 4
"""Tastes that a quarter of all requests go to."""
NO_ANSWER = ("UNAVAILABLE", "CANCELLED")
PROBES = [(picture(10**9 + number, number % 2 == 0), number % 2 == 0) for number in range(8)]
"""Images that many are asked about, and whether each is warm."""


def score_request(images: Iterable[bytes], tastes: Iterable[str], scorers: Sequence[str] = ()) -> scoring.ScoreRequest:
    """Ask scorers and tastes, by their names, about images."""
    samples = [samples_pb2.Sample(candidate=samples_pb2.Image(encoded=data)) for data in images]
    return scoring.ScoreRequest(samples=samples, scorers=[*scorers, *(f"taste/{name}" for name in tastes)])


def code_of(error: scores_pb2.Error) -> str:
    """Return the name of an error's code."""
    return scores_pb2.ErrorCode.Name(error.code).removeprefix("ERROR_CODE_")


class Door:
    """The way to the server of now; shut while there is none."""

    def __init__(self, address: str) -> None:
        self._channels: list[grpc.aio.Channel] = []
        self._is_open = asyncio.Event()
        self.open(address)

    def open(self, address: str) -> None:
        """Let requests through to this one; those to the one before end by themselves."""
        self._channels.append(grpc.aio.insecure_channel(address))
        self._scoring, self._tastes = ScoringServiceStub(self._channels[-1]), TasteServiceStub(self._channels[-1])
        self._is_open.set()

    def shut(self) -> None:
        """Let nobody through."""
        self._is_open.clear()

    async def close(self) -> None:
        """Let go of all connections."""
        for channel in self._channels:
            await channel.close()

    async def scoring(self) -> ScoringServiceStub:
        """Wait until it is open, and return a stub."""
        await self._is_open.wait()
        return self._scoring

    async def call(self, method: str, request: Any, patience_s: float | None = None) -> Any:
        """Call once; a code's name where there is no answer, CANCELLED after `patience_s`."""
        await self._is_open.wait()
        stub = self._tastes if hasattr(self._tastes, method) else self._scoring
        try:
            return await asyncio.wait_for(getattr(stub, method)(request, timeout=TIMEOUT_S), patience_s)
        except TimeoutError:
            return "CANCELLED"
        except grpc.aio.AioRpcError as error:
            return error.code().name


@dataclass
class Crowd:
    """What everybody shares.

    Attributes:
        fleeting: names that are made, told and deleted by anybody at any time.
        owners: image id -> the only taste that was ever told of it.
        outcomes: (what was done, what came) -> how many.
        faults: answers that should not have been.
        seen: (taste, era, version, image id) -> P(like).
        unavailable_s: the moments at which a call found no server.
        seconds: how long each call took, by its method.
    """

    door: Door
    tastes: list[Taste]
    fleeting: Sequence[str] = tuple(f"fleeting-{number}" for number in range(6))
    owners: dict[str, str] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seen: dict[tuple[str, int, int, str], float] = field(default_factory=dict)
    unavailable_s: list[float] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def expect(self, is_so: bool, what: str) -> None:
        """Note what should not have been."""
        if not is_so:
            self.faults.append(what)

    def taste(self, dice: random.Random) -> Taste:
        """Return one of the tastes."""
        return dice.choice(self.tastes[:HOT] if dice.random() < 0.25 else self.tastes)

    def check_owner(self, name: str, opinions: Iterable[tastes_pb2.Opinion]) -> None:
        """Note images that another taste was told of."""
        for image in {image for key in all_said(opinions) for image in key}:
            self.expect(self.owners.get(image) == name, f"{name} holds an image of {self.owners.get(image)}")

    async def call(self, method: str, request: Any, patience_s: float | None = None) -> Any:
        """Call once: see `Door.call`."""
        started = time.monotonic()
        answer = await self.door.call(method, request, patience_s)
        self.seconds[method].append(time.monotonic() - started)
        self.note(method, answer if isinstance(answer, str) else "OK")
        return answer

    def note(self, method: str, came: str) -> str:
        """Count what came of a call, and return it."""
        self.outcomes[method, came] += 1
        if came == "UNAVAILABLE":
            self.unavailable_s.append(time.monotonic())
        return came

    async def answered(self, method: str, request: Any, patience_s: float | None = None) -> Any:
        """Call until there is an answer; the first time only for `patience_s`."""
        started = time.monotonic()
        while (answer := await self.call(method, request, patience_s)) in NO_ANSWER:
            if time.monotonic() > started + PATIENCE_S:
                return f"{answer} for {PATIENCE_S:g} s"
            patience_s = None
            await asyncio.sleep(0.05)
        return answer
