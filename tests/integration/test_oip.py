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

from beholder.v1 import samples_pb2, scoring_service_pb2, taste_service_pb2, tastes_pb2
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from beholder.v1.taste_service_pb2_grpc import TasteServiceStub
from oip_wire import TIMEOUT_S, files, pixels, png, refusal, tensor, triton
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


IN_COMPANY = 2e-6
"""Rows may run in another batch the second time, and round otherwise there."""


def values(response: scoring_service_pb2.ScoreResponse) -> list[float]:
    return [sample.results[0].score.value for sample in response.samples]


def scores(result: triton.InferResult) -> list[float]:
    score = result.as_numpy("score")
    assert score.dtype == np.float32
    assert score.ndim == 2
    return score.ravel().tolist()


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
    assert scores(client.infer(scorer, inputs[form])) == pytest.approx(expected, rel=IN_COMPANY, abs=IN_COMPANY)


@pytest.mark.parametrize("scorer", ALONE)
def test_scores_and_labels_are_those_of_the_first_face(
    client: triton.InferenceServerClient, channel: grpc.Channel, scorer: str
) -> None:
    expected = first_face(channel, scorer, (png(ONE),), (png(OTHER),))
    result = client.infer(scorer, [files("candidate", png(ONE), png(OTHER))])
    assert scores(result) == pytest.approx(values(expected), rel=IN_COMPANY, abs=IN_COMPANY)
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


def test_the_asyncio_client_is_answered_too(served: ServerProcess) -> None:
    async def ask() -> list[list[float]]:
        async with triton_aio.InferenceServerClient(served.address) as client:
            inputs = [files("candidate", png(ONE)), files("reference", png(ONE))]
            return [scores(it) for it in await asyncio.gather(*(client.infer("ssim", inputs) for _ in range(20)))]

    assert asyncio.run(ask()) == [[1.0]] * 20


def test_requests_are_counted_among_all_others(client: triton.InferenceServerClient, served: ServerProcess) -> None:
    client.infer("psnr", [files("candidate", png(ONE)), files("reference", png(OTHER))])
    refusal(client.infer, "nope", [])
    with urllib.request.urlopen(f"http://{served.metrics_address}/metrics", timeout=TIMEOUT_S) as page:
        text = page.read().decode()
    assert 'beholder_requests_total{code="OK",method="ModelInfer"}' in text
    assert 'beholder_requests_total{code="NOT_FOUND",method="ModelInfer"}' in text
    assert 'beholder_row_run_seconds_total{graph="psnr"}' in text


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
