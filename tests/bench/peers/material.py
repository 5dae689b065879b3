"""What the servers are given: one graph, and images that are all different."""

import io
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import compose
from PIL import Image

from server_process import REPO

SCORERS = {
    "content-labels": ("efficientnet-lite0", "EfficientNet-Lite0 and its head, one graph; middle square, bicubic"),
    "image-safety": ("", "SwiftFormer-S; letterbox, Lanczos"),
}
"""Scorer -> (its encoder, empty where it has none; what the job is)."""
PICTURES = ("landscape.png", "poster.png", "still-life.webp")
SIZE_KB = (40, 70)


def write_graph(scorer: str, path: Path) -> None:
    """Write a scorer's graph as others would serve it, an encoder and its head in one; the arithmetic stays."""
    encoder_name, _ = SCORERS[scorer]
    if not encoder_name:
        shutil.copy(REPO / "models" / scorer / "model.onnx", path)
        return
    encoder, head = (onnx.load(REPO / "models" / name / "model.onnx") for name in (encoder_name, scorer))
    head = compose.add_prefix(head, "head/", rename_inputs=False, rename_outputs=False)
    joined = compose.merge_models(encoder, head, io_map=[("embedding", "embedding")])
    onnx.checker.check_model(joined)
    path.write_bytes(joined.SerializeToString())


def images(count: int, side_px: int = 512) -> list[bytes]:
    """Return square JPEGs (4:2:0) of 40 to 70 kB, no two alike: pictures resized and rolled."""
    pictures = []
    for name in PICTURES:
        with Image.open(REPO / "tests" / "assets" / name) as picture:
            pictures.append(np.asarray(picture.convert("RGB").resize((side_px, side_px))))
    return [
        _jpeg(np.roll(pictures[index % len(pictures)], (index * 37, index * 53), axis=(0, 1))) for index in range(count)
    ]


def _jpeg(pixels: np.ndarray) -> bytes:
    for quality in (90, 80, 70, 60, 93, 95, 97, 99):
        output = io.BytesIO()
        Image.fromarray(pixels).save(output, "JPEG", quality=quality)
        if SIZE_KB[0] * 1000 <= output.tell() <= SIZE_KB[1] * 1000:
            break
    return output.getvalue()
