"""What tools ask of a model before and after they load it with requests, asked with Triton's own client."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from oip_wire import TIMEOUT_S, files, pixels, png, refusal, tensor, triton
from server_process import ServerProcess, StartServer

MAX_SAMPLES = 16
SCORERS = ("psnr", "ssim", "image-safety", "content-labels")
ONE, OTHER = pixels(1), pixels(2)


@pytest.fixture(scope="module")
def served(start_server: StartServer) -> ServerProcess:
    return start_server(scorers=SCORERS, max_samples=MAX_SAMPLES)


@pytest.fixture(scope="module")
def client(served: ServerProcess) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served.address) as client:
        yield client


@pytest.fixture(scope="module")
def channel(served: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.address) as channel:
        yield channel


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
    assert after.last_inference >= max(before.last_inference, 1)


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


def test_health_and_reflection_name_the_service(channel: grpc.Channel) -> None:
    name = "inference.GRPCInferenceService"
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert name in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_every_name_and_number_is_tritons(channel: grpc.Channel) -> None:
    database, pool = ProtoReflectionDescriptorDatabase(channel), descriptor_pool.Default()
    files = [database.FindFileContainingSymbol("inference.GRPCInferenceService")]
    files += [database.FindFileByName(name) for name in files[0].dependency]
    messages = [(f"{file.package}.{it.name}", it) for file in files for it in file.message_type]
    for name, ours in messages:
        messages += [(f"{name}.{it.name}", it) for it in ours.nested_type]
        theirs = descriptor_pb2.DescriptorProto()
        pool.FindMessageTypeByName(name).CopyToProto(theirs)
        numbers = {field.number: field for field in theirs.field}
        for field in ours.field:
            theirs_field = numbers[field.number]
            for part in ("name", "type", "type_name", "label"):
                assert getattr(field, part) == getattr(theirs_field, part), f"{name}.{field.name}: {part}"
    for enum in (it for file in files for it in file.enum_type):
        theirs_enum = pool.FindEnumTypeByName(f"inference.{enum.name}")
        assert {it.name: it.number for it in enum.value} == {it.name: it.number for it in theirs_enum.values}
    service = pool.FindServiceByName("inference.GRPCInferenceService")
    for method in files[0].service[0].method:
        theirs_method = descriptor_pb2.MethodDescriptorProto()
        service.methods_by_name[method.name].CopyToProto(theirs_method)
        for part in ("input_type", "output_type", "client_streaming", "server_streaming"):
            assert getattr(method, part) == getattr(theirs_method, part), method.name


def test_a_server_that_drains_is_live_and_not_ready(start_server: StartServer) -> None:
    server = start_server(scorers=("psnr",), drain_delay_s=30.0)
    server.process.send_signal(signal.SIGTERM)
    inputs = [files("candidate", png(ONE)), files("reference", png(ONE))]
    with triton.InferenceServerClient(server.address) as client:
        until = time.monotonic() + TIMEOUT_S
        while client.is_server_ready() and time.monotonic() < until:
            time.sleep(0.05)
        assert not client.is_server_ready()
        assert not client.is_model_ready("psnr")
        assert client.is_server_live()
        assert client.infer("psnr", inputs).as_numpy("score").shape == (1, 1), "while balancers are told"
    server.process.kill()
