"""Ways of running one batch that lies on the host, until its outputs lie there too."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from beholder.runtime.bound import BoundRuns
from beholder.runtime.session import Device
from beholder.types import Tensor
from bench.gpu import cudart
from bench.gpu.rows import Report
from bench.gpu.sessions import NotHere, Opened, open_raw, ort
from bench.gpu.subjects import Feeds, Subject

Once = Callable[[Feeds], list[Tensor]]
"""Runs a batch and returns its outputs; of one that lags behind, those of the batch before."""
PLAIN, FRESH, KEPT = "plain run of numpy arrays", "bound, memory anew each time", "bound, memory kept (the service)"
FIXED, PINNED, RESIDENT = "bound once, outputs kept too", "the same, from pinned memory", "the same, copying nothing"
ORT_PINNED = "the same, from ONNX Runtime's pinned memory"
OVERLAPPED = "two sets, a stream for copies, our own stream"
GRAPH = "CUDA graph for each batch size"


def plain(opened: Opened, feeds: Feeds) -> Once:
    """Let the session copy."""
    return opened.run


def fresh(opened: Opened, feeds: Feeds) -> Once:
    """Bind to memory that is made for each run."""
    kind, number = opened.device.kind, opened.device.id

    def once(feeds: Feeds) -> list[Tensor]:
        binding = opened.session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, kind, number))
        for name in opened.outputs:
            binding.bind_output(name, kind, number)
        opened.session.run_with_iobinding(binding)
        values: list[Tensor] = binding.copy_outputs_to_cpu()
        return values

    return once


def kept(opened: Opened, feeds: Feeds) -> Once:
    """Run as the service does."""
    return BoundRuns(ort, opened.session, opened.outputs, opened.device).run


class Fixed:
    """Inputs and outputs at the same addresses in every run, as CUDA graphs need them.

    Args:
        graph_id: of the CUDA graph to capture and replay; 0 is none.
    """

    def __init__(self, opened: Opened, feeds: Feeds, graph_id: int = 0) -> None:
        self._session, self.binding = opened.session, opened.session.io_binding()
        self.options = ort.RunOptions()
        if graph_id:
            self.options.add_run_config_entry("gpu_graph_id", "-1")
        kind, number = opened.device.kind, opened.device.id
        allocate = ort.OrtValue.ortvalue_from_shape_and_type
        self.inputs = {name: allocate(list(array.shape), array.dtype, kind, number) for name, array in feeds.items()}
        for name, value in self.inputs.items():
            self.binding.bind_ortvalue_input(name, value)
        shapes = opened.session.run(opened.outputs, feeds, self.options)
        self.outputs = [allocate(list(array.shape), array.dtype, kind, number) for array in shapes]
        for name, value in zip(opened.outputs, self.outputs, strict=True):
            self.binding.bind_ortvalue_output(name, value)
        if graph_id:
            self.options = ort.RunOptions()
            self.options.add_run_config_entry("gpu_graph_id", str(graph_id))

    def compute(self) -> None:
        """Run on what the memory holds."""
        self._session.run_with_iobinding(self.binding, self.options)

    def __call__(self, feeds: Feeds) -> list[Tensor]:
        """Copy in, run, copy out."""
        for name, array in feeds.items():
            self.inputs[name].update_inplace(array)
        self.compute()
        return [np.array(value.numpy()) for value in self.outputs]


class Resident(Fixed):
    """Copies the batch in once: what the device could do if copying cost nothing."""

    def __init__(self, opened: Opened, feeds: Feeds) -> None:
        super().__init__(opened, feeds)
        self(feeds)

    def once(self, feeds: Feeds) -> list[Tensor]:
        """Run on the first batch, whatever comes."""
        self.compute()
        return []


class OrtPinned(Fixed):
    """Copies from host memory that ONNX Runtime's own allocator pinned; the batch is stacked there, so at no cost."""

    def __init__(self, opened: Opened, feeds: Feeds) -> None:
        super().__init__(opened, feeds)
        provider, kind = opened.session.get_providers()[0], ort.OrtDeviceMemoryType.HOST_ACCESSIBLE
        found = [device.memory_info(kind) for device in ort.get_ep_devices() if device.ep_name == provider]
        if not any(found):
            raise NotHere(f"get_ep_devices() has no memory of {provider} that the host can reach")
        memory = next(filter(None, found))
        allocate = ort.OrtValue.ortvalue_from_shape_and_type
        self._pinned = {
            name: allocate(list(array.shape), array.dtype, memory_info=memory) for name, array in feeds.items()
        }
        for name, array in feeds.items():
            self._pinned[name].update_inplace(array)

    def __call__(self, feeds: Feeds) -> list[Tensor]:
        """Copy the first batch in, whatever comes, run, copy out."""
        for name, value in self._pinned.items():
            self.inputs[name].update_inplace(value)
        self.compute()
        return [np.array(value.numpy()) for value in self.outputs]


