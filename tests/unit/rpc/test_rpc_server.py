"""How services are put into the gRPC server."""

from typing import Any, cast

import grpc.aio

from beholder.rpc.server import _Handlers
from beholder.v1 import scoring_service_pb2_grpc as pb_grpc


class Server:
    """A server that only notes what it is given."""

    def __init__(self) -> None:
        self.generic: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        self.generic += handlers

    def add_registered_method_handlers(self, service: str, methods: Any) -> None:
        raise AssertionError(f"{service} is registered by method, and each call costs more for each of them")


def test_methods_are_found_by_name_and_not_registered() -> None:
    server = Server()
    handlers = cast(grpc.aio.Server, _Handlers(cast(grpc.aio.Server, server)))
    pb_grpc.add_ScoringServiceServicer_to_server(pb_grpc.ScoringServiceServicer(), handlers)
    assert [one.service_name() for one in server.generic] == ["beholder.v1.ScoringService"]
