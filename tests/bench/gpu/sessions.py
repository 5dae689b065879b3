"""Sessions as the service opens them, with other options of the provider, or with the graph in float16."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beholder.runtime.ort import CUDA_OPTIONS, PROVIDERS, _session_options, import_onnxruntime
from beholder.runtime.session import Device
from beholder.types import Tensor
from bench.gpu.subjects import Feeds, Subject

ort = import_onnxruntime()


class NotHere(Exception):
    """This device, or this build, can't do it."""


@dataclass
class Opened:
    """A session.

    Attributes:
        session: of ONNX Runtime's own.
        outputs: names, in the graph's order.
    """

    subject: Subject
    device: Device
    session: Any
    outputs: tuple[str, ...]

    def run(self, feeds: Feeds) -> list[Tensor]:
        """Run once, the plain way."""
        values: list[Tensor] = self.session.run(self.outputs, feeds)
        return values

    def named(self, values: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return outputs by name."""
        return dict(zip(self.outputs, values, strict=True))


def open_raw(subject: Subject, device: Device, model: bytes = b"", **options: str) -> Opened:
    """Open a subject's graph.

    Args:
        model: in place of its own.
        options: of the CUDA provider, laid over those that the service sets.

    Raises:
        NotHere: options for the CPU.
        Exception: ONNX Runtime does not open it there.
    """
    if device.kind == "cpu" and options:
        raise NotHere(f"the CPU provider has no {', '.join(options)}")
    cuda: Mapping[str, str] = CUDA_OPTIONS | {"device_id": str(device.id)} | dict(subject.options) | options
    provider = (PROVIDERS[device.kind], cuda if device.kind == "cuda" else {})
    settings = _session_options(ort, device)
    session = ort.InferenceSession(model or subject.model, settings, providers=[provider], enable_fallback=0)
    if session.get_providers()[0] != provider[0]:
        raise NotHere(f"runs on {session.get_providers()[0]}")
    return Opened(subject, device, session, tuple(value.name for value in session.get_outputs()))


def in_float16(model: bytes) -> bytes:
    """Return the graph with weights and arithmetic in float16; inputs and outputs keep their types.

    Raises:
        ImportError: no onnx, or no converter in this build.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    made = convert_float_to_float16(onnx.load_from_string(model), keep_io_types=True)
    data: bytes = made.SerializeToString()
    return data
