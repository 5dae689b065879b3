"""Embeddings of the pictures that tastes are measured on, and what coding does to them; kept under .cache/taste."""

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from taste_features import GROUPS, SIDE_PX, statistics

Change = Callable[[Image.Image], Image.Image]
REPO = Path(__file__).resolve().parents[2]
ENCODER = REPO / "models" / "efficientnet-lite0" / "model.onnx"
ENCODER_WIDTH = 1280
CACHE = REPO / ".cache" / "taste"


def coded(format_: str, **options: int | str) -> Change:
    """Return the change that a lossy file makes."""

    def change(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, format_, **options)
        return Image.open(io.BytesIO(file.getvalue())).convert("RGB")

    return change


def shrunk(ratio: float, filter_: Image.Resampling = Image.Resampling.BICUBIC) -> Change:
    """Return the change that a smaller copy makes."""
    return lambda picture: picture.resize(
        (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))), filter_
    )


def half_chroma(picture: Image.Image) -> Image.Image:
    """Return the picture with chroma of half its size and nothing else lost."""
    light, *colours = picture.convert("YCbCr").split()
    small = ((picture.width + 1) // 2, (picture.height + 1) // 2)
    planes = [plane.resize(small, Image.Resampling.BOX).resize(picture.size) for plane in colours]
    return Image.merge("YCbCr", (light, *planes)).convert("RGB")


def noisy(picture: Image.Image) -> Image.Image:
    """Return the picture with noise of a deviation of 2 in each channel, always the same."""
    pixels = np.asarray(picture)
    noise = np.random.default_rng(7).normal(0, 2, pixels.shape)
    return Image.fromarray(np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8))


def part(left: float, top: float, share: float = 0.6) -> Change:
    """Return the change that cuts a part out."""
    return lambda picture: picture.crop(
        (
            round(left * picture.width),
            round(top * picture.height),
            round((left + share) * picture.width),
            round((top + share) * picture.height),
        )
    )


PARTS: dict[str, Change] = {f"part {left} {top}": part(left, top) for left in (0.0, 0.4) for top in (0.0, 0.4)}
"""More images for a background: 121 span fewer directions than are kept."""
CHANGES: dict[str, Change] = {
    "jpeg 90": coded("JPEG", quality=90, subsampling=0),
    "jpeg 75": coded("JPEG", quality=75, subsampling=0),
    "jpeg 50": coded("JPEG", quality=50, subsampling=0),
    "jpeg 75 4:2:0": coded("JPEG", quality=75, subsampling=2),
    "4:2:0": half_chroma,
    "half size": shrunk(0.5),
    "webp 75": coded("WEBP", quality=75),
}
NUISANCES: dict[str, Change] = {
    "jpeg 85": coded("JPEG", quality=85, subsampling=0),
    "jpeg 60 4:2:0": coded("JPEG", quality=60, subsampling=2),
    "jpeg 40 4:2:0": coded("JPEG", quality=40, subsampling=2),
    "4:2:0": half_chroma,
    "two thirds": shrunk(2 / 3, Image.Resampling.BILINEAR),
    "0.45": shrunk(0.45, Image.Resampling.LANCZOS),
    "noise": noisy,
    "soft": lambda picture: picture.filter(ImageFilter.GaussianBlur(0.5)),
}
"""What a background is made blind to; not the changes that verdicts are then tried under, but for 4:2:0."""


def prepared(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the middle square, 256x256."""
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box=box))


STRENGTHS = {"tone": 0.4, "colour": 0.4, "hue": 0.4, "texture": 0.15, "bands": 0.15, "layout": 0.15}
LENGTH = 14.0
"""What a statistic counts beside one feature of the encoder, by group; chosen on half of the people.
The encoder's features have the length `LENGTH` in all, about their usual one."""
_BOUND = 3.0


def embed(raw: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, D): features of one length, statistics standardised by a background's, bounded and scaled by group."""
    features = ENCODER_WIDTH
    middle, deviation = background[:, features:].mean(axis=0), background[:, features:].std(axis=0) + 1e-3
    standard = _BOUND * np.tanh((raw[:, features:] - middle) / deviation / _BOUND)
    sizes = {group: len(values) for group, values in statistics(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)).items()}
    strengths = np.concatenate([np.full(sizes[group], STRENGTHS[group]) for group in GROUPS])
    unit = LENGTH * raw[:, :features] / np.linalg.norm(raw[:, :features], axis=1, keepdims=True)
    return np.hstack([unit, strengths * standard]).astype(np.float32)


class Eye:
    """An encoder's features (1280) and the statistics of `taste_features` of pictures, raw and each computed once."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(ENCODER), options, providers=["CPUExecutionProvider"])
        own = Path(__file__).with_name("taste_features.py").read_bytes()
        self._version = hashlib.sha256(own).hexdigest()[:8]

    def look(self, name: str, paths: Sequence[Path], change: Change | None = None) -> NDArray[np.float32]:
        """Return (N, 1280 + statistics), float32, of pictures as they are or changed; `name` is that of the file."""
        CACHE.mkdir(parents=True, exist_ok=True)
        file = CACHE / f"{name}-{self._version}.npy".replace(" ", "_").replace(":", "").replace("/", "_")
        if not file.exists():
            np.save(file, np.stack([self._see(path, change) for path in paths]))
        return np.asarray(np.load(file))

    def _see(self, path: Path, change: Change | None) -> NDArray[np.float32]:
        with Image.open(path) as file:
            picture = file.convert("RGB")
        pixels = prepared(change(picture) if change else picture)
        middle = np.ascontiguousarray(pixels[16:-16, 16:-16])
        features = self._session.run(None, {"candidate": middle[None]})[0][0]
        groups = statistics(pixels)
        return np.concatenate([features, *(groups[group] for group in GROUPS)]).astype(np.float32)


def look_otherwise(name: str, paths: Sequence[Path]) -> NDArray[np.float32]:
    """Return (N, 1024) of a network that tastes are never learned from: what simulated people judge by."""
    file = CACHE / f"other-{name}.npy"
    if not file.exists():
        model = onnx.load(REPO / "models" / "open-nsfw" / "model.onnx")
        pooled = next(node.output[0] for node in model.graph.node if node.op_type == "ReduceMean")
        model.graph.output.append(onnx.ValueInfoProto(name=pooled))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        rows = []
        for path in paths:
            with Image.open(path) as picture:
                pixels = np.ascontiguousarray(prepared(picture.convert("RGB"))[16:-16, 16:-16])
            rows.append(session.run([pooled], {"candidate": pixels[None]})[0].reshape(-1))
        np.save(file, np.stack(rows))
    return np.asarray(np.load(file))
