"""TasteService: each call runs in a thread of its own kind, so that a slow disk holds up nobody who only scores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from beholder.clock import Clock
from beholder.errors import DeadlinePassed
from beholder.metrics import Metrics
from beholder.rpc.call import Context, answering, apart, deadline_of
from beholder.rpc.taste_calls import TasteCalls
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1 import taste_service_pb2_grpc as pb_grpc

Q = TypeVar("Q")
A = TypeVar("A")


class TasteServicer(pb_grpc.TasteServiceServicer):
    """Answers TasteService.

    Args:
        threads: where calls run.
        default_timeout_s: deadline of calls that bring none.
    """

    def __init__(
        self, calls: TasteCalls, threads: ThreadPoolExecutor, default_timeout_s: float, clock: Clock, metrics: Metrics
    ) -> None:
        self._calls, self._threads = calls, threads
        self._default_timeout_s, self._clock, self._metrics = default_timeout_s, clock, metrics

    async def CreateTaste(self, request: pb.CreateTasteRequest, context: Context) -> pb.CreateTasteResponse:  # noqa: N802, D102
        return await self._answer("CreateTaste", self._calls.create_taste, request, context)

    async def AddOpinions(self, request: pb.AddOpinionsRequest, context: Context) -> pb.AddOpinionsResponse:  # noqa: N802, D102
        return await self._answer("AddOpinions", self._calls.add_opinions, request, context)

    async def RemoveOpinions(self, request: pb.RemoveOpinionsRequest, context: Context) -> pb.RemoveOpinionsResponse:  # noqa: N802, D102
        return await self._answer("RemoveOpinions", self._calls.remove_opinions, request, context)

    async def GetTaste(self, request: pb.GetTasteRequest, context: Context) -> pb.GetTasteResponse:  # noqa: N802, D102
        return await self._answer("GetTaste", self._calls.get_taste, request, context)

    async def ListTastes(self, request: pb.ListTastesRequest, context: Context) -> pb.ListTastesResponse:  # noqa: N802, D102
        return await self._answer("ListTastes", self._calls.list_tastes, request, context)

    async def DeleteTaste(self, request: pb.DeleteTasteRequest, context: Context) -> pb.DeleteTasteResponse:  # noqa: N802, D102
        return await self._answer("DeleteTaste", self._calls.delete_taste, request, context)

    async def SuggestPairs(self, request: pb.SuggestPairsRequest, context: Context) -> pb.SuggestPairsResponse:  # noqa: N802, D102
        return await self._answer("SuggestPairs", self._calls.suggest_pairs, request, context)

    async def CompareTastes(self, request: pb.CompareTastesRequest, context: Context) -> pb.CompareTastesResponse:  # noqa: N802, D102
        return await self._answer("CompareTastes", self._calls.compare_tastes, request, context)

    async def ExportTaste(self, request: pb.ExportTasteRequest, context: Context) -> pb.ExportTasteResponse:  # noqa: N802, D102
        return await self._answer("ExportTaste", self._calls.export_taste, request, context)

    async def ImportTaste(self, request: pb.ImportTasteRequest, context: Context) -> pb.ImportTasteResponse:  # noqa: N802, D102
        return await self._answer("ImportTaste", self._calls.import_taste, request, context)

    async def MoveTaste(self, request: pb.MoveTasteRequest, context: Context) -> pb.MoveTasteResponse:  # noqa: N802, D102
        return await self._answer("MoveTaste", self._calls.move_taste, request, context)

    async def _answer(self, method: str, call: Callable[[Q, float, str], A], request: Q, context: Context) -> A:
        async with answering(method, context, self._clock, self._metrics) as request_id:
            deadline_s = deadline_of(context, self._clock, self._default_timeout_s)

            def run() -> A:
                left_s = deadline_s - self._clock()
                if left_s <= 0.0:
                    raise DeadlinePassed("the deadline passed while the call waited for a thread")
                return call(request, left_s, request_id)

            return await apart(self._threads, run)
