"""Serving from several processes: which there are, what each of them builds, and how one of them starts and ends."""

import asyncio
import contextlib
import dataclasses
import logging
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from beholder import app, serving
from beholder.clock import monotonic
from beholder.config import MIB, Config, split_address
from beholder.engine.engine import Engine
from beholder.engine.lanes import lanes_here
from beholder.errors import BeholderError, ConfigError, Unavailable
from beholder.fronts import control
from beholder.fronts.board import Board
from beholder.fronts.control import Control
from beholder.fronts.engines import Engines
from beholder.fronts.far_lane import lanes_far
from beholder.fronts.host import Host
from beholder.fronts.keeper import Keeper, Plan
from beholder.fronts.member import ENGINE
from beholder.fronts.memory import Memory
from beholder.lease import TOKEN_BYTES
from beholder.metrics import Gathered, Metrics, of_lending, without_runs
from beholder.rpc.lender import Lender
from beholder.rpc.regions import Region, Regions
from beholder.runtime.device import choose_device
from beholder.runtime.session import Device
from beholder.scoring.elsewhere import Elsewhere, described

log = logging.getLogger(__name__)
SHARED = ("max_queue_rows", "max_queue_mb", "max_prepared_mb", "cache_mb", "taste_memory_mb")
"""Limits of the whole server: each front has its part."""


@dataclass(frozen=True)
class Description:
    """What an engine process says of itself.

    Attributes:
        device: "cpu" or "cuda".
        runners: batches that it runs at the same time.
        graphs: in the order by which it knows them.
    """

    device: str
    runners: int
    graphs: tuple[Elsewhere, ...]

    @property
    def places(self) -> Mapping[str, int]:
        """Graph -> its place."""
        return {graph.name: place for place, graph in enumerate(self.graphs)}


@dataclass(frozen=True)
class ForFront:
    """What a front is built from."""

    config: Config
    fronts: int
    description: Description
    server_id: bytes


class _RegionsOfAll(Regions):
    """Regions that all fronts know before their borrower does."""

    def __init__(self, config: Config, server_id: bytes, keeper: Keeper) -> None:
        super().__init__(*serving.lending_limits(config), server_id)
        self._keeper = keeper

    def lend(self, size_bytes: int) -> Region:
        region = super().lend(size_bytes)
        if not self._keeper.know(region.token, region.size_bytes, region.fd):
            region.hand_out(lambda _: None)
            self.take_back(region)
            raise Unavailable("a process of the server does not answer")
        return region

    def take_back(self, region: Region) -> None:
        self._keeper.forget(region.token)
        super().take_back(region)


def serve(config: Config, engines_on_cpu: int = 1) -> None:
    """Serve until SIGTERM or SIGINT, from as many processes as the settings say, then drain and end the process.

    Args:
        engines_on_cpu: engine processes where there is no GPU; more of them stand for several GPUs in tests.

    Raises:
        ConfigError: start-up can't go on.
    """
    if len(config.device_id) > 1 or engines_on_cpu > 1:
        config = dataclasses.replace(config, fronts=max(1, config.fronts))
    if not config.fronts:
        serving.serve(config)
        return
    serving.log_to_stderr(config.log_level)
    server_id, metrics = secrets.token_bytes(TOKEN_BYTES), Metrics()
    with reserved(config.address) as address:
        keeper = Keeper(
            _plan(dataclasses.replace(config, address=address), engines_on_cpu, server_id),
            lambda offer: serving.welcome(offer, address, metrics_address),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: keeper.stop(number))
        page = Gathered(lambda: [*keeper.pages(), of_lending(metrics)]).registry
        regions = _RegionsOfAll(config, server_id, keeper)
        lends = _lending(serving.make_lender(config.shm, regions, metrics)) if config.shm else contextlib.nullcontext()
        with lends, serving.metrics_server(page, config.metrics_address) as metrics_address:
            code = keeper.run()
    log.info("all processes have stopped")
    serving.leave(code)


@contextlib.contextmanager
def _lending(lender: Lender) -> Iterator[None]:
    """Lend memory, on a thread of its own, while the context lasts.

    Raises:
        ConfigError: the lender can't listen.
    """

    async def start() -> None:
        lender.start()

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="lender", daemon=True).start()
    asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(lender.stop(), loop).result()


@contextlib.contextmanager
def reserved(address: str) -> Iterator[str]:
    """Hold an address that nobody has, for processes that share its port, and give it with its real port.

    Who shares a port need not know who else does: so it is asked for alone first, and a server left over is found.

    Raises:
        ConfigError: in use, or not an address of this machine.
    """
    host, port = split_address(address)
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # who only just closed it does not count
            alone.bind(where)
            where = alone.getsockname()
        held = socket.socket(family)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(where)
    except OSError:
        problem = "the port is in use, or this machine has no such address"
        raise ConfigError(f"BEHOLDER_ADDRESS: can't listen on {address}: {problem}") from None
    with held:
        yield f"[{host}]:{where[1]}" if ":" in host else f"{host}:{where[1]}"


