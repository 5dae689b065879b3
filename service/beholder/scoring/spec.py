"""What a scorer folder says of itself: `scorer.toml`, read and checked.

A folder is the registration. It holds either an encoder (`kind = "ENCODER"`, an embedding that heads share)
or a scorer: a graph of its own (`[image]` says how its images are prepared) or a head (`encoder = "name"`).
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beholder.errors import ConfigError
from beholder.inputs.small import wants_small
from beholder.scoring.image import ImageSpec, read_image
from beholder.scoring.sources import OwnSource, Source, read_sources
from beholder.scoring.table import SHA256, Table, is_of, read_table
from beholder.types import Direction, Kind

ENCODER = "ENCODER"
NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


@dataclass(frozen=True)
class GraphFile:
    """One `.onnx` file and the digest that it must have.

    Attributes:
        sha256: lowercase hex; empty where nobody told it yet.
        is_pinned: whether scorer.toml tells the digest. Where weights are the user's own it may not; then
            `beholder export` writes that of the graph it built into a file beside it.
    """

    path: Path
    sha256: str
    is_pinned: bool = True

    @property
    def record(self) -> Path:
        """Where the digest of a graph that is not pinned is written, in the form of sha256sum."""
        return self.path.with_name(f"{self.path.name}.sha256")

    @property
    def witness(self) -> str:
        """The name of the file that tells the digest."""
        return "scorer.toml" if self.is_pinned else self.record.name

    def recorded(self) -> str:
        """Read the digest that `beholder export` wrote beside the file; empty where there is none."""
        try:
            words = self.record.read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return ""
        return words[0] if words and SHA256.fullmatch(words[0]) else ""


@dataclass(frozen=True)
class GraphSpec:
    """A graph and how to run it, for each device.

    Attributes:
        file: the graph on any device that has no variant of its own.
        variants: device name -> a file of its own (float16 for CUDA, say).
        max_batch_rows: device name -> rows in one batch at most.
        options: device name -> provider options, passed on as they are.
    """

    file: GraphFile
    variants: Mapping[str, GraphFile]
    max_batch_rows: Mapping[str, int]
    options: Mapping[str, Mapping[str, str]]

    def file_for(self, device: str) -> GraphFile:
        """Return the file that this device loads."""
        return self.variants.get(device, self.file)


@dataclass(frozen=True)
class MapSpec:
    """A second graph that answers `score` and also draws `map`: float32 [N, H, W], 0 where no error is seen.

    Attributes:
        high: what is drawn white; more is clipped.
        meaning: what the number at a pixel is, for people.
    """

    file: GraphFile
    high: float
    meaning: str


@dataclass(frozen=True)
class Spec:
    """What all folders say.

    Attributes:
        default: whether `beholder export` without names builds it.
        image: None for a head, whose encoder prepares the image.
    """

    name: str
    version: int
    summary: str
    licence: str
    folder: Path
    default: bool
    graph: GraphSpec
    image: ImageSpec | None
    sources: tuple[Source | OwnSource, ...]

    def is_exported(self, device: str) -> bool:
        """Return whether every file that this device loads is there, right or wrong."""
        return self.graph.file_for(device).path.exists()

    @property
    def card(self) -> str:
        """The folder's CARD.md; empty where it has none."""
        path = self.folder / "CARD.md"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


@dataclass(frozen=True)
class EncoderSpec(Spec):
    """A graph that turns one image into an embedding."""


@dataclass(frozen=True)
class ScorerSpec(Spec):
    """A scorer; `range_` is (lowest, highest), infinite where unbounded.

    Attributes:
        encoder: the encoder that a head reads; empty for a graph of its own.
        labels: names of the graph's `labels` output, in its order; empty where it has none.
        top_labels: how many labels a score carries, likeliest first.
        map: the graph that draws where the error is; None where there is none.
    """

    kind: Kind
    direction: Direction
    range_: tuple[float, float]
    encoder: str
    labels: tuple[str, ...]
    top_labels: int
    map: MapSpec | None

    def is_exported(self, device: str) -> bool:
        """Return whether every file that this device loads is there, right or wrong."""
        return super().is_exported(device) and (self.map is None or self.map.file.path.exists())

    @property
    def needs_reference(self) -> bool:
        """Whether a sample must carry a reference."""
        return self.kind is Kind.FIDELITY

    @property
    def needs_prompt(self) -> bool:
        """Whether a sample must carry a prompt."""
        return self.kind is Kind.ADHERENCE


