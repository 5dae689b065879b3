"""Input tensors of the Open Inference Protocol become samples; a tensor that is not what it says is refused whole.

A tensor's datatype says what an image is: BYTES a whole file, UINT8 its pixels, FP32 its pixels from 0 to 1.
"""

import struct
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from beholder.errors import InvalidSample
from beholder.inference_v2 import tensors_pb2 as pb
from beholder.types import F32, U8, EncodedImage, Image, RawImage, Sample

Input = pb.ModelInferRequest.InferInputTensor
CANDIDATE, REFERENCE, PROMPT = "candidate", "reference", "prompt"
BYTES, UINT8, FP32 = "BYTES", "UINT8", "FP32"
CONTENTS = {BYTES: "bytes_contents", UINT8: "uint_contents", FP32: "fp32_contents"}
CHUNK = 2**16
"""Typed numbers that are converted at once: about two milliseconds."""
LENGTH = struct.Struct("<I")
SHARED_MEMORY = "shared_memory_region"


def takes_long(request: pb.ModelInferRequest) -> bool:
    """Tell whether `samples_from` has numbers to convert: whatever is neither a file nor raw UINT8."""
    is_raw = bool(request.raw_input_contents)
    return any(tensor.datatype == FP32 or not (is_raw or tensor.datatype == BYTES) for tensor in request.inputs)


def samples_from(request: pb.ModelInferRequest, max_samples: int) -> list[Sample]:
    """Read the samples of a request.

    Raises:
        InvalidSample: an input is unknown, missing or not what its shape and datatype say, or there are too many
            samples; `field` is the input, such as `candidate[3]`.
    """
    inputs = _inputs(request)
    if CANDIDATE not in inputs:
        raise InvalidSample(f"want an input of this name, got {', '.join(inputs) or 'none'}", CANDIDATE)
    count = _count(inputs[CANDIDATE][0], CANDIDATE)
    if not 1 <= count <= max_samples:
        raise InvalidSample(f"want 1 to {max_samples} samples in one request, got {count}", CANDIDATE)
    for name, (tensor, _) in inputs.items():
        if (found := _count(tensor, name)) != count:
            raise InvalidSample(f"want as many as there are candidates, {count}, got {found}", name)
    seen: dict[bytes, EncodedImage] | None = None if count == 1 and REFERENCE not in inputs else {}
    candidates = _images(*inputs[CANDIDATE], CANDIDATE, seen)
    references: Sequence[Image | None] = [None] * count
    if REFERENCE in inputs:
        references = _images(*inputs[REFERENCE], REFERENCE, seen)
    prompts: Sequence[str | None] = _prompts(*inputs[PROMPT]) if PROMPT in inputs else [None] * count
    return [Sample(*parts) for parts in zip(candidates, references, prompts, strict=True)]


def refuse_shared_memory(parameters: Mapping[str, Any], field: str) -> None:
    """Refuse a tensor whose elements would lie elsewhere."""
    if SHARED_MEMORY in parameters:
        raise InvalidSample("shared memory is not served to this protocol: send the elements themselves", field)


def _inputs(request: pb.ModelInferRequest) -> dict[str, tuple[Input, bytes | None]]:
    """Return name -> (tensor, its raw contents, None where they are typed)."""
    found: dict[str, tuple[Input, bytes | None]] = {}
    raws: Sequence[bytes] = request.raw_input_contents
    for place, tensor in enumerate(request.inputs):
        name = tensor.name
        if name not in (CANDIDATE, REFERENCE, PROMPT):
            raise InvalidSample(f"want {CANDIDATE}, {REFERENCE} or {PROMPT}, got {name!r}", f"inputs[{place}].name")
        if name in found:
            raise InvalidSample("comes twice", name)
        refuse_shared_memory(tensor.parameters, name)
        if raws and tensor.HasField("contents"):
            raise InvalidSample("want either contents or raw_input_contents, got both", name)
        found[name] = tensor, raws[place] if place < len(raws) else None
    if raws and len(raws) != len(found):
        want = f"want one for each of {len(found)} inputs, or none"
        raise InvalidSample(f"{want}, got {len(raws)}", "raw_input_contents")
    return found


def _count(tensor: Input, name: str) -> int:
    """Check datatype and shape, and return how many samples they say."""
    shape, datatype = list(tensor.shape), tensor.datatype
    datatypes = (BYTES,) if name == PROMPT else tuple(CONTENTS)
    if datatype not in datatypes:
        raise InvalidSample(f"want datatype {', '.join(datatypes)}, got {datatype!r}", name)
    if datatype == BYTES:
        is_right = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
        want = "[N] or [N, 1]"
    else:
        is_right = len(shape) == 4 and shape[3] == 3
        want = "[N, H, W, 3]"
    if not is_right or min(shape) < 1:
        raise InvalidSample(f"want shape {want}, each at least 1, for {datatype}, got {shape}", name)
    return shape[0]


