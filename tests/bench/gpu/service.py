"""The service end to end: a server on the device, asked by processes on this machine, beside the loop without one."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.bench.process import Server
from beholder.bench.served import Way, measure
from beholder.bench.setup import ask_of, files_of, open_loop
from beholder.config import config_from
from beholder.load.fleet import Fleet
from beholder.load.mix import Mix, Picture
from beholder.runtime.session import Device
from beholder.scoring.catalog import Catalog
from bench.gpu.host import COUNT, SIDE_PX, cores
from bench.gpu.rows import Report, Row
from bench.pictures import jpegs
from server_process import environment

MANY = 16
"""Images in each request of one of the ways."""
LEAST_S = 0.4
WARM_UP = 0.4
"""Of the time of a measurement."""
START_S = 40.0
"""What a server with its callers takes at most before it is measured; without so much time none is started."""


@dataclass(frozen=True)
class Asking:
    """A way of asking.

    Attributes:
        samples: images in each request.
        repeated: the share of images that the server saw before; with it, its cache is on.
    """

    name: str
    way: Way
    samples: int = 1
    repeated: float = 0.0


@dataclass(frozen=True)
class Setting:
    """How a server is set.

    Attributes:
        runners: of each graph.
        fronts: processes of gRPC and decoding before the one with the device; 0: all in one.
    """

    runners: int
    fronts: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return f"runners: {self.runners}" + f", fronts: {self.fronts}" * bool(self.fronts)


def askings(in_flight: int, setting: Setting, is_first: bool) -> list[Asking]:
    """Return the ways of asking, with so many images under way at a time; all of them for the first server."""
    ways = [
        Asking(f"unary, {in_flight} in flight", Way(in_flight, False)),
        Asking(f"stream, {in_flight} in flight", Way(in_flight, True)),
        Asking(f"unary, {MANY} images in each", Way(max(1, in_flight // MANY), False), MANY),
    ]
    if is_first or setting.fronts:
        ways.append(Asking("stream, all known to the cache", Way(in_flight, True), 1, 1.0))
    if is_first:
        ways.append(Asking("unary, all known to the cache", Way(in_flight, False), 1, 1.0))
        ways.append(Asking("one at a time", Way(1, False)))
    return ways


def measure_service(
    report: Report,
    catalog: Catalog,
    scorer: str,
    device: Device,
    pictures: Path,
    in_flight: int,
    settings: Sequence[Setting],
) -> None:
    """Measure the loop, and a server of each setting."""
    images = tuple(Picture(f"{place}", data) for place, data in enumerate(jpegs(pictures, SIDE_PX, COUNT)))
    plain = Mix((ask_of(catalog, scorer),), images)
    with report.row("service", scorer, "the loop: no service, all cores") as row:
        report.need(START_S)
        config = config_from({"BEHOLDER_DEVICE": device.kind, "BEHOLDER_DEVICE_ID": str(device.id)})
        loop, _ = open_loop(config, catalog, scorer, files_of(plain))
        rates = loop.tune(loop.sizes()[-3:], report.seconds)
        row.rows = max(rates, key=lambda rows: rates[rows])
        row.per_s = loop.run(row.rows, report.seconds).rate
    for setting in settings:
        _measure_server(report, plain, device, setting, askings(in_flight, setting, setting == settings[0]))


def _measure_server(report: Report, plain: Mix, device: Device, setting: Setting, asked: Sequence[Asking]) -> None:
    scorer = plain.asks[0].name
    settings = {"scorers": scorer, "device": device.kind, "device_id": str(device.id)}
    settings |= {"runners": str(setting.runners), "fronts": str(setting.fronts)}
    with contextlib.ExitStack() as stack:
        with report.row("service", scorer, f"start a server, {setting.name}") as row:
            report.need(START_S)
            server = stack.enter_context(Server(environment(), settings))
        if row.error:
            return
        for asking in asked:
            with report.row("service", scorer, f"{asking.name}, {setting.name}") as row:
                report.need()
                _ask(report, server, plain, asking, setting, row)


def _ask(report: Report, server: Server, plain: Mix, asking: Asking, setting: Setting, row: Row) -> None:
    mix = Mix(plain.asks, plain.pictures, samples=asking.samples, repeated=asking.repeated)
    callers = max(1, min(6, cores() // 3))
    # The system gives connections to fronts by chance: several for each front even that out.
    connections = max(1, 4 * setting.fronts // callers)
    is_stream = asking.way.is_stream
    with Fleet(server.address, mix, processes=callers, is_stream=is_stream, connections=connections) as fleet:
        seconds = max(LEAST_S, report.seconds)
        served = measure(fleet, server, asking.way, WARM_UP * seconds, seconds)
    row.per_s = served.rate * asking.samples
    row.ms, row.p99_ms = (served.latency.percentile_s(place) * 1e3 for place in (50, 99))
    row.more |= {
        "server_cores": served.server.whole_s / served.seconds,
        "loop_cores": served.server.loop_s / served.seconds,
        "client_cores": served.client_cores,
    }
