"""Graphs are loaded once, only if they are the ones named, and only if they fit."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from beholder.errors import ConfigError, ScoringFailed
from beholder.runtime.session import Device
from beholder.scoring.catalog import load_catalog
from beholder.scoring.load import Loaded, load_scorers
from fake_session import FakeSession
from scorer_folder import ENCODER, write_head, write_scorer

CPU, CUDA = Device("cpu", 0, 2), Device("cuda", 1, 2)
RESIZE = {"op": "resize", "size_px": [224, 192], "filter": "bicubic"}


@dataclass
class Opener:
    """Opens the session that a graph's bytes stand for, and remembers how each was opened."""

    sessions: dict[bytes, FakeSession] = field(default_factory=dict)
    opened: list[tuple[str, Device, Mapping[str, str]]] = field(default_factory=list)

    def __call__(self, name: str, model: bytes, device: Device, options: Mapping[str, str]) -> FakeSession:
        self.opened.append((name, device, options))
        return self.sessions[model]


@pytest.fixture
def opener() -> Opener:
    own = FakeSession(shapes={"candidate": (None, None, None, 3), "score": (None,)})
    encoder = FakeSession(output_names=("embedding",), shapes={"embedding": (None, 4)})
    head = FakeSession(input_names=("embedding",), shapes={"embedding": (None, 4), "score": (None,)})
    return Opener({b"graph": own, b"trunk": encoder, b"head": head})


def load(models: Path, opener: Opener, *names: str, device: Device = CPU, rows: int = 0) -> Loaded:
    return load_scorers(load_catalog([models]), names, device, rows, opener)


def test_all_that_is_exported_is_loaded_and_the_rest_is_named_with_its_remedy(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "here")
    write_scorer(tmp_path, "absent", graph=None)
    loaded = load(tmp_path, opener)
    assert (list(loaded.scorers), list(loaded.graphs)) == (["here"], ["here"])
    assert loaded.missing == {"absent": "run `beholder export absent`"}
    assert list(loaded.load_seconds) == ["here"]
    assert loaded.load_seconds["here"] > 0


def test_an_encoder_is_loaded_once_for_all_its_heads(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "trunk", b"trunk", **ENCODER)
    write_head(tmp_path, "taste", "trunk")
    write_head(tmp_path, "topic", "trunk")
    loaded = load(tmp_path, opener, device=CUDA)
    assert list(loaded.graphs) == ["trunk"]
    assert loaded.scorers["taste"].graph is loaded.scorers["topic"].graph
    assert sorted((name, device.kind) for name, device, _ in opener.opened) == [
        ("taste", "cpu"),
        ("topic", "cpu"),
        ("trunk", "cuda"),
    ]


def test_an_encoder_that_no_head_wants_is_not_loaded(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "trunk", b"trunk", **ENCODER)
    write_head(tmp_path, "taste", "trunk")
    write_scorer(tmp_path, "alone")
    assert list(load(tmp_path, opener, "alone").graphs) == ["alone"]


def test_a_head_whose_encoder_was_never_exported_is_missing(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "alone")
    write_scorer(tmp_path, "trunk", None, **ENCODER)
    write_head(tmp_path, "taste", "trunk")
    write_head(tmp_path, "topic", "trunk", None)
    assert load(tmp_path, opener).missing == {
        "taste": "run `beholder export trunk`",
        "topic": "run `beholder export trunk topic`",
    }


def test_rows_and_options_are_those_of_the_device(tmp_path: Path, opener: Opener) -> None:
    tables = {"graph.cpu": {"max_batch_rows": 3}, "graph.cuda": {"max_batch_rows": 5, "options": {"use_tf32": 1}}}
    write_scorer(tmp_path, "it", tables=tables)
    assert load(tmp_path, opener).graphs["it"].max_batch_rows == 3
    assert load(tmp_path, opener, device=CUDA).graphs["it"].max_batch_rows == 5
    assert load(tmp_path, opener, rows=9).graphs["it"].max_batch_rows == 9
    assert [(device, options) for _, device, options in opener.opened[:2]] == [(CPU, {}), (CUDA, {"use_tf32": "1"})]


def test_a_device_with_a_file_of_its_own_loads_that_and_tells_its_digest(tmp_path: Path, opener: Opener) -> None:
    other = write_scorer(tmp_path / "other", "half", b"half")
    digest = load_catalog([tmp_path / "other"]).scorers["half"].graph.file.sha256
    tables = {"graph.cuda": {"file": str(other / "model.onnx"), "sha256": digest}}
    write_scorer(tmp_path / "models", "it", tables=tables)
    opener.sessions[b"half"] = FakeSession()
    assert load(tmp_path / "models", opener, device=CUDA).scorers["it"].digest == digest
    assert load(tmp_path / "models", opener).scorers["it"].digest != digest


