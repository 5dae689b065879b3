"""The order of a run: the loop and each way of asking the server in turn, round by round."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from beholder.bench.loop import Loop
from beholder.bench.process import Server
from beholder.bench.result import Result
from beholder.bench.served import Way, measure
from beholder.bench.setup import files_of, open_loop
from beholder.config import Config
from beholder.load.fleet import Fleet
from beholder.load.mix import Mix
from beholder.load.server import infos, scrape
from beholder.scoring.catalog import Catalog


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        mix: what is asked of the one scorer.
        ways: in which the server is asked; none where it is left out.
        seconds, warmup_s: of each run.
        processes: that ask.
    """

    scorer: str
    mix: Mix
    ways: Sequence[Way]
    seconds: float
    warmup_s: float
    processes: int


class Run:
    """Fills a result; what was not opened is left out of the rounds."""

    def __init__(self, plan: Plan, config: Config, result: Result) -> None:
        self._plan, self._config, self._result = plan, config, result
        self._loop: Loop | None = None
        self._server: Server | None = None
        self._fleets: dict[bool, Fleet] = {}

    @property
    def steps(self) -> int:
        """How many runs a round has."""
        return len(self._plan.ways) * (self._server is not None) + (self._loop is not None)

    def open_loop(self, catalog: Catalog, sizes: Sequence[int], seconds: float) -> None:
        """Load the scorer here and find the best batch size, with so many seconds for a run of each.

        Raises:
            BeholderError: it can't run, or an image can't be scored.
        """
        files, result = files_of(self._plan.mix), self._result
        self._loop, result.device = open_loop(self._config, catalog, self._plan.scorer, files)
        result.batches = self._loop.tune(sizes or self._loop.sizes(), seconds)
        result.batch_rows = max(result.batches, key=lambda rows: result.batches[rows])

    def open_server(self, stack: contextlib.ExitStack, environ: Mapping[str, str]) -> None:
        """Start the server and those who ask it; the stack ends them.

        Raises:
            NotServing: it does not start.
        """
        plan = self._plan
        settings = {"scorers": plan.scorer} | ({} if plan.mix.repeated else {"cache_mb": "0"})
        self._server = stack.enter_context(Server(environ, settings))
        for kind in dict.fromkeys(way.is_stream for way in plan.ways):
            fleet = Fleet(self._server.address, plan.mix, processes=plan.processes, is_stream=kind)
            self._fleets[kind] = stack.enter_context(fleet)
        self._result.versions["server"] = infos(scrape([self._server.metrics_address]))

    def round(self, doing: Callable[[str], None]) -> None:
        """Run everything once; `doing` is told of each run before it.

        Raises:
            NotAnswered: requests failed.
            KeyboardInterrupt: by hand.
        """
        plan, result = self._plan, self._result
        if self._loop:
            doing("loop")
            result.ran.append(self._loop.run(result.batch_rows, plan.seconds))
        for way in plan.ways if self._server else ():
            doing(way.name)
            assert self._server  # noqa: S101  said above
            served = measure(self._fleets[way.is_stream], self._server, way, plan.warmup_s, plan.seconds)
            result.served.setdefault(way, []).append(served)