def read_spec(folder: Path) -> ScorerSpec | EncoderSpec:
    """Read `scorer.toml` of one folder.

    Raises:
        ConfigError: unreadable, or a key is missing, unknown or of a wrong value; the message names file and key.
    """
    path = folder / "scorer.toml"
    top = read_table(path)
    name, kind, encoder = top.get("name", str), top.get("kind", str), top.get("encoder", str, "")
    if name != folder.name or not NAME.fullmatch(name):
        raise top.wrong("name", f"the folder's name, {folder.name!r}, of a-z, 0-9, '.' and '-'", name)
    sources = read_sources(top.tables("source"))
    common: dict[str, Any] = {
        "name": name,
        "version": top.whole("version", 1, 2**32 - 1),
        "summary": top.get("summary", str),
        "licence": top.get("licence", str),
        "default": top.get("default", bool, False),
        "folder": folder,
        "graph": _read_graph(top.table("graph"), folder, sources),
        "image": None if encoder else read_image(top.table("image"), path),
        "sources": sources,
    }
    _check_places(top, common["image"])
    if encoder and kind in (ENCODER, Kind.FIDELITY.name):
        raise top.wrong("encoder", f"none, for a graph of kind {kind} takes images, not an embedding", encoder)
    spec = EncoderSpec(**common) if kind == ENCODER else _read_scorer(top, encoder, common)
    top.done()
    return spec


def _read_scorer(top: Table, encoder: str, common: dict[str, Any]) -> ScorerSpec:
    bounds = top.get("range", list, [-math.inf, math.inf])
    if len(bounds) != 2 or not all(is_of(bound, float) for bound in bounds) or not bounds[0] < bounds[1]:
        raise top.wrong("range", "[lowest, highest], inf where there is no bound", bounds)
    output = top.table("output")
    labels = _read_labels(output, common["folder"])
    top_labels = output.whole("top_labels", 0, len(labels), len(labels))
    output.done()
    return ScorerSpec(
        kind=top.member("kind", Kind),
        direction=top.member("direction", Direction),
        range_=(float(bounds[0]), float(bounds[1])),
        encoder=encoder,
        labels=labels,
        top_labels=top_labels,
        map=_read_map(top.table("map"), common["folder"], common["sources"]) if "map" in top else None,
        **common,
    )


def _check_places(top: Table, image: ImageSpec | None) -> None:
    """Refuse a map, or strips, of what is no score of the places of the image as sent, and pairs decoded unlike."""
    if image and wants_small(image.steps) and top.get("kind", str) == Kind.FIDELITY.name:
        raise top.wrong("image", "no decode_small for pairs: one of them may be no JPEG", "decode_small")
    if "map" in top and (image is None or image.steps):
        raise top.wrong("map", "none, for what is scored is not the image as it was sent", "a table")
    if image and image.strips and (top.get("kind", str) == ENCODER or "output" in top):
        raise top.wrong("image", "no strips where there are embeddings or labels", "strips")


def _read_labels(output: Table, folder: Path) -> tuple[str, ...]:
    if "labels_file" not in output:
        return output.texts("labels", [])
    path = folder / output.get("labels_file", str)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return Table({"lines": lines}, str(path)).texts("lines", [])


def _read_graph(table: Table, folder: Path, sources: Sequence[Source | OwnSource]) -> GraphSpec:
    file = _read_file(table, folder / table.get("file", str, "model.onnx"), sources)
    variants, rows, options = dict[str, GraphFile](), dict[str, int](), dict[str, dict[str, str]]()
    for device, default_rows in (("cpu", 8), ("cuda", 64)):
        own = table.table(device)
        rows[device] = own.whole("max_batch_rows", 1, 4096, default_rows)
        options[device] = {key: str(value) for key, value in own.get("options", dict, {}).items()}
        if "file" in own:
            variants[device] = GraphFile(folder / own.get("file", str), own.sha256())
        own.done()
    table.done()
    return GraphSpec(file, variants, rows, options)


def _read_file(table: Table, path: Path, sources: Sequence[Source | OwnSource]) -> GraphFile:
    """Read a graph's digest; scorer.toml may leave it out where nobody but the user has the weights."""
    if "sha256" in table or not any(isinstance(source, OwnSource) for source in sources):
        return GraphFile(path, table.sha256())
    unpinned = GraphFile(path, "", is_pinned=False)
    return dataclasses.replace(unpinned, sha256=unpinned.recorded())


def _read_map(table: Table, folder: Path, sources: Sequence[Source | OwnSource]) -> MapSpec:
    file = _read_file(table, folder / table.get("file", str, "map.onnx"), sources)
    high = float(table.get("high", float))
    if not 0 < high < math.inf:
        raise table.wrong("high", "more than 0", high)
    spec = MapSpec(file, high, table.get("meaning", str))
    table.done()
    return spec
