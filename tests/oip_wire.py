"""Messages of the Open Inference Protocol as tests send them, in the words of Triton's own client.

Its messages and the server's have the same names, so that one process holds either: tests hold Triton's.
"""

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from PIL import Image
from tritonclient.grpc import service_pb2 as pb
from tritonclient.utils import np_to_triton_dtype

TIMEOUT_S = 60.0
Input = pb.ModelInferRequest.InferInputTensor


def pixels(seed: int, height: int = 48, width: int = 64) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an image of noise, shape (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png(image: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def files(name: str, *elements: bytes, shape: Sequence[int] = ()) -> triton.InferInput:
    """Return an input of BYTES, shape [N, 1] where no other is given."""
    tensor = triton.InferInput(name, list(shape) or [len(elements), 1], "BYTES")
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    tensor.set_data_from_numpy(array.reshape(tensor.shape()))
    return tensor


def tensor(name: str, array: np.ndarray[Any, Any]) -> triton.InferInput:
    """Return an input of numbers."""
    made = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


def elements(*parts: bytes) -> bytes:
    """Return the raw contents of a tensor of BYTES."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def asked(
    model: str,
    inputs: Sequence[tuple[str, str, Sequence[int]]],
    raw: Sequence[bytes] = (),
    contents: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> pb.ModelInferRequest:
    """Return a request of (name, datatype, shape) with raw or typed contents, right or wrong."""
    request = pb.ModelInferRequest(model_name=model, raw_input_contents=raw, **more)
    for name, datatype, shape in inputs:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    for made, values in zip(request.inputs, contents, strict=False):
        made.contents.CopyFrom(pb.InferTensorContents(**values))
    return request


def refusal(call: Any, *args: Any, **more: Any) -> tuple[str, str]:
    """Return code and text of a call that fails."""
    with pytest.raises(triton.InferenceServerException) as caught:
        call(*args, **more)
    return caught.value.status().removeprefix("StatusCode."), caught.value.message()
