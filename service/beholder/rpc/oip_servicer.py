"""GRPCInferenceService: the Open Inference Protocol v2 as a second face of the engine; decides nothing about scores."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import beholder
from beholder.config import Config
from beholder.engine.engine import Engine
from beholder.engine.job import Job
from beholder.errors import BeholderError, CapacityError, InputError, InvalidSample
from beholder.inference_v2 import grpc_service_pb2 as pb
from beholder.inference_v2 import grpc_service_pb2_grpc as pb_grpc
from beholder.inference_v2 import model_statistics_pb2 as statistics_pb
from beholder.inference_v2 import tensors_pb2 as infer_pb
from beholder.metrics import Metrics
from beholder.rpc import oip_tensors
from beholder.rpc.call import Context, answering, apart, counted, deadline_of
from beholder.rpc.finding import Finder
from beholder.rpc.health import Health
from beholder.rpc.oip_answer import answer, at_sample, wanted_from
from beholder.rpc.oip_models import PLATFORM, Model, config_to, metadata_to, split
from beholder.rpc.oip_statistics import Statistics
from beholder.rpc.oip_stream import in_order
from beholder.rpc.status import details_of
from beholder.types import Priority, SampleResult, Score

EXTENSIONS = ("classification", "model_configuration", "schedule_policy", "statistics")
PRIORITIES = {0: Priority.INTERACTIVE, 1: Priority.INTERACTIVE, 2: Priority.BATCH}
FINAL = "triton_final_response"


class OipServicer(pb_grpc.GRPCInferenceServiceServicer):
    """Answers GRPCInferenceService.

    Args:
        threads: where tastes are read that are not in memory, and what takes long is done.
    """

    def __init__(
        self,
        engine: Engine,
        finder: Finder,
        health: Health,
        threads: ThreadPoolExecutor,
        config: Config,
        metrics: Metrics,
    ) -> None:
        self._engine, self._finder, self._health, self._threads = engine, finder, health, threads
        self._config = config
        self._metrics, self._statistics = metrics, Statistics(engine.clock, metrics)

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802, D102
        async with self._answering("ServerLive", context):
            return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802, D102
        async with self._answering("ServerReady", context):
            return pb.ServerReadyResponse(ready=self._health.is_ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802, D102
        async with self._answering("ModelReady", context):
            try:
                model = await self._find(request.name, request.version)
            except (InputError, CapacityError):  # Triton says no more of a model that there is none of
                return pb.ModelReadyResponse(ready=False)
            is_well = model.spec is None or not self._engine.not_ready_reason(model.spec.name)
            return pb.ModelReadyResponse(ready=self._health.is_ready and is_well)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:  # noqa: N802, D102
        async with self._answering("ServerMetadata", context):
            return pb.ServerMetadataResponse(name=PLATFORM, version=beholder.__version__, extensions=EXTENSIONS)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802, D102
        async with self._answering("ModelMetadata", context):
            return metadata_to(await self._find(request.name, request.version))

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Context) -> pb.ModelConfigResponse:  # noqa: N802, D102
        async with self._answering("ModelConfig", context):
            model = await self._find(request.name, request.version)
            return pb.ModelConfigResponse(config=config_to(model, self._config))

    async def ModelStatistics(  # noqa: N802, D102
        self, request: statistics_pb.ModelStatisticsRequest, context: Context
    ) -> statistics_pb.ModelStatisticsResponse:
        async with self._answering("ModelStatistics", context):
            every = self._engine.catalog.scorers
            names = [request.name] if request.name else [it for it in every if not self._engine.not_ready_reason(it)]
            models = [await self._find(name, request.version) for name in names]
            return await apart(self._threads, partial(self._statistics.read, models))

    async def ModelInfer(  # noqa: N802, D102
        self, request: infer_pb.ModelInferRequest, context: Context
    ) -> infer_pb.ModelInferResponse:
        async with self._answering("ModelInfer", context) as request_id:
            return await self._infer(request, context, request_id)

    async def ModelStreamInfer(  # noqa: N802, D102
        self, requests: AsyncIterator[infer_pb.ModelInferRequest], context: Context
    ) -> AsyncIterator[infer_pb.ModelStreamInferResponse]:
        async with self._answering("ModelStreamInfer", context) as request_id:

            async def one(request: infer_pb.ModelInferRequest, number: int) -> infer_pb.ModelStreamInferResponse:
                return await self._message(request, context, f"{request_id}.{number}")

            async with contextlib.aclosing(in_order(requests, one)) as answers:
                async for response in answers:
                    yield response

    async def _message(
        self, request: infer_pb.ModelInferRequest, context: Context, request_id: str
    ) -> infer_pb.ModelStreamInferResponse:
        try:
            with counted("ModelStreamInfer.message", request_id, self._engine.clock, self._metrics):
                response = await self._infer(request, context, request_id)
            message = infer_pb.ModelStreamInferResponse(infer_response=response)
        except BeholderError as error:
            message = infer_pb.ModelStreamInferResponse(error_message=details_of(error))
            response = message.infer_response
            response.model_name, response.model_version = request.model_name, request.model_version
            response.id = request.id
        message.infer_response.parameters[FINAL].bool_param = True
        return message

    async def _infer(
        self, request: infer_pb.ModelInferRequest, context: Context, request_id: str
    ) -> infer_pb.ModelInferResponse:
        deadline_s = deadline_of(context, self._engine.clock, self._config.default_timeout_s)
        timeout_us = _whole(request, "timeout")
        if timeout_us:
            deadline_s = min(deadline_s, self._engine.clock() + timeout_us / 1e6)
        model = await self._find(request.model_name, request.model_version)
        with self._statistics.counted(model):
            wanted = wanted_from(request, model)
            priority = PRIORITIES.get(_whole(request, "priority"))
            if priority is None:
                want = "want 1 where somebody waits for the answer, 2 for bulk work, or 0 for the default"
                raise InvalidSample(f"{want}, got {_whole(request, 'priority')}", "priority")
            read = partial(oip_tensors.samples_from, request, self._config.max_samples)
            samples = await apart(self._threads, read) if oip_tensors.takes_long(request) else read()
            job = self._engine.submit(
                samples, [model.scorer], deadline_s=deadline_s, priority=priority, request_id=request_id
            )
            return answer(request, model, wanted, _scores(await _results(job)))

    async def _find(self, name: str, version: str) -> Model:
        scorer, datatype = split(name)
        model = Model(name, datatype, await self._finder.find_one_apart(scorer, "model_name", self._threads))
        model.check_version(version)
        return model

    def _answering(self, method: str, context: Context) -> contextlib.AbstractAsyncContextManager[str]:
        return answering(method, context, self._engine.clock, self._metrics)


def _whole(request: infer_pb.ModelInferRequest, name: str) -> int:
    """Return a parameter that is a whole number, 0 where it is absent.

    Raises:
        InvalidSample: it is another thing, or negative.
    """
    if name not in request.parameters:
        return 0
    parameter = request.parameters[name]
    which = parameter.WhichOneof("parameter_choice")
    if which not in ("int64_param", "uint64_param"):
        raise InvalidSample(f"want an int64_param or uint64_param, got {which or 'nothing'}", name)
    value = int(getattr(parameter, which))
    if value < 0:
        raise InvalidSample(f"want 0 or more, got {value}", name)
    return value


async def _results(job: Job) -> list[SampleResult]:
    """Wait for a job; who gives up waiting takes its rows out of the queues."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(done.set)

    job.add_done_callback(wake)
    try:
        await done.wait()
    except asyncio.CancelledError:
        job.cancel()
        raise
    return job.wait()


def _scores(results: list[SampleResult]) -> list[Score]:
    """Return the score of each sample.

    Raises:
        BeholderError: that of the first sample that has none: a batch of tensors has no place for an error.
    """
    scores: list[Score] = []
    for index, result in enumerate(results):
        (outcome,) = result.values()
        if isinstance(outcome, BeholderError):
            raise at_sample(outcome, index)
        scores.append(outcome)
    return scores
