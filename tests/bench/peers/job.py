"""The job that every server is given: decode a JPEG, prepare it, run the graph. Needs nothing of Beholder.

The programs in the peers' own environments import this file; the driver does so too, for the scores to expect.
"""

import os
from collections.abc import Sequence

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

CROP, SIDE_PX = 0.875, 224
"""What `content-labels` takes: the middle square, this part of the shorter side, in so many pixels."""
BATCH_ROWS = 4
"""The most rows of one run where a server makes batches: on a CPU larger ones gain nothing and wait for each other."""


class Job:
    """The graph in ONNX Runtime, one thread to a run, set as Beholder sets it.

    Args:
        graph: path of the ONNX file; `JOB_GRAPH` in the environment where none is given.
        scorer: whose images it prepares; likewise `JOB_SCORER`.
    """

    def __init__(self, graph: str = "", scorer: str = "") -> None:
        self._prepare = PREPARE[scorer or os.environ["JOB_SCORER"]]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = graph or os.environ["JOB_GRAPH"]
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def score(self, images: Sequence[bytes]) -> list[float]:
        """Score encoded images in one run."""
        return self.run([self._prepare(image) for image in images])

    def run(self, prepared: Sequence[NDArray[np.uint8]]) -> list[float]:
        """Score prepared images in one run."""
        (scores,) = self._session.run(["score"], {"candidate": np.stack(prepared)})
        return [float(score) for score in scores]


def middle(image: bytes) -> NDArray[np.uint8]:
    """Return the middle square of a JPEG, bicubic, shape (224, 224, 3)."""
    pixels = simplejpeg.decode_jpeg(image, "RGB")
    height, width = pixels.shape[:2]
    side = max(1, int(CROP * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(square.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))


def fitted(image: bytes) -> NDArray[np.uint8]:
    """Return a square JPEG by Lanczos, shape (224, 224, 3).

    That is all of a letterbox where the image is as square as the frame, as all of the bench are.

    Raises:
        ValueError: the image is not square.
    """
    pixels = simplejpeg.decode_jpeg(image, "RGB")
    if pixels.shape[0] != pixels.shape[1]:
        raise ValueError("want a square image")
    lines = Image.fromarray(pixels).resize((pixels.shape[1], SIDE_PX), Image.Resampling.LANCZOS)  # rows before columns
    return np.asarray(lines.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS))


PREPARE = {"content-labels": middle, "image-safety": fitted}
"""Scorer -> its steps before the graph."""
