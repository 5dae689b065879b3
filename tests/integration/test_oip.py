"""The Open Inference Protocol as Triton's own client speaks it: the same engine, the same scores, limits and series."""

import asyncio
import queue
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc.aio as triton_aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from beholder.v1 import samples_pb2, scoring_service_pb2, taste_service_pb2, tastes_pb2
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from beholder.v1.taste_service_pb2_grpc import TasteServiceStub
from oip_wire import TIMEOUT_S, files, pixels, png, tensor, triton
from server_process import ServerProcess, StartServer, environment

MAX_SAMPLES = 16
SCORERS = ("psnr", "ssim", "image-safety", "content-labels")
ONE, OTHER = pixels(1), pixels(2)
FIDELITY, ALONE = ("psnr", "ssim"), ("image-safety", "content-labels")


@pytest.fixture(scope="module")
def served(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    store = tmp_path_factory.mktemp("store") / "tastes.db"
    return start_server(scorers=SCORERS, max_samples=MAX_SAMPLES, max_image_mpx=1.0, taste_store=store)


@pytest.fixture(scope="module")
def client(served: ServerProcess) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served.address) as client:
        yield client


@pytest.fixture(scope="module")
def channel(served: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.address) as channel:
        yield channel


def first_face(channel: grpc.Channel, scorer: str, *pairs: tuple[bytes, ...]) -> scoring_service_pb2.ScoreResponse:
    """Ask beholder.v1 about (candidate,) or (candidate, reference) files."""
    request = scoring_service_pb2.ScoreRequest(scorers=[scorer])
    for pair in pairs:
        sample = request.samples.add(candidate=samples_pb2.Image(encoded=pair[0]))
        if len(pair) > 1:
            sample.reference.encoded = pair[1]
    return ScoringServiceStub(channel).Score(request, timeout=TIMEOUT_S)


def values(response: scoring_service_pb2.ScoreResponse) -> list[float]:
    return [sample.results[0].score.value for sample in response.samples]


def scores(result: triton.InferResult) -> list[float]:
    score = result.as_numpy("score")
    assert score.dtype == np.float32
    assert score.ndim == 2
    return score.ravel().tolist()


def refusal(call: Any, *args: Any, **more: Any) -> tuple[str, str]:
    """Return code and text of a call that fails."""
    with pytest.raises(triton.InferenceServerException) as caught:
        call(*args, **more)
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()


def test_server_and_models_are_told(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("ssim")
    assert client.is_model_ready("ssim", "1")
    assert not client.is_model_ready("ssim", "2")
    assert not client.is_model_ready("no-such-scorer")
    assert not client.is_model_ready("lpips-vgg")
    assert not client.is_model_ready("taste/nobody")
    server = client.get_server_metadata()
    assert server.name == "beholder"
    assert "statistics" in server.extensions


@pytest.mark.parametrize("scorer", FIDELITY)
@pytest.mark.parametrize("form", ["files", "files in one dimension", "uint8", "fp32", "both"])
def test_scores_of_pairs_are_those_of_the_first_face(
    client: triton.InferenceServerClient, channel: grpc.Channel, scorer: str, form: str
) -> None:
    candidates, references = [ONE, OTHER, ONE], [OTHER, OTHER, ONE]
    stacked = np.stack(candidates), np.stack(references)
    as_files = [png(image) for image in candidates], [png(image) for image in references]
    inputs = {
        "files": [files("candidate", *as_files[0]), files("reference", *as_files[1])],
        "files in one dimension": [files("candidate", *as_files[0], shape=[3]), files("reference", *as_files[1])],
        "uint8": [tensor("candidate", stacked[0]), tensor("reference", stacked[1])],
        "fp32": [tensor(name, (array / 255).astype(np.float32)) for name, array in
                 zip(("candidate", "reference"), stacked, strict=True)],
        "both": [tensor("reference", stacked[1]), files("candidate", *as_files[0])],
    }  # fmt: skip
    expected = values(first_face(channel, scorer, *zip(*as_files, strict=True)))
    assert scores(client.infer(scorer, inputs[form])) == expected


@pytest.mark.parametrize("scorer", ALONE)
def test_scores_and_labels_are_those_of_the_first_face(
    client: triton.InferenceServerClient, channel: grpc.Channel, scorer: str
) -> None:
    expected = first_face(channel, scorer, (png(ONE),), (png(OTHER),))
    result = client.infer(scorer, [files("candidate", png(ONE), png(OTHER))])
    assert scores(result) == values(expected)
    config = client.get_model_config(scorer).config
    names = config.parameters["labels"].string_value.split("\n")
    labels = result.as_numpy("labels")
    for row, sample in zip(labels, expected.samples, strict=True):
        told = {label.name: label.value for label in sample.results[0].score.labels}
        if labels.dtype == np.float32:
            assert dict(zip(names, row.tolist(), strict=True)) == told
        else:
            parts = [text.decode().split(":", 2) for text in row]
            assert {name: float(np.float32(value)) for value, _, name in parts} == told
            assert all(names[int(place)] == name for _, place, name in parts)


def test_the_likeliest_labels_come_as_tritons_classes(client: triton.InferenceServerClient) -> None:
    wanted = [triton.InferRequestedOutput("labels", class_count=2), triton.InferRequestedOutput("score")]
    result = client.infer("image-safety", [files("candidate", png(ONE))], outputs=wanted)
    assert [output.name for output in result.get_response().outputs] == ["labels", "score"]
    likeliest, second = (float(text.decode().split(":")[0]) for text in result.as_numpy("labels")[0])
    assert likeliest >= second


def test_a_taste_is_a_model(client: triton.InferenceServerClient, channel: grpc.Channel) -> None:
    tastes = TasteServiceStub(channel)
    tastes.CreateTaste(taste_service_pb2.CreateTasteRequest(name="ann", request_id="make"), timeout=TIMEOUT_S)
    images = [tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=png(image))) for image in (ONE, OTHER)]
    told = [tastes_pb2.NewOpinion(like=images[0]), tastes_pb2.NewOpinion(dislike=images[1])]
    request = taste_service_pb2.AddOpinionsRequest(name="ann", request_id="tell", opinions=told)
    tastes.AddOpinions(request, timeout=TIMEOUT_S)
    liked = client.infer("taste/ann", [files("candidate", png(ONE), png(OTHER))])
    assert scores(liked) == values(first_face(channel, "taste/ann", (png(ONE),), (png(OTHER),)))
    assert client.is_model_ready("taste/ann")
    assert client.get_model_metadata("taste/ann/uint8").inputs[0].datatype == "UINT8"
    assert client.get_inference_statistics("taste/ann").model_stats[0].inference_count >= 2


