"""Loads the graphs of a catalogue onto a device, each encoder once, and checks that they are what their folders say.

A graph that is not the one its folder names never runs; a scorer that was never exported is left out and named.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from beholder.clock import monotonic
from beholder.errors import ConfigError
from beholder.inputs.steps import output_size
from beholder.runtime.ort import open_session
from beholder.runtime.session import Device, Session
from beholder.scoring.asked import CANDIDATE, EMBEDDING, LABELS, MAP, REFERENCE, SCORE, Graph
from beholder.scoring.catalog import Catalog, nearest
from beholder.scoring.elsewhere import Elsewhere
from beholder.scoring.late import LateSession
from beholder.scoring.scorer import GraphScorer
from beholder.scoring.spec import EncoderSpec, GraphFile, MapSpec, ScorerSpec, Spec
from beholder.scoring.strips import StripSession

Shape = tuple[int | None, ...]
Shapes = Mapping[str, Shape]
OpenSession = Callable[[str, bytes, Device, Mapping[str, str]], Session]


@dataclass(frozen=True)
class Loaded:
    """What can be asked, and what can't.

    Attributes:
        scorers: by name, in the order of the catalogue.
        drawing: the scorers whose graph also draws a map, by name; asked instead when a caller wants one.
        graphs: every graph of images by name; an encoder is here once, whatever the number of its heads.
        missing: a scorer whose graph was never built here -> what to do about it.
        load_seconds: graph or head -> the time to read, check and load it.
    """

    scorers: dict[str, GraphScorer] = field(default_factory=dict)
    drawing: dict[str, GraphScorer] = field(default_factory=dict)
    graphs: dict[str, Graph] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    load_seconds: dict[str, float] = field(default_factory=dict)

    def close(self) -> None:
        """Close every session."""
        for scorer in self.scorers.values():
            if scorer.head:
                scorer.head.close()
        for graph in self.graphs.values():
            graph.session.close()


def load_scorers(
    catalog: Catalog,
    names: Sequence[str],
    device: Device,
    max_batch_rows: int,
    open_session: OpenSession = open_session,
    encoders: Collection[str] = (),
    elsewhere: Mapping[str, Elsewhere] | None = None,
) -> Loaded:
    """Load scorers, with the encoders that their heads read; heads run on the CPU, whatever the device.

    Args:
        names: of the scorers wanted; none means all whose graphs are there.
        max_batch_rows: rows in one run at most; 0 is what each graph declares for the device.
        open_session: opens a graph's bytes on a device.
        encoders: names of encoders that are wanted for themselves; those never exported are left out.
        elsewhere: the graphs that another process has, by name; then only heads are loaded here, and what that process
            has not is missing. None: all graphs are loaded here.

    Raises:
        ConfigError: a name is unknown, a scorer asked by name (or every one) was never exported, or a graph is not the
            one that its folder names, is corrupt, or does not take and give what its scorer needs.
    """
    for name in names:
        if name not in catalog.scorers:
            raise ConfigError(f"scorers: no scorer {name!r}{nearest(name, catalog.scorers)}")
    loader = _Loader(catalog, device, max_batch_rows, open_session, elsewhere)
    for name, spec in catalog.scorers.items():
        if not names or name in names:
            loader.add(spec)
    for name in encoders:
        loader.add_encoder(catalog.encoders[name])
    loaded = loader.loaded
    if names and loaded.missing:
        raise ConfigError(
            "; ".join(f"scorers: {name} can't be served: {what}" for name, what in loaded.missing.items())
        )
    if not loaded.scorers:
        raise ConfigError(f"no scorer can be served: run `beholder export` to build them{nearest('', catalog.scorers)}")
    return loaded


class _Loader:
    def __init__(
        self,
        catalog: Catalog,
        device: Device,
        max_batch_rows: int,
        open_session: OpenSession,
        elsewhere: Mapping[str, Elsewhere] | None,
    ) -> None:
        self.loaded = Loaded()
        self._elsewhere = elsewhere
        self._catalog, self._device, self._max_batch_rows = catalog, device, max_batch_rows
        self._cpu = dataclasses.replace(device, kind="cpu", id=0)
        self._open = open_session

    def add(self, spec: ScorerSpec) -> None:
        encoder = self._catalog.encoders[spec.encoder] if spec.encoder else None
        own_device = self._cpu if encoder else self._device
        file = spec.graph.file_for(own_device.kind)
        absent = [] if spec.is_exported(own_device.kind) else [spec.name]
        if encoder and not encoder.is_exported(self._device.kind):
            absent.insert(0, encoder.name)
        if absent:
            self.loaded.missing[spec.name] = f"run `beholder export {' '.join(absent)}`"
            return
        if not self._is_there(encoder or spec):
            self.loaded.missing[spec.name] = "its graph is newer than the server's start: restart the server"
            return
        outputs: Shapes = {SCORE: (None,)} | ({LABELS: (None, len(spec.labels))} if spec.labels else {})
        head = self._session(spec, file, self._cpu) if encoder else None
        if head:
            embedding = head.shapes.get(EMBEDDING, ())[1:]
            _check(spec, head, {EMBEDDING: (None, *embedding)}, outputs)
            outputs = {EMBEDDING: (None, *embedding)}
        graph = self._graph(encoder or spec)
        _check(graph.spec, graph.session, _image_shapes(graph), outputs)
        self.loaded.scorers[spec.name] = GraphScorer(spec, graph, head, file.sha256)
        if spec.map:
            self._add_drawing(spec, spec.map)

    def add_encoder(self, spec: EncoderSpec) -> None:
        if spec.is_exported(self._device.kind) and self._is_there(spec):
            graph = self._graph(spec)
            _check(spec, graph.session, _image_shapes(graph), {EMBEDDING: (None, None)})

    def _is_there(self, spec: Spec) -> bool:
        """Tell whether a graph is loaded here, or is the one that the other process has."""
        if self._elsewhere is None:
            return True
        there = self._elsewhere.get(spec.name)
        return there is not None and there.digest == spec.graph.file_for(self._device.kind).sha256

    def _graph(self, spec: Spec) -> Graph:
        """Return the spec's graph; it is loaded when it is first asked for."""
        if spec.name not in self.loaded.graphs:
            has_reference = isinstance(spec, ScorerSpec) and spec.needs_reference
            roles = (CANDIDATE, REFERENCE) if has_reference else (CANDIDATE,)
            rows = self._max_batch_rows or spec.graph.max_batch_rows[self._device.kind]
            session = self._session(spec, spec.graph.file_for(self._device.kind), self._device)
            if spec.image and spec.image.strips and spec.image.max_mpx:
                session = StripSession(session, int(spec.image.max_mpx * 1e6), spec.image.strips)
            self.loaded.graphs[spec.name] = Graph(spec.name, spec.version, spec, session, roles, rows)
        return self.loaded.graphs[spec.name]

    def _add_drawing(self, spec: ScorerSpec, drawing: MapSpec) -> None:
        """Add the graph that also draws, as one of its own that is opened when the first map is asked for."""
        plain = self.loaded.scorers[spec.name].graph
        shapes = _image_shapes(plain)
        name = f"{spec.name}/map"
        if self._elsewhere is None:
            _read(spec, drawing.file)  # one that is stale or was tampered with stops the start

        def open_session() -> Session:
            session = self._session(spec, drawing.file, self._device, name)
            _check(spec, session, shapes, {SCORE: (None,), MAP: (None, None, None)})
            return session

        whole = dataclasses.replace(spec, image=dataclasses.replace(plain.image, strips=None))  # a map is of one piece
        session = LateSession(name, plain.session, (SCORE, MAP), open_session)
        graph = Graph(name, spec.version, whole, session, plain.roles, max_batch_rows=1, draws=True)
        self.loaded.graphs[name] = graph
        self.loaded.drawing[spec.name] = GraphScorer(spec, graph, None, drawing.file.sha256, drawing)

    def _session(self, spec: Spec, file: GraphFile, device: Device, name: str = "") -> Session:
        """Open a graph's file after checking its digest; the bytes checked are the bytes that run.

        Args:
            name: of the graph, where it is not its scorer's.
        """
        name = name or spec.name
        if self._elsewhere is not None and name in self._elsewhere:
            return self._elsewhere[name]
        started = monotonic()
        data = _read(spec, file)
        try:
            session = self._open(name, data, device, spec.graph.options[device.kind])
        except ConfigError as error:
            raise ConfigError(f"{file.path}: {error.message}") from error
        self.loaded.load_seconds[name] = monotonic() - started
        return session


