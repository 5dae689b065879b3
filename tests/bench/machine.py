"""What a figure was measured on: the machine, how busy others kept it, and the versions of what ran."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("beholder", "grpcio", "protobuf", "onnxruntime", "numpy", "pillow", "simplejpeg")
LOOK_S = 1.0


def about() -> dict[str, Any]:
    """Return what to tell of a run before it begins; `others_cores` is what is busy while nothing of ours runs."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cores": usable_cores(),
        "processor": processor(),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
        "others_cores": round(psutil.cpu_percent(LOOK_S) / 100 * (os.cpu_count() or 1), 2),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def processor() -> str:
    """Return the processor's name, as Linux has it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
