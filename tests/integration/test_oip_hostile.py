"""Tensors that lie about themselves: each is refused with what is wrong, and the server answers the next one."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from oip_wire import TIMEOUT_S, asked, elements, pb, pixels, png
from server_process import ServerProcess, StartServer

MAX_SAMPLES = 16
FILE = png(pixels(1))
SHAPE = [1, 48, 64, 3]
PIXELS = pixels(1).tobytes()
PAIR = [("candidate", "BYTES", [1, 1]), ("reference", "BYTES", [1, 1])]
RAW = [elements(FILE), elements(FILE)]
REFERENCE = ("reference", "BYTES", [1])
HUGE = 2**31
MOST = 2**63 - 1


@pytest.fixture(scope="module")
def served(start_server: StartServer) -> ServerProcess:
    return start_server(scorers=("psnr", "ssim", "image-safety"), max_samples=MAX_SAMPLES, max_image_mpx=0.25)


@pytest.fixture(scope="module")
def stub(served: ServerProcess) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(served.address) as channel:
        yield GRPCInferenceServiceStub(channel)


def one(datatype: str, shape: list[int], raw: bytes | None = None, **contents: Any) -> pb.ModelInferRequest:
    """Return a request of one candidate that may lie, and a reference that does not, in the same kind of contents."""
    inputs = [("candidate", datatype, shape), REFERENCE]
    if raw is not None:
        return asked("ssim", inputs, [raw, elements(FILE)])
    return asked("ssim", inputs, contents=[contents, {"bytes_contents": [FILE]}])


def with_parameter(name: str, **value: Any) -> pb.ModelInferRequest:
    request = asked("ssim", PAIR, RAW)
    request.parameters[name].CopyFrom(pb.InferParameter(**value))
    return request


def wanting(*names: str, **value: Any) -> pb.ModelInferRequest:
    request = asked("ssim", PAIR, RAW)
    for name in names:
        output = request.outputs.add(name=name)
        for key, text in value.items():
            output.parameters[key].CopyFrom(pb.InferParameter(**text))
    return request


def in_shared_memory() -> pb.ModelInferRequest:
    request = asked("ssim", PAIR, RAW[1:])
    request.inputs[0].parameters["shared_memory_region"].string_param = "region"
    return request


def floats(array: Any) -> pb.ModelInferRequest:
    return one("FP32", SHAPE, np.broadcast_to(np.asarray(array, "<f4"), SHAPE).tobytes())


INVALID = {
    "no inputs": (asked("ssim", []), "candidate: want an input of this name, got none"),
    "no candidate": (asked("ssim", [REFERENCE], RAW[1:]), "candidate: want an input of this name, got reference"),
    "no reference": (asked("ssim", PAIR[:1], RAW[:1]), "reference[0]: ssim needs a reference"),
    "a reference too many": (asked("image-safety", PAIR, RAW), "reference[0]: reference: want none"),
    "a prompt too many": (
        asked("ssim", [*PAIR, ("prompt", "BYTES", [1])], [*RAW, elements(b"a cat")]),
        "prompt[0]: prompt: want none",
    ),
    "a prompt that is no text": (
        asked("ssim", [*PAIR, ("prompt", "BYTES", [1])], [*RAW, elements(b"\xff")]),
        "prompt[0]: want UTF-8",
    ),
    "a prompt of numbers": (asked("ssim", [*PAIR, ("prompt", "UINT8", [1])], [*RAW, b"a"]), "prompt: want datatype"),
    "an unknown input": (asked("ssim", [("x", "BYTES", [1])], RAW[:1]), "inputs[0].name: want candidate"),
    "an input twice": (asked("ssim", PAIR[:1] * 2, RAW), "candidate: comes twice"),
    "counts that differ": (
        asked("ssim", [("candidate", "BYTES", [2]), REFERENCE], [elements(FILE, FILE), RAW[1]]),
        "reference: want as many as there are candidates, 2, got 1",
    ),
    "too many samples": (
        asked("image-safety", [("candidate", "BYTES", [17, 1])], [elements(*[FILE] * 17)]),
        "candidate: want 1 to 16 samples in one request, got 17",
    ),
    "2^31 files": (asked("image-safety", [("candidate", "BYTES", [HUGE])], RAW[:1]), "candidate: want 1 to 16"),
    "2^63 files": (asked("image-safety", [("candidate", "BYTES", [MOST])], RAW[:1]), "candidate: want 1 to 16"),
    "2^31 pixels in a row": (one("UINT8", [1, 1, HUGE, 3], PIXELS), "candidate: raw contents: want 1 * 1 * 2147483648"),
    "as many as there can be": (one("FP32", [1, MOST, MOST, 3], PIXELS), "candidate: raw contents: want"),
    "as many, typed": (one("UINT8", [1, MOST, MOST, 3], uint_contents=[1]), "candidate: want 255"),
    "no samples": (one("BYTES", [0, 1], b""), "candidate: want shape"),
    "a negative number of samples": (one("BYTES", [-1, 1], b""), "candidate: want shape"),
    "no shape": (one("BYTES", [], elements(FILE)), "candidate: want shape"),
    "files in a square": (one("BYTES", [1, 2], elements(FILE, FILE)), "candidate: want shape [N] or [N, 1]"),
    "pixels without a batch": (one("UINT8", SHAPE[1:], PIXELS), "candidate: want shape [N, H, W, 3]"),
    "channels first": (one("UINT8", [1, 3, 48, 64], PIXELS), "candidate: want shape [N, H, W, 3]"),
    "no pixels": (one("UINT8", [1, 0, 64, 3], b""), "candidate: want shape"),
    "another datatype": (one("FP16", SHAPE, PIXELS * 2), "candidate: want datatype BYTES, UINT8, FP32, got 'FP16'"),
    "no datatype": (one("", SHAPE, PIXELS), "candidate: want datatype"),
    "a pixel too few": (one("UINT8", SHAPE, PIXELS[:-1]), "= 9216 bytes, got 9215"),
    "a pixel too many": (one("UINT8", SHAPE, PIXELS + b"0"), "= 9216 bytes, got 9217"),
    "bytes for floats": (one("FP32", SHAPE, PIXELS), "= 36864 bytes, got 9216"),
    "larger than the limit": (one("UINT8", [1, 512, 513, 3], bytes(512 * 513 * 3)), "candidate[0]: "),
    "no length": (one("BYTES", [1], b"\1\0\0"), "candidate[0]: raw contents: want 4 bytes of its length, got 3"),
    "no element": (one("BYTES", [1], b""), "candidate[0]: raw contents: want 4 bytes of its length, got 0"),
    "a length that lies": (
        one("BYTES", [1], b"\xff\xff\xff\xff" + FILE),
        "candidate[0]: raw contents: want its length of 4 bytes and 4294967295",
    ),
    "an element too few": (one("BYTES", [1], elements(FILE)[:-1]), "candidate[0]: raw contents: want its length"),
    "an element too many": (one("BYTES", [1], elements(FILE, FILE)), "candidate: raw contents: want 1 elements"),
    "an empty file": (one("BYTES", [1], elements(b"")), "candidate[0]: "),
    "a file without its length": (one("BYTES", [1], FILE), "candidate[0]: raw contents: want its length"),
    "raw for one of two": (asked("ssim", PAIR, RAW[:1]), "raw_input_contents: want one for each of 2 inputs"),
    "raw for three of two": (asked("ssim", PAIR, [*RAW, b""]), "raw_input_contents: want one for each of 2 inputs"),
    "raw and typed": (
        asked("ssim", PAIR, RAW, [{"bytes_contents": [FILE]}]),
        "candidate: want either contents or raw_input_contents, got both",
    ),
    "no contents": (asked("ssim", PAIR), "candidate: want 1 elements, as the shape says, got 0"),
    "contents of another type": (one("BYTES", [1], fp32_contents=[1.0]), "candidate: want bytes_contents"),
    "contents of two types": (
        one("UINT8", [1, 1, 1, 3], uint_contents=[1, 2, 3], int_contents=[1]),
        "candidate: want uint_contents for UINT8, got int_contents",
    ),
    "typed files too few": (one("BYTES", [2], bytes_contents=[FILE]), "reference: want as many"),
    "typed pixels beyond 255": (
        one("UINT8", [1, 1, 1, 3], uint_contents=[0, 256, 0]),
        "candidate: want 0 to 255 for UINT8, got 256",
    ),
    "floats up to 255": (floats(255.0), "candidate[0]: want FP32 pixels from 0 to 1, got 255 to 255"),
    "floats below 0": (floats(-0.5), "candidate[0]: want FP32 pixels from 0 to 1"),
    "no number": (floats(np.nan), "candidate[0]: want FP32 pixels from 0 to 1, got nan"),
    "infinity": (floats(np.inf), "candidate[0]: want FP32 pixels from 0 to 1"),
    "shared memory": (in_shared_memory(), "candidate: shared memory is not served"),
    "an unknown output": (wanting("map"), "outputs[0]: want score of ssim, got 'map'"),
    "an output twice": (wanting("score", "score"), "outputs[1]: score comes twice"),
    "classes of a score": (
        wanting("score", classification={"int64_param": 1}),
        "outputs[0]: classification: want none, for it is no output of labels",
    ),
    "an output in shared memory": (
        wanting("score", shared_memory_region={"string_param": "region"}),
        "outputs[0]: shared memory is not served",
    ),
    "a timeout that is a text": (with_parameter("timeout", string_param="1"), "timeout: want an int64_param"),
    "a negative timeout": (with_parameter("timeout", int64_param=-1), "timeout: want 0 or more, got -1"),
    "a priority beyond all": (with_parameter("priority", uint64_param=2**64 - 1), "priority: want 1"),
    "a priority without a value": (with_parameter("priority"), "priority: want an int64_param or uint64_param"),
}
NOT_FOUND = {
    "an unknown model": (asked("sim", PAIR, RAW), "model_name: no scorer 'sim'; did you mean ssim"),
    "no model": (asked("", PAIR, RAW), "model_name: no scorer ''"),
    "another form": (asked("ssim/fp16", PAIR, RAW), "model_name: no scorer 'ssim/fp16'"),
    "two forms": (asked("ssim/uint8/uint8", PAIR, RAW), "model_name: no scorer 'ssim/uint8'"),
    "an unknown version": (asked("ssim", PAIR, RAW, model_version="7"), "no version '7' of ssim; there is 1"),
    "no version": (asked("ssim", PAIR, RAW, model_version="latest"), "model_version: no version 'latest'"),
}
NOT_SERVED = {
    "a scorer of others": (asked("psnr-y", PAIR, RAW), "model_name: psnr-y: not among"),
    "a taste": (asked("taste/ann", PAIR[:1], RAW[:1]), "model_name: this server keeps no tastes"),
}
CASES = [
    pytest.param(request, code, words, id=name)
    for code, cases in (
        (grpc.StatusCode.INVALID_ARGUMENT, INVALID),
        (grpc.StatusCode.NOT_FOUND, NOT_FOUND),
        (grpc.StatusCode.FAILED_PRECONDITION, NOT_SERVED),
    )
    for name, (request, words) in cases.items()
]


@pytest.mark.parametrize(("request_", "code", "words"), CASES)
def test_it_is_refused_with_what_is_wrong(
    stub: GRPCInferenceServiceStub, request_: pb.ModelInferRequest, code: grpc.StatusCode, words: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request_, timeout=TIMEOUT_S)
    assert caught.value.code() is code
    assert words in caught.value.details()


@pytest.mark.parametrize(("request_", "code", "words"), CASES)
def test_on_a_stream_it_ends_nothing(
    stub: GRPCInferenceServiceStub, request_: pb.ModelInferRequest, code: grpc.StatusCode, words: str
) -> None:
    first, second = stub.ModelStreamInfer(iter([request_, asked("ssim", PAIR, RAW)]), timeout=TIMEOUT_S)
    assert words in first.error_message
    assert np.frombuffer(second.infer_response.raw_output_contents[0], "<f4").tolist() == [1.0]


def test_what_is_right_is_scored_alike_raw_and_typed(stub: GRPCInferenceServiceStub) -> None:
    small = pixels(5, 16, 16)
    shape = [1, 16, 16, 3]
    unit = (small / 255).astype("<f4")
    right = [
        asked("ssim", PAIR, [elements(png(small)), elements(FILE)]),
        one("BYTES", [1], elements(png(small))),
        one("BYTES", [1], bytes_contents=[png(small)]),
        one("UINT8", shape, small.tobytes()),
        one("UINT8", shape, uint_contents=small.ravel().tolist()),
        one("FP32", shape, unit.tobytes()),
        one("FP32", shape, fp32_contents=unit.ravel().tolist()),
    ]
    reference = png(pixels(6, 16, 16))
    for request in right:
        if request.raw_input_contents:
            request.raw_input_contents[1] = elements(reference)
        else:
            request.inputs[1].contents.bytes_contents[0] = reference
    found = {stub.ModelInfer(request, timeout=TIMEOUT_S).raw_output_contents[0] for request in right}
    assert len(found) == 1


def test_a_refusal_carries_the_details_of_the_first_face(stub: GRPCInferenceServiceStub) -> None:
    request = asked("ssim", [("candidate", "BYTES", [2]), ("reference", "BYTES", [2])], [elements(FILE, b"no")] * 2)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request, timeout=TIMEOUT_S, metadata=(("x-request-id", "mine"),))
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info, fields = ErrorInfo(), BadRequest()
    assert any(detail.Unpack(info) for detail in status.details)
    assert any(detail.Unpack(fields) for detail in status.details)
    assert (info.reason, info.metadata["request_id"]) == ("InvalidSample", "mine")
    assert fields.field_violations[0].field == "candidate[1]"


@pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig", "ModelStatistics"])
def test_a_model_that_there_is_not_is_not_described(stub: GRPCInferenceServiceStub, method: str) -> None:
    for name, version in (("sim", ""), ("ssim", "7")):
        with pytest.raises(grpc.RpcError) as caught:
            getattr(stub, method)(getattr(pb, f"{method}Request")(name=name, version=version), timeout=TIMEOUT_S)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_deadline_that_cant_be_met_is_refused(stub: GRPCInferenceServiceStub) -> None:
    request = asked("ssim", PAIR, RAW)
    request.parameters["timeout"].uint64_param = 1
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request, timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_full_queue_says_when_to_try_again(start_server: StartServer) -> None:
    full = start_server(scorers=("psnr",), max_queue_rows=1)
    two = asked("psnr", [(name, "BYTES", [2]) for name in ("candidate", "reference")], [elements(FILE, FILE)] * 2)
    with grpc.insecure_channel(full.address) as channel, pytest.raises(grpc.RpcError) as caught:
        GRPCInferenceServiceStub(channel).ModelInfer(two, timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