class Overlapped:
    """While one batch is computed on our stream, the next is copied on another, and the thread goes on.

    Args:
        opened: with `stream` for its `user_compute_stream`.
    """

    def __init__(self, opened: Opened, feeds: Feeds, stream: ctypes.c_void_p) -> None:
        self._compute, self._copies = stream, cudart.new_stream()
        self._sets = [Fixed(opened, feeds) for _ in range(2)]
        self._copied, self._done = ([cudart.new_event() for _ in range(2)] for _ in range(2))
        self._hosts = [[cudart.pinned(value.numpy()) for value in its.outputs] for its in self._sets]
        for its in self._sets:
            its.options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._turn, self._began = 0, 0

    def __call__(self, feeds: Feeds) -> list[Tensor]:
        """Begin a batch; return the outputs of the one before, an empty list at first.

        Args:
            feeds: in pinned memory, which must stay as it is until the next call but one.
        """
        turn, before = self._turn, 1 - self._turn
        its = self._sets[turn]
        for name, array in feeds.items():
            target, source = its.inputs[name].data_ptr(), array.ctypes.data
            cudart.copy(target, source, array.nbytes, cudart.TO_DEVICE, self._copies)
        cudart.record(self._copied[turn], self._copies)
        cudart.wait(self._compute, self._copied[turn])
        its.compute()
        for value, host in zip(its.outputs, self._hosts[turn], strict=True):
            cudart.copy(host.ctypes.data, value.data_ptr(), host.nbytes, cudart.TO_HOST, self._compute)
        cudart.record(self._done[turn], self._compute)
        self._turn, self._began = before, self._began + 1
        if self._began == 1:
            return []
        cudart.await_event(self._done[before])
        return [np.array(host) for host in self._hosts[before]]

    def finish(self) -> None:
        """Wait for the batch that was begun last."""
        cudart.await_event(self._done[1 - self._turn])


def measure(report: Report, part: str, opened: Opened, what: str, rows: int, make: Callable[..., Any]) -> None:
    """Measure one way for one batch size, on two batches in turn, and compare what it gives with the CPU."""
    subject = opened.subject
    with report.row(part, subject.name, what, rows) as row:
        report.need()
        batches = [subject.feeds(rows, first) for first in (0, rows % 7 + 1)]
        once = make(opened, batches[0])
        if isinstance(once, Overlapped) or what == PINNED:
            batches = [{name: cudart.pinned(array) for name, array in feeds.items()} for feeds in batches]
        if isinstance(once, Overlapped | OrtPinned | Resident):
            batches = [batches[0]] * 2
        turns = iter(range(10**9))
        run = once.once if isinstance(once, Resident) else once
        report.measure(row, lambda: run(batches[next(turns) % 2]))
        first = 0 if batches[0] is batches[1] else rows % 7 + 1
        row.apart = subject.apart(opened.named(once(batches[1])), first)
        if isinstance(once, Overlapped):
            once.finish()


WAYS: dict[str, Callable[..., Any]] = {
    PLAIN: plain,
    FRESH: fresh,
    KEPT: kept,
    FIXED: Fixed,
    PINNED: Fixed,
    ORT_PINNED: OrtPinned,
    RESIDENT: Resident,
}


def measure_ways(report: Report, subject: Subject, device: Device, sizes: list[int]) -> None:
    """Measure all ways of one session, then those that need one of their own."""
    with report.row("ways", subject.name, "open a session") as row:
        report.need()
        opened = open_raw(subject, device)
    if row.error:
        return
    for rows in sizes:
        for what, make in WAYS.items():
            measure(report, "ways", opened, what, rows, make)
    _measure_own(report, subject, device, sizes)


def _measure_own(report: Report, subject: Subject, device: Device, sizes: list[int]) -> None:
    for what in (OVERLAPPED, GRAPH):
        try:
            report.need()
            stream = cudart.new_stream() if what == OVERLAPPED else ctypes.c_void_p()
            options = {"enable_cuda_graph": "1"} if what == GRAPH else {"user_compute_stream": str(stream.value)}
            opened = open_raw(subject, device, **options)
        except Exception as error:
            with report.row("ways", subject.name, what):
                raise error
            continue
        for rows in sizes:
            make = (lambda its, feeds, stream=stream: Overlapped(its, feeds, stream)) if what == OVERLAPPED else _graph
            measure(report, "ways", opened, what, rows, make)


def _graph(opened: Opened, feeds: Feeds) -> Fixed:
    return Fixed(opened, feeds, graph_id=len(next(iter(feeds.values()))))
