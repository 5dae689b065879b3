"""Chooses where graphs run, and proves it: only a graph that ran on CUDA shows that CUDA works."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from beholder.errors import BeholderError, ConfigError
from beholder.runtime.ort import has_cuda_build, import_onnxruntime, open_session, preload_cuda
from beholder.runtime.session import Device

CPU_PACKAGE, GPU_PACKAGE = "onnxruntime", "onnxruntime-gpu"
DRIVER = Path("/proc/driver/nvidia/version")
PROOF = (
    b'\x08\x08:W\n\x0f\n\x01x\n\x01w\x12\x01y"\x04Conv\x12\x05proof'
    b"Z\x13\n\x01x\x12\x0e\n\x0c\x08\x01\x12\x08\n\x00\n\x00\n\x00\n\x00"
    b"Z\x13\n\x01w\x12\x0e\n\x0c\x08\x01\x12\x08\n\x00\n\x00\n\x00\n\x00"
    b"b\x13\n\x01y\x12\x0e\n\x0c\x08\x01\x12\x08\n\x00\n\x00\n\x00\n\x00B\x04\n\x00\x10\r"
)
"""A whole ONNX file, y = Conv(x, w): a convolution, so that it needs cuDNN as real graphs do."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What the choice depends on.

    Attributes:
        packages: each ONNX Runtime package installed -> the folder it lies in.
        has_driver: whether an NVIDIA driver is loaded.
        cuda_fault: tries a session on a CUDA device; says what is wrong, or nothing where it works.
    """

    packages: Mapping[str, Path]
    has_driver: bool
    cuda_fault: Callable[[Device], str]


def choose_device(wanted: str, device_id: int, intra_op_threads: int, machine: Machine | None = None) -> Device:
    """Choose the device: `cpu`, `cuda` (or nothing), or `auto`: CUDA where it works, else the CPU, said aloud.

    Args:
        wanted: `auto`, `cuda` or `cpu`.
        device_id: which CUDA device.
        intra_op_threads: threads inside one run.
        machine: what to choose from; None is this one.

    Raises:
        ConfigError: no ONNX Runtime is installed, or `cuda` does not work; the message says what is missing.
    """
    machine = machine or this_machine()
    cpu, cuda = Device("cpu", 0, intra_op_threads), Device("cuda", device_id, intra_op_threads)
    clash = package_clash(machine.packages)
    if clash and wanted == "cuda":
        raise ConfigError(f"device: cuda can't be relied on: {clash}")
    if clash:
        log.warning("device: %s", clash)
    if wanted == "cpu":
        return cpu
    fault = machine.cuda_fault(cuda)
    if not fault:
        return cuda
    if not machine.has_driver:
        fault += f"; no NVIDIA driver is loaded ({DRIVER} is absent)"
    if wanted == "cuda":
        raise ConfigError(f"device: cuda does not work: {fault}")
    is_surprise = not clash and (machine.has_driver or GPU_PACKAGE in machine.packages)
    log.log(
        logging.WARNING if is_surprise else logging.INFO, "device: auto takes the CPU, CUDA does not work: %s", fault
    )
    return cpu


def package_clash(packages: Mapping[str, Path]) -> str:
    """Say what is wrong where both ONNX Runtime packages were installed over each other; empty where they were not."""
    if CPU_PACKAGE not in packages or packages.get(GPU_PACKAGE) != packages[CPU_PACKAGE]:
        return ""
    return (
        f"both {CPU_PACKAGE} and {GPU_PACKAGE} are installed in {packages[CPU_PACKAGE]}, one over the other; "
        "uninstall both, then install beholder[cpu] or beholder[gpu]"
    )


def this_machine() -> Machine:
    """Look at this machine.

    Raises:
        ConfigError: ONNX Runtime can't be imported.
    """
    import_onnxruntime()
    return Machine(_packages(), DRIVER.exists(), _cuda_fault)


def _packages() -> dict[str, Path]:
    folders = dict[str, Path]()
    for name in (CPU_PACKAGE, GPU_PACKAGE):
        try:
            folders[name] = Path(str(metadata.distribution(name).locate_file("")))
        except metadata.PackageNotFoundError:
            continue
    return folders


def _cuda_fault(device: Device) -> str:
    if not has_cuda_build():
        return "the ONNX Runtime installed is the CPU's; install beholder[gpu] in place of beholder[cpu]"
    missing = preload_cuda()
    try:
        session = open_session("the proof of CUDA", PROOF, device, {})
        result = session.run({"x": np.full((1, 1, 1, 1), 3, np.float32), "w": np.full((1, 1, 1, 1), 2, np.float32)})
        session.close()
    except BeholderError as error:
        return f"{error.message}; can't load {missing}" if missing else error.message
    return "" if result["y"].item() == 6 else f"3 x 2 gave {result['y'].item()}"
