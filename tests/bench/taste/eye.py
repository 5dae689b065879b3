"""Embeddings of pictures by the encoders of the catalogue, each picture by the way of a request; kept under .cache."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beholder.inputs import invisible, steps
from beholder.inputs.image import Limits, decode
from beholder.inputs.invisible import Change
from beholder.runtime.ort import open_session
from beholder.runtime.session import Device, Session
from beholder.scoring.catalog import load_catalog
from beholder.scoring.image import ImageSpec
from beholder.types import F32, U8, EncodedImage
from bench.taste import changes

REPO = Path(__file__).resolve().parents[3]
CACHE = REPO / ".cache" / "taste"
CATALOG = load_catalog([REPO / "models"])
LIMITS = Limits(max_bytes=2**26, max_pixels=4 * 10**7)
OTHER = "open-nsfw"
"""The network that made-up people judge by, which no taste is learned from."""


class Eye:
    """What a graph of the catalogue makes of pictures, each computed once.

    Args:
        folder: a name, to keep results under.
        output: of the graph.
    """

    def __init__(self, folder: str, session: Session, image: ImageSpec, output: str) -> None:
        self.folder, self._session, self._image, self._output = folder, session, image, output

    def see(self, name: str, paths: Sequence[Path], change: Change | None = None) -> F32:
        """Return (N, D) of pictures as they are or changed; `name` tells the change from others."""
        key = hashlib.sha256(repr([(path.name, path.stat().st_size) for path in paths]).encode())
        for module in (invisible, changes) if change else ():
            key.update(Path(str(module.__file__)).read_bytes())
        file = CACHE / self.folder / f"{name} {key.hexdigest()[:8]}.npy".replace(" ", "_").replace(":", "")
        if not file.exists():
            rows = np.stack([self._see(path, change) for path in paths])
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, rows)
        return np.asarray(np.load(file), dtype=np.float32)

    def _see(self, path: Path, change: Change | None) -> F32:
        pixels = decode(EncodedImage(path.read_bytes()), LIMITS, path.name)
        if change:
            pixels = change(pixels)
        return self._embed(steps.apply(self._image.steps, pixels))

    def _embed(self, prepared: U8) -> F32:
        return self._session.run({"candidate": prepared[None]})[self._output].reshape(-1).astype(np.float32)


def encoder(name: str) -> tuple[Eye, str]:
    """Return an encoder of the catalogue, and the digest of its graph."""
    spec = CATALOG.encoders[name]
    file = spec.graph.file_for("cpu")
    data = file.path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256 or spec.image is None:
        raise SystemExit(f"{file.path} is not the graph that its folder names: run `beholder export {name}`")
    session = open_session(name, data, Device("cpu", 0, 1), spec.graph.options["cpu"])
    return Eye(f"{name}-{digest[:8]}", session, spec.image, "embedding"), digest


def other_eye() -> Eye:
    """Return the pooled features of `OTHER`, which its graph does not give out by itself."""
    import onnx

    spec = CATALOG.scorers[OTHER]
    if spec.image is None or not spec.is_exported("cpu"):
        raise SystemExit(f"made-up people judge by {OTHER}: run `beholder export {OTHER}`")
    model = onnx.load(spec.graph.file_for("cpu").path)
    pooled = next(node.output[0] for node in model.graph.node if node.op_type == "ReduceMean")
    model.graph.output.append(onnx.ValueInfoProto(name=pooled))
    session = open_session(OTHER, model.SerializeToString(), Device("cpu", 0, 1), {})
    return Eye(f"{OTHER}-{spec.graph.file_for('cpu').sha256[:8]}", session, spec.image, pooled)
