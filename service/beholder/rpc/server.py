"""The gRPC server: its options, its services, its address."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from beholder.config import MIB, Config, split_address
from beholder.engine.engine import Engine
from beholder.errors import ConfigError
from beholder.metrics import Metrics
from beholder.rpc.finding import Finder
from beholder.rpc.health import INFERENCE, Health
from beholder.rpc.regions import Regions
from beholder.rpc.scorer_servicer import ScorerServicer
from beholder.rpc.scoring_servicer import ScoringServicer
from beholder.rpc.taste_calls import TasteCalls
from beholder.rpc.taste_servicer import TasteServicer
from beholder.taste.tastes import Tastes
from beholder.v1 import (
    scorer_service_pb2,
    scorer_service_pb2_grpc,
    scoring_service_pb2,
    scoring_service_pb2_grpc,
    taste_service_pb2,
    taste_service_pb2_grpc,
)

PENDING_CALLS = 1_000_000
STORE_THREADS = 16
"""Calls that read or write tastes at the same time."""


def build_server(
    engine: Engine,
    tastes: Tastes | None,
    health: Health,
    config: Config,
    metrics: Metrics,
    regions: Regions,
    *,
    shares_port: bool = False,
) -> grpc.aio.Server:
    """Register all services; nothing listens yet.

    Args:
        shares_port: whether other processes of this server listen on the port too.
    """
    # Here, not above: a process that serves nothing may hold tritonclient, whose messages have the same names.
    from beholder.inference_v2 import grpc_service_pb2_grpc as inference_pb2_grpc
    from beholder.rpc.oip_servicer import OipServicer

    server = grpc.aio.server(options=_options(config, shares_port=shares_port))
    handlers = cast(grpc.aio.Server, _Handlers(server))
    finder, threads = Finder(engine, tastes), ThreadPoolExecutor(STORE_THREADS, "store")
    default_s, max_bytes = config.default_timeout_s, config.max_message_mb * MIB
    scoring = ScoringServicer(engine, finder, threads, default_s, max_bytes, metrics, regions)
    scoring_service_pb2_grpc.add_ScoringServiceServicer_to_server(scoring, handlers)
    scorer_service_pb2_grpc.add_ScorerServiceServicer_to_server(
        ScorerServicer(engine, finder, threads, metrics, regions, config.shm), handlers
    )
    calls = TasteCalls(tastes, config.max_samples, regions)
    telling = TasteServicer(calls, threads, default_s, engine.clock, metrics)
    taste_service_pb2_grpc.add_TasteServiceServicer_to_server(telling, handlers)
    inference = OipServicer(engine, finder, health, threads, config, metrics)
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(inference, handlers)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, handlers)
    names = [
        scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"].full_name,
        scorer_service_pb2.DESCRIPTOR.services_by_name["ScorerService"].full_name,
        taste_service_pb2.DESCRIPTOR.services_by_name["TasteService"].full_name,
        INFERENCE,
        health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
        reflection.SERVICE_NAME,
    ]
    reflection.enable_server_reflection(names, handlers)
    return server


class _Handlers:
    """A server as generated code fills it, without the step that makes each call cost more for each method there is.

    grpcio 1.85 waits for the next call of every registered method anew at each call (grpc/grpc#43461): with our thirty
    that took as long as all else that gRPC does. Handlers that are only generic are found by name.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, methods: object) -> None:
        """Do nothing."""


def listen(server: grpc.aio.Server, address: str) -> str:
    """Bind the address and return it with its real port.

    Raises:
        ConfigError: in use, or not an address of this machine.
    """
    host, port = split_address(address)
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:  # its text tells no more than that, and how to make gRPC print why
        problem = "the port is in use, or this machine has no such address"
        raise ConfigError(f"BEHOLDER_ADDRESS: can't listen on {address}: {problem}") from None
    return f"[{host}]:{bound}" if ":" in host else f"{host}:{bound or port}"


def _options(config: Config, *, shares_port: bool) -> Sequence[tuple[str, int]]:
    size = config.max_message_mb * MIB
    return (
        # A server left over from before must not silently share the port and take half the connections.
        ("grpc.so_reuseport", int(shares_port)),
        # Of calls that stand in line to be read gRPC drops some above 1000, all above 3000, and after 30 s, with
        # CANCELLED, which callers don't try again. The door refuses instead, and says when to come back.
        ("grpc.server.max_pending_requests", PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS),
        ("grpc.server_max_unrequested_time_in_server", 3600),
        ("grpc.max_receive_message_length", size),
        ("grpc.max_send_message_length", size),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Clients may ping as often as our own client does.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 0),
    )