def _read(spec: Spec, file: GraphFile) -> bytes:
    """Read a graph's file and check its digest."""
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file.path}: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        want = f"{file.sha256}, as {file.witness} says" if file.sha256 else f"one in {file.witness}"
        raise ConfigError(
            f"{file.path}: sha256: want {want}, got {found}: the file is stale or was tampered with; "
            f"run `beholder export {spec.name}`, or, if the new file is yours, put its digest there"
        )
    return data


def _image_shapes(graph: Graph) -> Shapes:
    size_px = output_size(graph.image.steps)
    return dict.fromkeys(graph.roles, (None, *(size_px or (None, None)), 3))


def _check(spec: Spec, session: Session, inputs: Shapes, outputs: Shapes) -> None:
    """Check a graph's names and shapes; a tensor whose shape it does not declare is believed.

    Args:
        inputs: name -> shape that will be given; None where any size may come.
        outputs: name -> shape that is needed; None where any size will do.
    """
    for what, found_names, wanted in (
        ("input", session.input_names, inputs),
        ("output", session.output_names, outputs),
    ):
        if not set(wanted) <= set(found_names) or (what == "input" and len(found_names) > len(wanted)):
            raise ConfigError(f"{spec.name}: {what}s of the graph: want {_list(wanted)}, got {_list(found_names)}")
        for name, want in wanted.items():
            found = session.shapes.get(name, ())
            fits = len(found) == len(want) and all(
                have is None or have == need or (need is None and what == "output")
                for have, need in zip(found, want, strict=True)
            )
            if found and not fits:
                raise ConfigError(
                    f"{spec.name}: {what} {name} of the graph: want shape {_shape(want)}, got {_shape(found)}"
                )


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _shape(shape: Shape) -> str:
    return "[" + ", ".join("any" if axis is None else str(axis) for axis in shape) + "]"
