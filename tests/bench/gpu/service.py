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


def askings(in_flight: int) -> list[Asking]:
    """Return the ways of asking, with so many images under way at a time."""
    return [
        Asking("one at a time", Way(1, False)),
        Asking(f"unary, {in_flight} in flight", Way(in_flight, False)),
        Asking(f"stream, {in_flight} in flight", Way(in_flight, True)),
        Asking(f"unary, {MANY} images in each", Way(max(1, in_flight // MANY), False), MANY),
        Asking("unary, all known to the cache", Way(in_flight, False), 1, 1.0),
        Asking("stream, all known to the cache", Way(in_flight, True), 1, 1.0),
    ]


def measure_service(
    report: Report,
    catalog: Catalog,
    scorer: str,
    device: Device,
    pictures: Path,
    in_flight: int,
    runners: Sequence[int],
) -> None:
    """Measure the loop, and a server for each number of runners."""
    images = tuple(Picture(f"{place}", data) for place, data in enumerate(jpegs(pictures, SIDE_PX, COUNT)))
    plain = Mix((ask_of(catalog, scorer),), images)
    with report.row("service", scorer, "the loop: no service, all cores") as row:
        report.need(START_S)
        config = config_from({"BEHOLDER_DEVICE": device.kind, "BEHOLDER_DEVICE_ID": str(device.id)})
        loop, _ = open_loop(config, catalog, scorer, files_of(plain))
        rates = loop.tune(loop.sizes()[-3:], report.seconds)
        row.rows = max(rates, key=lambda rows: rates[rows])
        row.per_s = loop.run(row.rows, report.seconds).rate
    for count in runners:
        _measure_server(report, plain, device, in_flight, count)


def _measure_server(report: Report, plain: Mix, device: Device, in_flight: int, runners: int) -> None:
    scorer = plain.asks[0].name
    settings = {"scorers": scorer, "device": device.kind, "device_id": str(device.id), "runners": str(runners)}
    with contextlib.ExitStack() as stack:
        with report.row("service", scorer, f"start a server, runners: {runners}") as row:
            report.need(START_S)
            server = stack.enter_context(Server(environment(), settings))
        if row.error:
            return
        for asking in askings(in_flight):
            with report.row("service", scorer, f"{asking.name}, runners: {runners}") as row:
                report.need()
                _ask(report, server, plain, asking, row)


def _ask(report: Report, server: Server, plain: Mix, asking: Asking, row: Row) -> None:
    mix = Mix(plain.asks, plain.pictures, samples=asking.samples, repeated=asking.repeated)
    callers = max(1, min(4, cores() // 4))
    with Fleet(server.address, mix, processes=callers, is_stream=asking.way.is_stream) as fleet:
        seconds = max(LEAST_S, report.seconds)
        served = measure(fleet, server, asking.way, WARM_UP * seconds, seconds)
    row.per_s = served.rate * asking.samples
    row.ms, row.p99_ms = (served.latency.percentile_s(place) * 1e3 for place in (50, 99))
    row.more |= {
        "server_cores": served.server.whole_s / served.seconds,
        "loop_cores": served.server.loop_s / served.seconds,
        "client_cores": served.client_cores,
    }
