"""Runs on a device's own memory, which later runs of the same shapes use again."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beholder.config import MIB
from beholder.runtime.session import Device
from beholder.types import Tensor

KEPT_SETS, KEPT_BYTES = 32, 256 * MIB
"""What one session keeps of the device while nobody runs: graphs of fixed size have a set for each batch size."""
Shapes = tuple[tuple[str, tuple[int, ...], str], ...]


@dataclass(frozen=True)
class Inputs:
    """Memory of the device for inputs of certain shapes.

    Attributes:
        values: input -> memory of the device.
        binding: used with this memory alone.
    """

    shapes: Shapes
    values: Mapping[str, Any]
    binding: Any
    size_bytes: int


class BoundRuns:
    """Runs of one session with inputs and outputs bound to the device's memory; thread-safe.

    Each run has a set of inputs to itself, so that one may copy while another computes. A set is given back once a run
    succeeded, and forgotten when one failed. Outputs belong to each run: their shapes may depend on the data.

    Args:
        ort: the module.
        session: of ONNX Runtime's own.
        outputs: names, in the graph's order.
    """

    def __init__(self, ort: Any, session: Any, outputs: tuple[str, ...], device: Device) -> None:
        self._ort, self._session, self._outputs, self._device = ort, session, outputs, device
        self._lock = threading.Lock()
        self._idle: list[Inputs] = []  # the last one used last

    @property
    def idle(self) -> tuple[Shapes, ...]:
        """The shapes of the sets that are kept, the last one used last."""
        with self._lock:
            return tuple(inputs.shapes for inputs in self._idle)

    def run(self, feeds: Mapping[str, Tensor]) -> list[Tensor]:
        """Run once; the outputs own their memory.

        Args:
            feeds: contiguous arrays.

        Raises:
            Exception: whatever ONNX Runtime raises.
        """
        inputs = self._take(feeds)
        for name, array in feeds.items():
            inputs.values[name].update_inplace(array)
            # Anew each time: an input that the graph reads on the CPU is copied there when it is bound, and only then.
            inputs.binding.bind_ortvalue_input(name, inputs.values[name])
        for name in self._outputs:
            inputs.binding.bind_output(name, self._device.kind, self._device.id)
        self._session.run_with_iobinding(inputs.binding)
        values: list[Tensor] = inputs.binding.copy_outputs_to_cpu()
        inputs.binding.clear_binding_outputs()
        self._give_back(inputs)
        return values

    def _take(self, feeds: Mapping[str, Tensor]) -> Inputs:
        # Type and shape, not only size: the memory would take any array that is as large, and read it wrong.
        shapes = tuple((name, array.shape, array.dtype.str) for name, array in feeds.items())
        with self._lock:
            for place in reversed(range(len(self._idle))):
                if self._idle[place].shapes == shapes:
                    return self._idle.pop(place)
        return self._make(shapes, feeds)

    def _make(self, shapes: Shapes, feeds: Mapping[str, Tensor]) -> Inputs:
        allocate, device = self._ort.OrtValue.ortvalue_from_shape_and_type, self._device
        values = {
            name: allocate(list(array.shape), array.dtype, device.kind, device.id) for name, array in feeds.items()
        }
        return Inputs(shapes, values, self._session.io_binding(), sum(array.nbytes for array in feeds.values()))

    def _give_back(self, inputs: Inputs) -> None:
        if inputs.size_bytes > KEPT_BYTES:
            return
        with self._lock:
            self._idle.append(inputs)
            while len(self._idle) > KEPT_SETS or sum(one.size_bytes for one in self._idle) > KEPT_BYTES:
                self._idle.pop(0)