def _plan(config: Config, engines_on_cpu: int, server_id: bytes) -> Plan:
    part = shared_out(config, app.usable_cores())

    def engines(description: Description) -> int:
        return len(config.device_id) if description.device == "cuda" else engines_on_cpu

    def about(role: str, number: int, description: Description | None) -> Config | ForFront:
        if role == ENGINE:
            return _of_engine(config, number, description, engines_on_cpu)
        assert description is not None  # noqa: S101 - fronts come after the first engine
        return ForFront(part, config.fronts, description, server_id)

    largest_row_bytes = 2 * 3 * int(config.max_image_mpx * 1e6)
    return Plan(
        config.fronts,
        engines,
        about,
        memory_bytes=part.max_prepared_mb * MIB + 2 * largest_row_bytes,
        drain_s=config.drain_delay_s + config.drain_s + 3 * serving.GRACE_S,
        stop_s=serving.GRACE_S,
    )


def shared_out(config: Config, cores: int) -> Config:
    """Return the settings of one front: its part of the server's limits, but room for one whole request."""
    threads = config.decode_threads or cores
    share = {name: -(-getattr(config, name) // config.fronts) for name in SHARED}
    share["max_queue_rows"] = max(share["max_queue_rows"], min(config.max_queue_rows, config.max_samples))
    share["max_queue_mb"] = max(share["max_queue_mb"], min(config.max_queue_mb, config.max_message_mb))
    return dataclasses.replace(config, **share, decode_threads=-(-threads // config.fronts))


def _of_engine(config: Config, number: int, first: Description | None, engines_on_cpu: int) -> Config:
    """Return the settings of an engine process; those after the first run where that found it could, or not at all."""
    runners = config.runners
    if engines_on_cpu > 1:
        runners = max(1, (runners or app.usable_cores() // config.intra_op_threads) // engines_on_cpu)
    if first is None or first.device == "cpu":
        return dataclasses.replace(config, runners=runners, device=first.device if first else config.device)
    return dataclasses.replace(config, device=first.device, device_id=(config.device_id[number],))


def member(descriptor: int) -> None:
    """Be the process that the parent at the other end of a socket says; ends with it."""
    parent = Control(socket.socket(fileno=descriptor))
    _, start, (memory,) = parent.hear()
    config = start.about if start.role == ENGINE else start.about.config
    serving.log_to_stderr(config.log_level, f"{start.role}{start.number} ")
    try:
        if start.role == ENGINE:
            _run_engine(parent, config, Memory(memory))
        else:
            asyncio.run(_run_front(parent, start.about, Memory(memory)))
    except BeholderError as error:
        parent.say(control.FAILED, error.message)
    except Exception:
        log.exception("it can't go on")
    serving.leave(1)


def _run_engine(parent: Control, config: Config, memory: Memory) -> None:
    stopping, metrics = threading.Event(), Metrics()
    orders = parent.obey()
    orders[control.METRICS] = lambda number, _: parent.say(control.METRICS, (number, list(metrics.registry.collect())))
    orders[control.STOP] = lambda *_: stopping.set()
    device = choose_device(config.device, config.device_id[0], config.intra_op_threads)
    config = app.with_threads(config, device.kind)
    _, loaded = app.load(config, device)
    app.describe(loaded, device.kind, metrics)
    graphs = tuple(loaded.graphs.values())
    make_lane = lanes_here(config, device.kind, len(graphs), monotonic, metrics)
    host = Host(graphs, make_lane, Board(memory), monotonic, metrics)
    known = tuple(described(graph, device.kind) for graph in graphs)
    parent.say(control.DESCRIBED, Description(device.kind, config.runners, known))
    host.start()
    orders[control.LINK] = lambda number, wires: host.connect(number, socket.socket(fileno=wires[0]), Memory(wires[1]))
    parent.say(control.READY)
    stopping.wait()
    host.stop()
    serving.leave()


async def _run_front(parent: Control, start: ForFront, memory: Memory) -> None:
    config, description, metrics = start.config, start.description, Metrics()
    loop, stopping, is_serving = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    orders = parent.obey()
    orders[control.METRICS] = lambda number, _: parent.say(
        control.METRICS, (number, without_runs(metrics.registry.collect()))
    )
    # Before it serves there is nobody to wait for.
    orders[control.DRAIN] = lambda *_: (
        loop.call_soon_threadsafe(stopping.set) if is_serving.is_set() else serving.leave()
    )
    regions = Regions(*serving.lending_limits(config), start.server_id)

    def know(told: tuple[bytes, int], descriptors: list[int]) -> None:
        try:
            regions.know(*told, *descriptors)
        except (OSError, TypeError) as error:  # no memory, or no file descriptor left: not even for this one
            log.error("memory that is lent can't be read here: %s", error)
        else:
            parent.say(control.KNOWN, told[0])

    orders[control.KNOW] = know
    orders[control.FORGET] = lambda token, _: regions.forget(token)
    engines = Engines(memory, monotonic, metrics, lost=lambda number: parent.say(control.LOST, number))
    make_lane = lanes_far(engines, description.places, description.runners, start.fronts)
    orders[control.LINK] = lambda number, wires: engines.connect(
        number, socket.socket(fileno=wires[0]), Board(Memory(wires[1]))
    )
    device = Device(description.device, 0, config.intra_op_threads)
    catalog, loaded = app.load(config, device, elsewhere={graph.name: graph for graph in description.graphs})
    engine = Engine(catalog, loaded, config, device.kind, monotonic, metrics, make_lane)
    service = app.furnish(config, metrics, loaded, engine, device.kind)

    def serves(_: str) -> None:
        is_serving.set()
        parent.say(control.SERVING, service.offer)

    parent.say(control.BUILT)
    await serving.answer(service, stopping, serves, regions, shares_port=True)
    serving.leave()
