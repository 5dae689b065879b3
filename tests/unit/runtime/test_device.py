"""Where graphs run is chosen by what works, and said aloud where it surprises."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from beholder.errors import ConfigError
from beholder.runtime.device import Machine, choose_device, package_clash
from beholder.runtime.session import Device

SITE = Path("site-packages")
CPU_ONLY = {"onnxruntime": SITE}
GPU_ONLY = {"onnxruntime-gpu": SITE}
BOTH = CPU_ONLY | GPU_ONLY
CPU, CUDA = Device("cpu", 0, 3), Device("cuda", 2, 3)


def machine(packages: Mapping[str, Path], has_driver: bool = False, fault: str = "no luck") -> Machine:
    return Machine(packages, has_driver, lambda device: fault if device == CUDA else "another device was tried")


def choose(wanted: str, on: Machine) -> Device:
    return choose_device(wanted, 2, 3, on)


def test_cuda_is_taken_where_it_works() -> None:
    works = machine(GPU_ONLY, has_driver=True, fault="")
    assert choose("auto", works) == choose("cuda", works) == CUDA


def test_the_cpu_is_taken_unproved() -> None:
    def never(device: Device) -> str:
        raise AssertionError(device)

    assert choose("cpu", Machine(CPU_ONLY, True, never)) == CPU


@pytest.mark.parametrize(
    ("packages", "has_driver", "levels"),
    [
        (CPU_ONLY, False, [logging.INFO]),
        (CPU_ONLY, True, [logging.WARNING]),
        (GPU_ONLY, False, [logging.WARNING]),
        (GPU_ONLY, True, [logging.WARNING]),
        (BOTH, True, [logging.WARNING, logging.INFO]),
    ],
)
def test_auto_falls_back_with_one_warning_where_a_gpu_was_to_be_expected(
    caplog: pytest.LogCaptureFixture, packages: Mapping[str, Path], has_driver: bool, levels: list[int]
) -> None:
    caplog.set_level(logging.INFO)
    assert choose("auto", machine(packages, has_driver)) == CPU
    assert [record.levelno for record in caplog.records] == levels
    assert "no luck" in caplog.text


def test_cuda_refuses_to_start_without_and_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"^device: cuda does not work: no luck$"):
        choose("cuda", machine(GPU_ONLY, has_driver=True))


def test_an_absent_driver_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"no luck; no NVIDIA driver is loaded \(/proc/driver/nvidia/version is absent"
    ):
        choose("cuda", machine(GPU_ONLY))


def test_both_packages_in_one_folder_stop_cuda_even_if_it_works_now() -> None:
    with pytest.raises(ConfigError, match="both onnxruntime and onnxruntime-gpu are installed in site-packages"):
        choose("cuda", machine(BOTH, has_driver=True, fault=""))


@pytest.mark.parametrize("wanted", ["auto", "cpu"])
def test_both_packages_in_one_folder_are_said_aloud(caplog: pytest.LogCaptureFixture, wanted: str) -> None:
    choose(wanted, machine(BOTH, has_driver=True, fault=""))
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "uninstall both, then install beholder[cpu] or beholder[gpu]" in warning.getMessage()


def test_packages_in_folders_of_their_own_do_not_clash() -> None:
    assert package_clash({"onnxruntime": SITE, "onnxruntime-gpu": Path("elsewhere")}) == ""
    assert package_clash(CPU_ONLY) == package_clash(GPU_ONLY) == package_clash({}) == ""
