"""Asks libjxl's own program, `butteraugli_main` of Debian 13's libjxl-devtools, which must be on the path."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PEER = "libjxl 0.11.2"


def ask(candidate: NDArray[np.uint8], reference: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the largest distance and the 3-norm of a pair of RGB images (H, W, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("reference.ppm", "candidate.ppm")]
        for path, pixels in zip(paths, (reference, candidate), strict=True):
            Image.fromarray(pixels).save(path)
        command = ["butteraugli_main", *paths]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    largest, norm = done.stdout.split("\n")[:2]
    return float(largest), float(norm.removeprefix("3-norm: "))
