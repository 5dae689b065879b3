"""ScorerService: tells what the server can score with."""

from concurrent.futures import ThreadPoolExecutor

import beholder
from beholder.engine.engine import Engine
from beholder.errors import InvalidSample
from beholder.metrics import Metrics
from beholder.rpc import convert
from beholder.rpc.call import Context, answering
from beholder.rpc.finding import Finder
from beholder.rpc.regions import Regions
from beholder.taste.scorer import name_in
from beholder.v1 import scorer_service_pb2 as pb
from beholder.v1 import scorer_service_pb2_grpc as pb_grpc


class ScorerServicer(pb_grpc.ScorerServiceServicer):
    """Answers ListScorers and GetScorer from the engine's catalogue, and GetScorer of a taste from its store.

    Args:
        threads: where tastes are read.
        socket: path at which memory is lent; empty where none is.
    """

    def __init__(
        self,
        engine: Engine,
        finder: Finder,
        threads: ThreadPoolExecutor,
        metrics: Metrics,
        regions: Regions,
        socket: str,
    ) -> None:
        self._engine, self._finder, self._threads = engine, finder, threads
        self._metrics, self._regions, self._socket = metrics, regions, socket

    async def ListScorers(self, request: pb.ListScorersRequest, context: Context) -> pb.ListScorersResponse:  # noqa: N802, D102
        async with answering("ListScorers", context, self._engine.clock, self._metrics):
            catalog = self._engine.catalog
            scorers = [
                convert.scorer_to(spec, self._engine.not_ready_reason(name))
                for name, spec in sorted(catalog.scorers.items())
            ]
            return pb.ListScorersResponse(scorers=scorers, panels=convert.panels_to(catalog.panels))

    async def GetScorer(self, request: pb.GetScorerRequest, context: Context) -> pb.GetScorerResponse:  # noqa: N802, D102
        async with answering("GetScorer", context, self._engine.clock, self._metrics):
            if not request.name:
                raise InvalidSample("a scorer's name is required", "name")
            if name_in(request.name) is not None:
                scorer = await self._finder.find_one_apart(request.name, "name", self._threads)
                return pb.GetScorerResponse(scorer=convert.taste_scorer_to(scorer))
            spec = self._engine.catalog.scorer(request.name)
            reason = self._engine.not_ready_reason(spec.name)
            return pb.GetScorerResponse(scorer=convert.scorer_to(spec, reason, spec.card))

    async def GetServer(self, request: pb.GetServerRequest, context: Context) -> pb.GetServerResponse:  # noqa: N802, D102
        async with answering("GetServer", context, self._engine.clock, self._metrics):
            memory = pb.SharedMemory(socket=self._socket, server_id=self._regions.server_id) if self._socket else None
            return pb.GetServerResponse(version=beholder.__version__, shared_memory=memory)