def _images(tensor: Input, raw: bytes | None, name: str, seen: dict[bytes, EncodedImage] | None) -> Sequence[Image]:
    if tensor.datatype == BYTES:
        files = _elements(tensor, raw, name)
        return [EncodedImage(data) if seen is None else seen.setdefault(data, EncodedImage(data)) for data in files]
    numbers = _numbers(tensor, raw, name)
    if tensor.datatype == UINT8:
        return [RawImage(pixels) for pixels in numbers]
    return [RawImage(_rounded(pixels, f"{name}[{place}]")) for place, pixels in enumerate(numbers)]


def _prompts(tensor: Input, raw: bytes | None) -> Sequence[str | None]:
    prompts: list[str | None] = []
    for place, data in enumerate(_elements(tensor, raw, PROMPT)):
        try:
            prompts.append(data.decode() or None)
        except UnicodeDecodeError as error:
            raise InvalidSample(f"want UTF-8, got {error.reason} at byte {error.start}", f"{PROMPT}[{place}]") from None
    return prompts


def _elements(tensor: Input, raw: bytes | None, name: str) -> list[bytes]:
    """Return the elements of a tensor of BYTES, as many as its shape says."""
    count = tensor.shape[0]
    if raw is None:
        elements: list[bytes] = list(_typed(tensor, count, name))
        return elements
    elements, at = [], 0
    for place in range(count):
        left = len(raw) - at - LENGTH.size
        size = LENGTH.unpack_from(raw, at)[0] if left >= 0 else 0
        if size > left:
            have = f"its length of 4 bytes and {size} bytes" if left >= 0 else "4 bytes of its length"
            raise InvalidSample(f"raw contents: want {have}, got {len(raw) - at} bytes", f"{name}[{place}]")
        at += LENGTH.size
        elements.append(raw[at : at + size])
        at += size
    if at != len(raw):
        raise InvalidSample(f"raw contents: want {count} elements, got {len(raw) - at} bytes beyond them", name)
    return elements


def _numbers(tensor: Input, raw: bytes | None, name: str) -> Any:
    """Return the elements of a tensor of numbers in its shape, UINT8 or FP32."""
    shape, datatype = tuple(tensor.shape), tensor.datatype
    size = prod(shape)
    kind = np.dtype(np.uint8 if datatype == UINT8 else "<f4")
    if raw is not None:
        if len(raw) != size * kind.itemsize:
            shown = " * ".join(map(str, (*shape, kind.itemsize)))
            raise InvalidSample(f"raw contents: want {shown} = {size * kind.itemsize} bytes, got {len(raw)}", name)
        return np.frombuffer(raw, kind).reshape(shape)
    typed, numbers = _typed(tensor, size, name), np.empty(size, kind)
    for start in range(0, size, CHUNK):  # in parts: while one is converted, no other thread has its turn
        part = np.array(typed[start : start + CHUNK], np.uint32 if datatype == UINT8 else kind)
        if datatype == UINT8 and part.max() > 255:
            raise InvalidSample(f"want 0 to 255 for UINT8, got {part.max()}", name)
        numbers[start : start + CHUNK] = part
    return numbers.reshape(shape)


def _typed(tensor: Input, size: int, name: str) -> Any:
    """Return the typed contents of a tensor."""
    wanted = CONTENTS[tensor.datatype]
    other = [field.name for field, _ in tensor.contents.ListFields() if field.name != wanted]
    if other:
        raise InvalidSample(f"want {wanted} for {tensor.datatype}, got {', '.join(other)}", name)
    typed = getattr(tensor.contents, wanted)
    if len(typed) != size:
        raise InvalidSample(f"want {size} elements, as the shape says, got {len(typed)}", name)
    return typed


def _rounded(pixels: F32, field: str) -> U8:
    """Return pixels of 0 to 1 as the nearest of 0 to 255.

    Floats of 0 to 255 look like those of 0 to 1 only where an image is all but black, so they are found out; taken the
    other way round, an image of 0 to 1 would get the score of a black one.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0.0 and high <= 1.0):  # also where there is a NaN
        raise InvalidSample(f"want FP32 pixels from 0 to 1, got {low:g} to {high:g}", field)
    rounded: U8 = np.rint(pixels * np.float32(255.0)).astype(np.uint8)
    return rounded
