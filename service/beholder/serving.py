"""Serving: one process that answers calls from its warm-up to the end of its drain, and what it says of itself."""

import asyncio
import contextlib
import gc
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from beholder.app import Offer, Service, build
from beholder.config import MIB, Config, split_address
from beholder.errors import ConfigError
from beholder.metrics import Metrics, Registry, serve_metrics
from beholder.rpc.health import POLL_S, Health
from beholder.rpc.lender import Lender
from beholder.rpc.regions import Regions
from beholder.rpc.server import build_server, listen

log = logging.getLogger(__name__)
GRACE_S = 1.0
"""After the drain: answers that are being written go out, and whoever still asks is told UNAVAILABLE."""


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then drain and end the process.

    Raises:
        ConfigError: start-up can't go on.
    """
    log_to_stderr(config.log_level)
    asyncio.run(_serve(build(config)))


def log_to_stderr(level: str, process: str = "") -> None:
    """Write the log for the operator; `process` says whose lines they are, where there are several."""
    form = f"%(asctime)s %(levelname)s {process}%(name)s: %(message)s"
    logging.basicConfig(level=level.upper(), stream=sys.stderr, format=form)


async def _serve(service: Service) -> None:
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, leave, 1)  # a second Ctrl-C

    def serving(address: str) -> None:
        _on_signal(stop)
        welcome(service.offer, address, metrics_address)

    _on_signal(leave)  # nobody was let in yet
    config, regions = service.config, Regions(*lending_limits(service.config))
    lender = make_lender(config.shm, regions, service.metrics) if config.shm else None
    with metrics_server(service.metrics.registry, config.metrics_address) as metrics_address:
        await answer(service, stopping, serving, regions, lender)
    leave()


async def answer(
    service: Service,
    stopping: asyncio.Event,
    serving: Callable[[str], None],
    regions: Regions,
    lender: Lender | None = None,
    *,
    shares_port: bool = False,
) -> None:
    """Answer calls from the warm-up to the end of the drain, which begins when `stopping` is set.

    Args:
        serving: told the address once requests are let in.
        regions: memory in which callers' images may lie.
        lender: lends them meanwhile, where this process does.
        shares_port: whether other processes of this server listen there too.
    """
    engine, metrics, config = service.engine, service.metrics, service.config
    health = Health(engine, metrics)
    await health.start()
    server = build_server(engine, service.tastes, health, config, metrics, regions, shares_port=shares_port)
    address = listen(server, config.address)
    if lender:
        lender.start()
    await server.start()
    await asyncio.to_thread(service.start)
    gc.freeze()  # what start-up made stays: each full collection would walk it, while all threads wait (40 ms)
    await health.serve()
    serving(address)
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), POLL_S)
        await health.refresh()
    log.info("draining")
    await health.drain()
    await asyncio.sleep(config.drain_delay_s)
    if not await asyncio.to_thread(engine.drain, config.drain_s):
        log.warning("some calls were still in flight after %g s; they end with UNAVAILABLE", config.drain_s)
    await asyncio.sleep(GRACE_S)
    if lender:
        await lender.stop()
    stop = asyncio.create_task(asyncio.to_thread(service.stop))
    await asyncio.wait([stop], timeout=GRACE_S)  # a batch that is stuck is not waited for
    log.info("stopped")


def lending_limits(config: Config) -> tuple[int, int]:
    """Return the bytes that all regions of a server may have, and that one request may name."""
    return config.shm_mb * MIB if config.shm else 0, config.max_message_mb * MIB


def make_lender(path: str, regions: Regions, metrics: Metrics) -> Lender:
    """Make what lends memory at a path, once it is started, and count it."""
    metrics.shared_regions.set_function(lambda: regions.count)
    metrics.shared_bytes.set_function(lambda: regions.used_bytes)
    return Lender(Path(path), regions)


def _on_signal(call: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, call)


def leave(code: int = 0) -> NoReturn:
    """End the process without gRPC's own shutdown.

    That answers calls which it has not handed to us yet with CANCELLED (grpc/grpc#41785), and callers do not try those
    again; a connection that ends is UNAVAILABLE to them. After a drain, everything that was admitted has been answered.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


@contextlib.contextmanager
def metrics_server(registry: Registry, address: str) -> Iterator[str]:
    """Serve /metrics while the context lasts, and give its address.

    Raises:
        ConfigError: the address can't be had.
    """
    host, port = split_address(address)
    try:
        server, thread = serve_metrics(registry, host, port)
    except OSError as error:
        raise ConfigError(f"BEHOLDER_METRICS_ADDRESS: can't listen on {address}: {error.strerror}") from None
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def welcome(offer: Offer, address: str, metrics_address: str) -> None:
    """Tell the operator that requests are let in, and where."""
    for name, reason in sorted(offer.missing.items()):
        log.warning("not served: %s: %s", name, reason)
    print(f"beholder: {len(offer.scorers)} scorers: {', '.join(offer.scorers)}", flush=True)  # noqa: T201 - for the operator
    if offer.eyes:
        print(f"beholder: tastes see through {', '.join(offer.eyes)}", flush=True)  # noqa: T201
    print(f"beholder: serving on {address}, metrics on http://{metrics_address}/metrics", flush=True)  # noqa: T201
    at = "" if address == Config.address else f" --address {address}"
    print(f"beholder: try: {_program()} score PHOTO.jpg{at}", flush=True)  # noqa: T201


def _program() -> str:
    """Return what to type for `beholder` in another terminal of this folder."""
    beside = Path(sys.executable).with_name("beholder")
    return "beholder" if shutil.which("beholder") or not beside.exists() else os.path.relpath(beside)