def test_a_fidelity_graph_takes_a_reference_as_well(tmp_path: Path, opener: Opener) -> None:
    opener.sessions[b"graph"].input_names = ("reference", "candidate")
    write_scorer(tmp_path, "it", kind="FIDELITY")
    assert load(tmp_path, opener).graphs["it"].roles == ("candidate", "reference")


def test_a_graph_that_draws_is_one_of_its_own_opened_when_it_first_runs(tmp_path: Path, opener: Opener) -> None:
    write_drawing(tmp_path)
    opener.sessions[b"map"] = FakeSession(
        input_names=("candidate", "reference"), output_names=("score", "map"), shapes={"map": (None, None, None)}
    )
    opener.sessions[b"graph"] = FakeSession(input_names=("candidate", "reference"))
    loaded = load(tmp_path, opener)
    plain, drawing = loaded.scorers["near"], loaded.drawing["near"]
    assert list(loaded.graphs) == ["near", "near/map"]
    assert (plain.graph.session, plain.draws) == (opener.sessions[b"graph"], None)
    assert drawing.graph.draws
    assert drawing.graph.max_batch_rows == 1
    assert drawing.draws
    assert drawing.draws.high == 2.0
    for _ in range(2):
        drawing.graph.session.run({})
    assert len(opener.opened) == 2
    loaded.close()
    assert opener.sessions[b"map"].is_closed
    with pytest.raises(ScoringFailed, match="near/map: the session is closed"):
        drawing.graph.session.run({})


def test_a_graph_that_should_draw_and_has_no_map_fails_when_it_is_asked(tmp_path: Path, opener: Opener) -> None:
    write_drawing(tmp_path)
    opener.sessions[b"graph"] = opener.sessions[b"map"] = FakeSession(input_names=("candidate", "reference"))
    session = load(tmp_path, opener).drawing["near"].graph.session
    with pytest.raises(ScoringFailed, match="outputs of the graph: want score, map, got score"):
        session.run({})


def test_a_graph_that_draws_and_was_changed_stops_the_start(tmp_path: Path, opener: Opener) -> None:
    (write_drawing(tmp_path) / "map.onnx").write_bytes(b"other")
    opener.sessions[b"graph"] = FakeSession(input_names=("candidate", "reference"))
    with pytest.raises(ConfigError, match=r"map\.onnx: sha256: want .* the file is stale or was tampered with"):
        load(tmp_path, opener)


def test_a_scorer_whose_map_was_never_exported_is_missing(tmp_path: Path, opener: Opener) -> None:
    (write_drawing(tmp_path) / "map.onnx").unlink()
    write_scorer(tmp_path, "here")
    assert load(tmp_path, opener).missing == {"near": "run `beholder export near`"}


def write_drawing(models: Path) -> Path:
    """Write a scorer whose second graph, of bytes `map`, draws."""
    drawing = {"sha256": hashlib.sha256(b"map").hexdigest(), "high": 2.0, "meaning": "error"}
    digest = hashlib.sha256(b"graph").hexdigest()
    tables = {"graph": {"sha256": digest}, "image": {"steps": []}, "map": drawing}
    folder = write_scorer(models, "near", kind="FIDELITY", tables=tables)
    (folder / "map.onnx").write_bytes(b"map")
    return folder


def test_a_graph_that_was_changed_is_never_opened(tmp_path: Path, opener: Opener) -> None:
    folder = write_scorer(tmp_path, "it")
    (folder / "model.onnx").write_bytes(b"tampered")
    with pytest.raises(ConfigError, match=r"it/model.onnx: sha256: want \w{64}.*got \w{64}.*run `beholder export it`"):
        load(tmp_path, opener)
    assert opener.opened == []


def test_a_changed_graph_stops_the_start_even_where_others_are_right(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "a")
    (write_scorer(tmp_path, "b") / "model.onnx").write_bytes(b"tampered")
    with pytest.raises(ConfigError, match=r"b/model.onnx: sha256"):
        load(tmp_path, opener)


def test_a_graph_that_cant_be_opened_is_named_with_its_path(tmp_path: Path) -> None:
    def refuse(name: str, model: bytes, device: Device, options: Mapping[str, str]) -> FakeSession:
        raise ConfigError(f"{name}: no good")

    write_scorer(tmp_path, "it")
    with pytest.raises(ConfigError, match=r".*/it/model.onnx: it: no good"):
        load_scorers(load_catalog([tmp_path]), [], CPU, 0, refuse)


