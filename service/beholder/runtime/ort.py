"""Graphs in ONNX Runtime: the only file that imports it.

A graph is whole bytes whose digest was checked: nothing it names outside itself is read. A session runs where it was
asked to, or it is not opened: ONNX Runtime's own fallbacks to the CPU are off or found out.
"""

import contextlib
import functools
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from beholder.errors import ConfigError, ScoringFailed
from beholder.runtime.bound import BoundRuns
from beholder.runtime.session import Device, Session
from beholder.types import Tensor

Run = Callable[[Mapping[str, Tensor]], Sequence[Tensor]]
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
CUDA_OPTIONS = {
    "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE, the default, searches anew for every new batch size
    "arena_extend_strategy": "kSameAsRequested",  # the default doubles, and may ask for twice the memory needed
    "use_tf32": "0",  # ten bits of mantissa in float32 graphs is for a scorer to choose, not for the device
}
QUIET = 4
"""Fatal errors only: all others come as exceptions, and the service logs those itself."""


def import_onnxruntime() -> Any:
    """Import ONNX Runtime, quiet and without its telemetry.

    Raises:
        ConfigError: it is not installed, or not whole.
    """
    # Recent Linux builds write a telemetry database under the home folder unless this is set before the import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # noqa: TID251 - written, not read: there is no other way to tell it
    try:
        import onnxruntime

        onnxruntime.set_default_logger_severity(QUIET)
    except (ImportError, AttributeError) as error:  # removing one of two packages leaves an empty module behind
        raise ConfigError(
            f"ONNX Runtime can't be imported ({error}); install beholder[cpu], or beholder[gpu] for NVIDIA GPUs"
        ) from error
    return onnxruntime


def has_cuda_build() -> bool:
    """Tell whether the ONNX Runtime that is imported was built for CUDA; whether CUDA works is another matter."""
    return PROVIDERS["cuda"] in import_onnxruntime().get_available_providers()


def preload_cuda() -> str:
    """Load NVIDIA's libraries from their Python packages, where no loader looks; name those that failed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # it prints, and standard output belongs to the command line's answers
        import_onnxruntime().preload_dlls()
    return ", ".join(re.findall(r"^Failed to load (.+?):", said.getvalue(), re.MULTILINE))


def open_session(name: str, model: bytes, device: Device, options: Mapping[str, str]) -> Session:
    """Load a graph onto a device.

    Args:
        name: what messages call the graph.
        model: a whole ONNX file; weights in other files are refused.
        options: of the CUDA provider, laid over `CUDA_OPTIONS`; the CPU takes none.

    Raises:
        ConfigError: the graph is corrupt, an option is unknown, or the device does not run it.
    """
    ort = import_onnxruntime()
    provider = PROVIDERS[device.kind]
    if device.kind == "cpu" and options:
        raise ConfigError(f"{name}: the CPU takes no provider options, got {', '.join(sorted(options))}")
    provider_options = CUDA_OPTIONS | {"device_id": str(device.id)} | dict(options) if device.kind == "cuda" else {}
    try:
        session = ort.InferenceSession(
            model,
            _session_options(ort, device),
            providers=[(provider, provider_options)],
            enable_fallback=0,  # else a failed run is silently done again on the CPU, for ever after
        )
    except Exception as error:  # its exceptions have no base of their own
        raise ConfigError(f"{name}: ONNX Runtime does not load the graph on {device.kind}: {error}") from error
    session._model_bytes = None  # as large as the weights, and kept for nothing but the fallback that is off
    if session.get_providers()[0] != provider:
        raise ConfigError(f"{name}: asked for {provider}, runs on {session.get_providers()[0]}")
    return OrtSession(name, ort, session, device)


@functools.cache  # ONNX Runtime's own state of the process: a second one would only be a second arena
def _share_arena(ort: Any) -> None:
    """Give all CPU sessions one arena.

    An arena keeps the most that was ever in use: with one for each session that is the sum over all graphs of their
    largest images, with one for all it is what the runs at one time need.
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, None)


def _session_options(ort: Any, device: Device) -> Any:
    options = ort.SessionOptions()
    if device.kind == "cpu":
        _share_arena(ort)
        options.add_session_config_entry("session.use_env_allocators", "1")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = device.intra_op_threads
    options.inter_op_num_threads = 1
    # Planning a block for each shape seen keeps a second copy of all that a run needs, and saves no time here.
    options.enable_mem_pattern = False
    options.log_severity_level = QUIET
    # Threads that spin while they wait take the cores from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A graph in bytes would find weights in files of the working folder, which no digest covers.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    return options


class OrtSession:
    """One ONNX Runtime session, as `Session` says."""

    def __init__(self, name: str, ort: Any, session: Any, device: Device) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        self.provider: str = session.get_providers()[0]
        self.input_names: tuple[str, ...] = tuple(value.name for value in inputs)
        self.output_names: tuple[str, ...] = tuple(value.name for value in outputs)
        self.shapes: Mapping[str, tuple[int | None, ...]] = {
            value.name: tuple(axis if isinstance(axis, int) else None for axis in value.shape)
            for value in [*inputs, *outputs]
        }
        self._name = name
        self._run: Run | None = functools.partial(session.run, self.output_names)
        if device.kind != "cpu":  # whose memory the arrays lie in already
            self._run = BoundRuns(ort, session, self.output_names, device).run

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once, as `Session.run` says."""
        run = self._run  # held here, and the session by it: closing must not take it from a run under way
        if run is None:
            raise ScoringFailed(f"{self._name}: the session is closed")
        feeds = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        try:
            values = run(feeds)
        except Exception as error:  # its exceptions have no base of their own
            raise ScoringFailed(f"{self._name}: {error}") from error
        return dict(zip(self.output_names, values, strict=True))

    def close(self) -> None:
        """Let go of the graph, as `Session.close` says."""
        self._run = None