def test_the_id_of_a_request_comes_back(client: triton.InferenceServerClient) -> None:
    inputs = [files("candidate", png(ONE)), files("reference", png(ONE))]
    response = client.infer("ssim", inputs, request_id="my id", model_version="1").get_response()
    assert (response.id, response.model_name, response.model_version) == ("my id", "ssim", "1")


@pytest.mark.parametrize("model", ["ssim", "image-safety/uint8", "content-labels", "psnr/fp32"])
def test_a_description_agrees_with_its_configuration_and_with_what_comes(
    client: triton.InferenceServerClient, model: str
) -> None:
    metadata, config = client.get_model_metadata(model), client.get_model_config(model).config
    assert metadata.name == config.name == model
    assert config.max_batch_size == MAX_SAMPLES
    types = {"BYTES": "TYPE_STRING", "UINT8": "TYPE_UINT8", "FP32": "TYPE_FP32"}
    for tensors, described in ((metadata.inputs, config.input), (metadata.outputs, config.output)):
        for one, two in zip(tensors, described, strict=True):
            assert (one.name, list(one.shape)) == (two.name, [-1, *two.dims])
            data_type = type(two).DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[two.data_type].name
            assert types[one.datatype] == data_type
    inputs = [tensor(it.name, np.zeros((2, 32, 32, 3), np.uint8)) for it in metadata.inputs]
    for output, told in zip(client.infer(model, inputs).get_response().outputs, metadata.outputs, strict=True):
        assert (output.name, output.datatype, list(output.shape)) == (told.name, told.datatype, [2, *told.shape[1:]])


def test_one_bad_image_fails_its_call_and_is_named(client: triton.InferenceServerClient) -> None:
    inputs = [files("candidate", png(ONE), b"no image", png(ONE))]
    code, text = refusal(client.infer, "image-safety", inputs)
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("candidate[1]: ")


def test_a_timeout_in_microseconds_is_kept(client: triton.InferenceServerClient) -> None:
    inputs = [files("candidate", png(ONE)), files("reference", png(ONE))]
    assert refusal(client.infer, "ssim", inputs, timeout=1)[0] == "DEADLINE_EXCEEDED"
    assert scores(client.infer("ssim", inputs, timeout=60_000_000)) == [1.0]


@pytest.mark.parametrize(("priority", "is_known"), [(0, True), (1, True), (2, True), (3, False)])
def test_there_are_two_priorities(client: triton.InferenceServerClient, priority: int, is_known: bool) -> None:
    inputs = [files("candidate", png(ONE)), files("reference", png(ONE))]
    if is_known:
        assert scores(client.infer("ssim", inputs, priority=priority)) == [1.0]
    else:
        code, text = refusal(client.infer, "ssim", inputs, priority=priority)
        assert code == "INVALID_ARGUMENT"
        assert text.startswith("priority: want 1")


def test_a_stream_answers_in_the_order_sent_and_outlives_bad_requests(client: triton.InferenceServerClient) -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    large = pixels(3, 640, 640)
    client.start_stream(lambda result, error: answers.put((result, error)))
    slow = [tensor("candidate", large[None]), tensor("reference", large[None])]
    client.async_stream_infer("ssim", slow, model_version="1", request_id="a")
    client.async_stream_infer("nope", [files("candidate", png(ONE))], request_id="b")
    client.async_stream_infer("image-safety", [files("candidate", b"no image")], request_id="c")
    client.async_stream_infer("psnr", [files("candidate", png(ONE)), files("reference", png(OTHER))], request_id="d")
    found = [answers.get(timeout=TIMEOUT_S) for _ in range(4)]
    client.stop_stream()
    assert [error is None for _, error in found] == [True, False, False, True]
    assert [result.get_response().id for result, error in found if error is None] == ["a", "d"]
    assert "no scorer 'nope'" in found[1][1].message()
    assert found[2][1].message().startswith("candidate[0]: ")