def test_a_graph_that_cant_be_read_is_named_with_its_path(tmp_path: Path, opener: Opener) -> None:
    folder = write_scorer(tmp_path, "it")
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()
    with pytest.raises(ConfigError, match=r"it/model.onnx: Is a directory"):
        load(tmp_path, opener)


def test_a_scorer_asked_by_name_must_be_exported(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "here")
    write_scorer(tmp_path, "absent", graph=None)
    with pytest.raises(ConfigError, match="scorers: absent can't be served: run `beholder export absent`"):
        load(tmp_path, opener, "here", "absent")


def test_a_scorer_asked_by_name_must_exist(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "noise")
    with pytest.raises(ConfigError, match=r"scorers: no scorer 'nose'; did you mean noise\?"):
        load(tmp_path, opener, "nose")


def test_a_server_without_any_scorer_does_not_start(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "noise", graph=None)
    with pytest.raises(
        ConfigError, match="no scorer can be served: run `beholder export` to build them; there are: noise"
    ):
        load(tmp_path, opener)


@pytest.mark.parametrize(
    ("session", "keys", "message"),
    [
        (FakeSession(input_names=("x",)), {}, "it: inputs of the graph: want candidate, got x"),
        (FakeSession(input_names=("candidate", "x")), {}, "inputs of the graph: want candidate, got candidate, x"),
        (FakeSession(), {"kind": "FIDELITY"}, "inputs of the graph: want candidate, reference, got candidate"),
        (FakeSession(output_names=("y",)), {}, "outputs of the graph: want score, got y"),
        (
            FakeSession(),
            {"tables": {"output": {"labels": ["a"]}}},
            "outputs of the graph: want score, labels, got score",
        ),
        (
            FakeSession(output_names=("score", "labels"), shapes={"labels": (None, 3)}),
            {"tables": {"output": {"labels": ["a", "b"]}}},
            r"output labels of the graph: want shape \[any, 2\], got \[any, 3\]",
        ),
        (
            FakeSession(shapes={"score": (None, 1)}),
            {},
            r"output score of the graph: want shape \[any\], got \[any, 1\]",
        ),
        (
            FakeSession(shapes={"candidate": (1, None, None, 3)}),
            {},
            r"input candidate of the graph: want shape \[any, any, any, 3\], got \[1, any, any, 3\]",
        ),
        (
            FakeSession(shapes={"candidate": (None, 224, 224, 3)}),
            {"tables": {"image": {"steps": [RESIZE]}}},
            r"input candidate of the graph: want shape \[any, 224, 192, 3\], got \[any, 224, 224, 3\]",
        ),
        (
            FakeSession(shapes={"candidate": (None, 3, None, None)}),
            {},
            r"want shape \[any, any, any, 3\], got \[any, 3, any, any\]",
        ),
    ],
)
def test_a_graph_that_does_not_fit_stops_the_start(
    tmp_path: Path, session: FakeSession, keys: dict[str, object], message: str
) -> None:
    write_scorer(tmp_path, "it", **keys)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, Opener({b"graph": session}))


def test_a_head_fits_its_encoder(tmp_path: Path, opener: Opener) -> None:
    opener.sessions[b"head"].shapes = {"embedding": (None, 5)}
    write_scorer(tmp_path, "trunk", b"trunk", **ENCODER)
    write_head(tmp_path, "taste", "trunk")
    with pytest.raises(ConfigError, match=r"trunk: output embedding .*want shape \[any, 5\], got \[any, 4\]"):
        load(tmp_path, opener)


def test_a_heads_rows_are_free(tmp_path: Path, opener: Opener) -> None:
    opener.sessions[b"head"].shapes = {"embedding": (1, 4)}
    write_scorer(tmp_path, "trunk", b"trunk", **ENCODER)
    write_head(tmp_path, "taste", "trunk")
    with pytest.raises(ConfigError, match=r"taste: input embedding .*want shape \[any, 4\], got \[1, 4\]"):
        load(tmp_path, opener)


def test_closing_closes_graphs_and_heads(tmp_path: Path, opener: Opener) -> None:
    write_scorer(tmp_path, "alone")
    write_scorer(tmp_path, "trunk", b"trunk", **ENCODER)
    write_head(tmp_path, "taste", "trunk")
    load(tmp_path, opener).close()
    assert all(session.is_closed for session in opener.sessions.values())
