"""Beholder: this checkout, in the bench's own environment."""

import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from beholder.v1 import scoring_service_pb2 as pb
from bench.peers.callers import Call, GrpcCaller, StreamCaller
from bench.peers.peer import OipPeer, Peer, Place
from bench.variants import write_variant
from server_process import environment

FAST = "fast"
SETTINGS = (
    "as `beholder serve` chooses by itself (a decoding thread and a runner for each core), "
    "with the cache of repeated images off"
)


class Beholder(Peer):
    """Asked over its own protocol."""

    name = "Beholder"
    packages = ()
    wire = "gRPC, beholder.v1"
    settings = SETTINGS

    def command(self, place: Place) -> list[str]:
        """Serve the one scorer."""
        return [sys.executable, "-m", "beholder", "serve"]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Set its ports, and no cache: the images come again and again."""
        address, metrics = (f"127.0.0.1:{port}" for port in place.ports[:2])
        return environment(address=address, metrics_address=metrics, scorers=[place.scorer], cache_mb=0, device="cpu")

    def caller(self, place: Place) -> AbstractAsyncContextManager[Call]:
        """Return a caller of Score."""
        return GrpcCaller(place.ports[0], "/beholder.v1.ScoringService/Score")

    def request(self, image: bytes, scorer: str) -> bytes:
        """Return a ScoreRequest of one image."""
        samples = [{"candidate": {"encoded": image}}]
        return pb.ScoreRequest(samples=samples, scorers=[scorer]).SerializeToString()

    def score(self, answer: bytes) -> float:
        """Read the one result."""
        return _score(pb.ScoreResponse.FromString(answer))


class BeholderStream(Beholder):
    """The same over one stream, as generation backends use it."""

    name = "Beholder (stream)"
    wire = "gRPC, beholder.v1, all on one stream"

    def caller(self, place: Place) -> AbstractAsyncContextManager[Call]:
        """Return a caller of ScoreStream."""
        return StreamCaller(place.ports[0], "/beholder.v1.ScoringService/ScoreStream")

    def score(self, answer: bytes) -> float:
        """Read the one result of a message."""
        message = pb.ScoreStreamResponse.FromString(answer)
        if message.HasField("error"):
            raise ValueError(message.error.message)
        return _score(message.response)


class BeholderFast(Beholder):
    """The same with a variant of the scorer that resizes by a library of wide registers; not quite the same scores."""

    name = "Beholder (fast)"
    tolerance = 0.02
    settings = f"{SETTINGS}; the scorer's folder copied, with `fast = true` in its resize: scores move a little"

    def configure(self, place: Place) -> None:
        """Write the variant."""
        write_variant(place.folder, place.scorer, FAST)

    def environment(self, place: Place) -> Mapping[str, str]:
        """Serve the variant."""
        own = {"BEHOLDER_MODELS": str(place.folder), "BEHOLDER_SCORERS": f"{place.scorer}-{FAST}"}
        return {**super().environment(place), **own}

    def request(self, image: bytes, scorer: str) -> bytes:
        """Return a ScoreRequest of one image."""
        return super().request(image, f"{scorer}-{FAST}")


class BeholderOip(OipPeer):
    """The same, asked as Triton is."""

    name = "Beholder (OIP)"
    packages = ()
    settings = SETTINGS
    model = ""
    command = Beholder.command
    environment = Beholder.environment


def _score(response: pb.ScoreResponse) -> float:
    (result,) = response.samples[0].results
    if result.HasField("error"):
        raise ValueError(result.error.message)
    return result.score.value