def test_statistics_count_requests_images_and_batches(client: triton.InferenceServerClient) -> None:
    inputs = [files("candidate", png(ONE), png(OTHER)), files("reference", png(ONE), png(ONE))]
    before = client.get_inference_statistics("psnr").model_stats[0]
    for _ in range(3):
        client.infer("psnr", inputs)
    refusal(client.infer, "psnr", inputs[:1])
    after = client.get_inference_statistics("psnr/uint8", "1").model_stats[0]
    one, two = before.inference_stats, after.inference_stats
    assert after.inference_count - before.inference_count == 6
    assert 3 <= after.execution_count - before.execution_count <= 6
    assert (two.success.count - one.success.count, two.fail.count - one.fail.count) == (3, 1)
    assert two.success.ns > one.success.ns
    for part in ("queue", "compute_input", "compute_infer", "compute_output"):
        assert getattr(two, part).count - getattr(one, part).count == 6, part
    assert two.compute_infer.ns > one.compute_infer.ns
    assert after.last_inference >= before.last_inference > 0


def test_an_image_answered_from_the_cache_is_counted_as_such(client: triton.InferenceServerClient) -> None:
    inputs = [files("candidate", png(pixels(77)))]
    client.infer("image-safety", inputs)
    before = client.get_inference_statistics("image-safety").model_stats[0]
    client.infer("image-safety", inputs)
    after = client.get_inference_statistics("image-safety").model_stats[0]
    assert after.inference_stats.cache_hit.count - before.inference_stats.cache_hit.count == 1
    assert after.inference_stats.queue.count - before.inference_stats.queue.count == 1, "what perf_analyzer looks at"
    assert after.execution_count == before.execution_count
    assert client.get_model_config("image-safety").config.response_cache.enable
    assert not client.get_model_config("ssim").config.response_cache.enable


def test_statistics_without_a_name_are_those_of_all_scorers(client: triton.InferenceServerClient) -> None:
    assert {it.name for it in client.get_inference_statistics().model_stats} == set(SCORERS)


def test_the_asyncio_client_is_answered_too(served: ServerProcess) -> None:
    async def ask() -> list[list[float]]:
        async with triton_aio.InferenceServerClient(served.address) as client:
            inputs = [files("candidate", png(ONE)), files("reference", png(ONE))]
            return [scores(it) for it in await asyncio.gather(*(client.infer("ssim", inputs) for _ in range(20)))]

    assert asyncio.run(ask()) == [[1.0]] * 20


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_model_repository_index(),
        lambda client: client.load_model("ssim"),
        lambda client: client.unload_model("ssim"),
        lambda client: client.get_system_shared_memory_status(),
        lambda client: client.register_system_shared_memory("region", "/region", 16),
        lambda client: client.register_cuda_shared_memory("region", b"", 0, 16),
        lambda client: client.get_trace_settings(),
        lambda client: client.get_log_settings(),
    ],
)
def test_what_is_not_served_is_unimplemented(client: triton.InferenceServerClient, call: Any) -> None:
    assert refusal(call, client)[0] == "UNIMPLEMENTED"


def test_requests_are_counted_among_all_others(client: triton.InferenceServerClient, served: ServerProcess) -> None:
    client.infer("psnr", [files("candidate", png(ONE)), files("reference", png(OTHER))])
    refusal(client.infer, "nope", [])
    with urllib.request.urlopen(f"http://{served.metrics_address}/metrics", timeout=TIMEOUT_S) as page:
        text = page.read().decode()
    assert 'beholder_requests_total{code="OK",method="ModelInfer"}' in text
    assert 'beholder_requests_total{code="NOT_FOUND",method="ModelInfer"}' in text
    assert 'beholder_row_run_seconds_total{graph="psnr"}' in text


def test_health_and_reflection_name_the_service(channel: grpc.Channel) -> None:
    name = "inference.GRPCInferenceService"
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert name in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_callers_that_go_away_hurt_nobody(served: ServerProcess, client: triton.InferenceServerClient) -> None:
    large = np.stack([pixels(seed, 512, 512) for seed in range(4)])
    with triton.InferenceServerClient(served.address) as brief:
        for _ in range(10):
            inputs = [tensor("candidate", large), tensor("reference", large[::-1])]
            brief.async_infer("ssim", inputs, lambda result, error: None).cancel()
    assert scores(client.infer("ssim", [files("candidate", png(ONE)), files("reference", png(ONE))])) == [1.0]
    assert served.process.poll() is None


def test_beholder_and_tritonclient_may_live_in_one_process() -> None:
    code = "import tritonclient.grpc, beholder.embedded, beholder.client, beholder.app"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, timeout=TIMEOUT_S)
