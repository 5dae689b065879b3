"""The composition root: builds the rooms, warms up, serves, drains and stops; alone knows every room."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import beholder
from beholder.clock import monotonic
from beholder.config import MIB, Config, split_address
from beholder.engine.embed import Embeddings
from beholder.engine.engine import Engine
from beholder.errors import ConfigError
from beholder.metrics import Metrics
from beholder.rpc.health import POLL_S, Health
from beholder.rpc.lender import Lender
from beholder.rpc.regions import Regions
from beholder.rpc.server import build_server, listen
from beholder.runtime.device import choose_device
from beholder.runtime.session import Device
from beholder.scoring.catalog import Catalog, load_catalog, shipped_models
from beholder.scoring.load import Loaded, load_scorers
from beholder.store.open import open_store
from beholder.store.store import Limits
from beholder.taste.eye import encoders_with_background, load_eyes
from beholder.taste.learned import Learned
from beholder.taste.tastes import Tastes

log = logging.getLogger(__name__)
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CUDA_RUNNERS = 2
"""Of each graph: while one batch is computed, the next is copied to the device."""
GRACE_S = 1.0
"""After the drain: answers that are being written go out, and whoever still asks is told UNAVAILABLE."""


@dataclass(frozen=True)
class Service:
    """A built engine with what it was built from."""

    config: Config
    metrics: Metrics
    engine: Engine
    loaded: Loaded
    embeddings: Embeddings
    tastes: Tastes | None
    """None where the operator named no store."""

    def start(self) -> None:
        """Warm up, then let requests in; blocks.

        Raises:
            Exception: a graph failed on its warm-up, or the store can't be read.
        """
        if self.tastes:
            self.tastes.learned.start()
        self.engine.start()

    def stop(self) -> None:
        """Stop the threads, after the batches that run, and let go of the store."""
        self.engine.stop()
        if self.tastes:
            self.tastes.stop()


def build(config: Config, encoders: Sequence[str] = ()) -> Service:
    """Load the scorers, open the store of tastes and build the engine; it takes requests after `start()`.

    Args:
        encoders: names of encoders that are wanted for themselves.

    Raises:
        ConfigError: a setting, a scorer folder, a model file, the device or the store is wrong.
    """
    cores = usable_cores()
    metrics = Metrics()
    device = choose_device(config.device, config.device_id, config.intra_op_threads)
    own_runners = max(1, cores // config.intra_op_threads) if device.kind == "cpu" else CUDA_RUNNERS
    runners, threads = config.runners or own_runners, config.decode_threads or cores
    config = dataclasses.replace(config, runners=runners, decode_threads=threads)
    catalog = load_catalog([Path(folder) for folder in config.models] or [shipped_models()])
    if config.taste_store:
        encoders = [*encoders, *encoders_with_background(catalog, config.taste_backgrounds)]
    loaded = load_scorers(catalog, config.scorers, device, config.max_batch_rows, encoders=encoders)
    engine = Engine(catalog, loaded, config, device.kind, monotonic, metrics)
    _describe(loaded, device, metrics)
    embeddings = Embeddings(engine, config.max_samples)
    return Service(config, metrics, engine, loaded, embeddings, _tastes(catalog, loaded, embeddings, config, metrics))


def _tastes(
    catalog: Catalog, loaded: Loaded, embeddings: Embeddings, config: Config, metrics: Metrics
) -> Tastes | None:
    if not config.taste_store:
        return None
    eyes = load_eyes(catalog, loaded, config.taste_backgrounds, config.taste_priors)
    if config.taste_encoder not in eyes:
        found = ", ".join(eyes) or "none: run `beholder export`"
        raise ConfigError(f"taste_encoder: no encoder {config.taste_encoder!r} that tastes can use; there are: {found}")
    limits = Limits(config.max_tastes, config.max_taste_images, config.max_taste_choices, config.max_taste_mb)
    store = open_store(config.taste_store, limits)
    learned = Learned(store, eyes, monotonic, metrics, config.taste_memory_mb * MIB, config.taste_poll_s)
    keeps_images = config.taste_images == "keep"
    return Tastes(store, learned, eyes, config.taste_encoder, embeddings, keeps_images=keeps_images)


def usable_cores(quota: Path = CPU_QUOTA) -> int:
    """Return how many cores the process may use: those of its affinity, or a container's CPU quota (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota_us, period_us = map(int, quota.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no cgroup v2, or `max`: no quota
        return cores
    return min(cores, max(1, quota_us // period_us))


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then drain and end the process.

    Raises:
        ConfigError: start-up can't go on.
    """
    logging.basicConfig(
        level=config.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    asyncio.run(_serve(build(config)))


async def _serve(service: Service) -> None:
    engine, metrics, config = service.engine, service.metrics, service.config
    health = Health(engine, metrics)
    await health.start()
    regions = Regions(config.shm_mb * MIB if config.shm else 0, config.max_message_mb * MIB)
    server = build_server(engine, service.tastes, health, config, metrics, regions)
    address = listen(server, config.address)
    lender = _lender(regions, config, metrics)
    stopping = asyncio.Event()
    _on_signal(_leave)  # nobody was let in yet
    with _metrics_server(metrics, config.metrics_address) as metrics_address:
        await server.start()
        await asyncio.to_thread(service.start)
        _on_signal(stopping.set)
        await health.serve()
        _welcome(service, address, metrics_address)
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), POLL_S)
            await health.refresh()
        log.info("draining")
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _leave, 1)  # a second Ctrl-C
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
    _leave()


def _lender(regions: Regions, config: Config, metrics: Metrics) -> Lender | None:
    if not config.shm:
        return None
    lender = Lender(Path(config.shm), regions)
    lender.start()
    metrics.shared_regions.set_function(lambda: regions.count)
    metrics.shared_bytes.set_function(lambda: regions.used_bytes)
    return lender


def _on_signal(call: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, call)


def _leave(code: int = 0) -> NoReturn:
    """End the process without gRPC's own shutdown.

    That answers calls which it has not handed to us yet with CANCELLED (grpc/grpc#41785), and callers do not try those
    again; a connection that ends is UNAVAILABLE to them. After a drain, everything that was admitted has been answered.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


@contextlib.contextmanager
def _metrics_server(metrics: Metrics, address: str) -> Iterator[str]:
    host, port = split_address(address)
    try:
        server, thread = metrics.serve(host, port)
    except OSError as error:
        raise ConfigError(f"BEHOLDER_METRICS_ADDRESS: can't listen on {address}: {error.strerror}") from None
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _welcome(service: Service, address: str, metrics_address: str) -> None:
    for name, reason in sorted(service.loaded.missing.items()):
        log.warning("not served: %s: %s", name, reason)
    names = ", ".join(sorted(service.loaded.scorers))
    print(f"beholder: {len(service.loaded.scorers)} scorers: {names}", flush=True)  # noqa: T201 - for the operator
    if service.tastes:
        print(f"beholder: tastes see through {', '.join(sorted(service.tastes.eyes))}", flush=True)  # noqa: T201
    print(f"beholder: serving on {address}, metrics on http://{metrics_address}/metrics", flush=True)  # noqa: T201
    at = "" if address == Config.address else f" --address {address}"
    print(f"beholder: try: {_program()} score PHOTO.jpg{at}", flush=True)  # noqa: T201


def _program() -> str:
    """Return what to type for `beholder` in another terminal of this folder."""
    beside = Path(sys.executable).with_name("beholder")
    return "beholder" if shutil.which("beholder") or not beside.exists() else os.path.relpath(beside)


def _describe(loaded: Loaded, device: Device, metrics: Metrics) -> None:
    metrics.build.info({"version": beholder.__version__, "python": platform.python_version(), "device": device.kind})
    for name, seconds in loaded.load_seconds.items():
        metrics.load_seconds.labels(name).set(seconds)
    for name, graph in loaded.graphs.items():
        metrics.provider.labels(name, graph.session.provider).set(1)
        log.info("graph %s@%d runs on %s", name, graph.version, graph.session.provider)
    for scorer in loaded.scorers.values():
        spec = scorer.spec
        metrics.scorer_info.labels(spec.name, spec.version, spec.kind.name, scorer.graph.name, scorer.digest).set(1)
