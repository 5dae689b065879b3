"""Outcomes become output tensors of the Open Inference Protocol: every sample has a score, or the call fails."""

import copy
import re
import struct
from collections.abc import Sequence

import numpy as np

from beholder.errors import BeholderError, InputError, InvalidSample
from beholder.inference_v2 import tensors_pb2 as pb
from beholder.rpc.oip_models import LABELS, SCORE, Model
from beholder.rpc.oip_tensors import BYTES, FP32, refuse_shared_memory
from beholder.types import Score

CLASSIFICATION = "classification"
Output = pb.ModelInferResponse.InferOutputTensor
Wanted = Sequence[tuple[str, int]]
"""(output, how many of the likeliest labels; 0 for the output as it is described)."""


def wanted_from(request: pb.ModelInferRequest, model: Model) -> Wanted:
    """Read which outputs are wanted.

    Raises:
        InvalidSample: one that the model has not, or one that comes twice or in a form that there is not.
    """
    names = [output.name for output in model.outputs]
    if not request.outputs:
        return [(name, 0) for name in names]
    wanted: list[tuple[str, int]] = []
    for place, output in enumerate(request.outputs):
        field = f"outputs[{place}]"
        if output.name not in names:
            raise InvalidSample(f"want {' or '.join(names)} of {model.name}, got {output.name!r}", field)
        if output.name in dict(wanted):
            raise InvalidSample(f"{output.name} comes twice", field)
        refuse_shared_memory(output.parameters, field)
        wanted.append((output.name, _classes(output, model, field)))
    return wanted


def _classes(output: pb.ModelInferRequest.InferRequestedOutputTensor, model: Model, field: str) -> int:
    if CLASSIFICATION not in output.parameters:
        return 0
    count = output.parameters[CLASSIFICATION].int64_param
    most = model.top_labels if output.name == LABELS else 0
    if not 1 <= count <= most:
        want = f"1 to {most}" if most else "none, for it is no output of labels"
        raise InvalidSample(f"{CLASSIFICATION}: want {want}, got {count}", field)
    return count


def answer(
    request: pb.ModelInferRequest, model: Model, wanted: Wanted, scores: Sequence[Score]
) -> pb.ModelInferResponse:
    """Write the scores of all samples."""
    response = pb.ModelInferResponse(model_name=model.name, model_version=model.version, id=request.id)
    for name, classes in wanted:
        if name == SCORE:
            datatype, shape = FP32, [len(scores), 1]
            raw = np.array([score.value for score in scores], "<f4").tobytes()
        elif classes or model.top_labels < len(model.labels):
            count = classes or model.top_labels
            datatype, shape, raw = BYTES, [len(scores), count], _likeliest(model, scores, count)
        else:
            datatype, shape, raw = FP32, [len(scores), len(model.labels)], _values(model, scores)
        response.outputs.append(Output(name=name, datatype=datatype, shape=shape))
        response.raw_output_contents.append(raw)
    return response


def at_sample(error: BeholderError, index: int) -> BeholderError:
    """Return the error of a sample as that of the whole call, which names the sample by its place in the inputs."""
    found = copy.copy(error)
    if isinstance(found, InputError):
        found.field = re.sub(r"^samples\[(\d+)\]\.(\w+)", r"\2[\1]", found.field)
    else:
        found.message = f"candidate[{index}]: {found.message}"
    return found


def _values(model: Model, scores: Sequence[Score]) -> bytes:
    """Return the labels' values in the order that the scorer gives its labels."""
    place = {name: index for index, name in enumerate(model.labels)}
    values = np.empty((len(scores), len(place)), "<f4")
    for row, score in zip(values, scores, strict=True):
        for label in score.labels:
            row[place[label.name]] = label.value
    return values.tobytes()


def _likeliest(model: Model, scores: Sequence[Score], count: int) -> bytes:
    """Return the likeliest labels as Triton's classification extension writes them."""
    place = {name: index for index, name in enumerate(model.labels)}
    texts = [
        f"{label.value:.9g}:{place[label.name]}:{label.name}".encode()
        for score in scores
        for label in score.labels[:count]
    ]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
