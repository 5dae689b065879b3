"""grpc.health.v1, computed: what the lanes say, under the names that probes and balancers ask.

""  ready  beholder.v1.*   SERVING while requests are let in and at least one scorer works
inference.*                the same
startup                    SERVING from the end of the warm-up on
live                       SERVING while the process answers
scorer/NAME                SERVING while that scorer works; one that fails takes down no other
"""

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from beholder.engine.engine import Engine
from beholder.metrics import Metrics

POLL_S = 0.5
INFERENCE = "inference.GRPCInferenceService"
SERVICES = (
    "",
    "ready",
    "beholder.v1.ScoringService",
    "beholder.v1.ScorerService",
    "beholder.v1.TasteService",
    INFERENCE,
)


class Health:
    """The statuses of one server; `servicer` answers Check and Watch."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self.servicer = aio.HealthServicer()
        self._engine = engine
        self._metrics = metrics
        self._is_serving = False

    @property
    def is_ready(self) -> bool:
        """Whether requests are let in and at least one scorer works."""
        return self._is_serving and not all(map(self._engine.not_ready_reason, self._engine.catalog.scorers))

    async def start(self) -> None:
        """Say NOT_SERVING to everything but `live`; call before the server listens."""
        await self._set("live", is_serving=True)
        await self._set("startup", is_serving=False)
        await self.refresh()

    async def serve(self) -> None:
        """Say that the warm-up is over."""
        self._is_serving = True
        await self._set("startup", is_serving=True)
        await self.refresh()

    async def drain(self) -> None:
        """Say NOT_SERVING to balancers, while calls are still answered."""
        self._is_serving = False
        await self.refresh()

    async def refresh(self) -> None:
        """Ask the lanes again."""
        works = {name: not self._engine.not_ready_reason(name) for name in self._engine.catalog.scorers}
        for name, is_ready in works.items():
            self._metrics.scorer_ready.labels(name).set(is_ready)
            await self._set(f"scorer/{name}", is_serving=is_ready and self._is_serving)
        for service in SERVICES:
            await self._set(service, is_serving=any(works.values()) and self._is_serving)

    async def _set(self, name: str, *, is_serving: bool) -> None:
        status = HealthCheckResponse.SERVING if is_serving else HealthCheckResponse.NOT_SERVING
        await self.servicer.set(name, status)
