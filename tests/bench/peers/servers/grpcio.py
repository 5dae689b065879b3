"""grpcio alone: what gRPC in Python costs before a server does anything of its own."""

import struct
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from bench.peers.callers import Call, GrpcCaller
from bench.peers.peer import Peer, Place


class BareGrpc(Peer):
    """No product, but the ground that all gRPC servers in Python stand on."""

    name = "bare grpc.aio"
    packages = ("grpcio==1.85.1",)
    wire = "gRPC, raw bytes"
    settings = "one process, a thread for each core; no batches, messages, checks, limits or metrics"
    program = "with_grpcio.py"

    def command(self, place: Place) -> list[str]:
        """Run the program."""
        return [str(place.python), self.program]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Tell the program its port."""
        return {**super().environment(place), "PORT": str(place.ports[0])}

    def caller(self, place: Place) -> AbstractAsyncContextManager[Call]:
        """Return a caller of its one method."""
        return GrpcCaller(place.ports[0], "/bare.Scorer/Score")

    def request(self, image: bytes, scorer: str) -> bytes:
        """Return the file as it is."""
        return image

    def score(self, answer: bytes) -> float:
        """Read a double."""
        if len(answer) != 8:
            raise ValueError(f"want 8 bytes, got {len(answer)}")
        (value,) = struct.unpack("<d", answer)
        return float(value)
