"""Where weights come from, and the digest of a graph that only the user can build."""

import hashlib
from pathlib import Path

import pytest

from beholder.errors import ConfigError
from beholder.runtime.session import Device
from beholder.scoring.catalog import load_catalog
from beholder.scoring.load import load_scorers
from beholder.scoring.sources import OwnSource, OwnWeights, Source
from beholder.scoring.spec import ScorerSpec, read_spec
from fake_session import FakeSession
from scorer_folder import write_scorer

TRUNK, HEADS = b"trunk", b"heads"
SHA = "0" * 64
PACKAGED = {"package": "heads==1", "member": "a/heads.pth", "sha256": SHA}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


OWN = {"file": f"trunk-{sha256(TRUNK)[:8]}.pth", "sha256": sha256(TRUNK)[:8], "hint": "the zoo, under T"}
KNOWN_BY_DIGITS = OwnSource(**OWN)
KNOWN_BY_NAME = OwnSource("heads.zip", "", "the authors' page")
SOURCES = (Source("more==1", "m", SHA), KNOWN_BY_DIGITS, KNOWN_BY_NAME)


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """Return a file of weights under a name of the user's own."""
    path = tmp_path / "mine.pth"
    path.write_bytes(TRUNK)
    return path


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    path = tmp_path / "heads.zip"
    path.write_bytes(HEADS)
    return path


def test_a_source_is_in_a_package_or_the_users_own(tmp_path: Path) -> None:
    spec = read_spec(write_scorer(tmp_path, "it", source=[PACKAGED, OWN, {"file": "heads.zip", "hint": "h"}]))
    assert spec.sources == (Source(**PACKAGED), OwnSource(**OWN), OwnSource("heads.zip", "", "h"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"package": "heads==1", "member": "m"}, "sha256 is missing"),
        ({"file": "t.pth"}, "hint is missing"),
        ({"file": "t.pth", "hint": "h", "sha256": "7be5be7"}, "sha256: want 8 to 64 lowercase hex digits.*'7be5be7'"),
        ({"file": "t.pth", "hint": "h", "sha256": "7BE5BE79"}, "sha256: want 8 to 64 lowercase hex digits"),
        ({"file": "t.pth", "hint": "h", "member": "m"}, "unknown key member"),
    ],
)
def test_a_wrong_source_is_told(tmp_path: Path, source: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[\[source\]\]: {message}"):
        read_spec(write_scorer(tmp_path, "it", source=[source]))


def test_files_are_known_by_their_digits_whatever_their_name_or_else_by_name(trunk: Path, heads: Path) -> None:
    own = OwnWeights([heads, trunk])
    assert own.take("it", SOURCES) == {KNOWN_BY_DIGITS: trunk, KNOWN_BY_NAME: heads}
    assert own.missing(SOURCES) == own.strangers(SOURCES) == []


def test_a_file_that_was_not_named_is_told_with_where_it_is_and_the_whole_call(heads: Path) -> None:
    own = OwnWeights([heads])
    assert own.missing(SOURCES) == [KNOWN_BY_DIGITS]
    with pytest.raises(ConfigError) as caught:
        own.take("it", SOURCES)
    assert caught.value.message == (
        f"it needs {OWN['file']} (the zoo, under T), which no package holds; then "
        f"run `beholder export it --weights {OWN['file']} --weights heads.zip`"
    )
    with pytest.raises(
        ConfigError, match=r"trunk-\w+\.pth \(the zoo, under T\) and heads\.zip \(the authors' page\), which"
    ):
        OwnWeights().take("it", SOURCES)


def test_a_file_of_the_right_name_and_another_digest_is_refused_with_both(tmp_path: Path) -> None:
    path = tmp_path / OWN["file"]
    path.write_bytes(b"half a tru")
    with pytest.raises(ConfigError) as caught:
        OwnWeights([path]).missing(SOURCES)
    for part in (str(path), f"want {OWN['sha256']}…", f"got {sha256(b'half a tru')}", "the zoo, under T"):
        assert part in caught.value.message


def test_a_file_that_nobody_asks_for_is_a_stranger(tmp_path: Path, trunk: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"other")
    assert OwnWeights([trunk, other]).strangers(SOURCES) == [other]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.pth: No such file"):
        OwnWeights([tmp_path / "gone.pth"])


def unpinned(models: Path, **keys: object) -> Path:
    """Write a scorer whose graph and map have no digest in scorer.toml."""
    tables = {"graph": {}, "map": {"high": 1, "meaning": "error"}, "image": {"steps": []}}
    return write_scorer(models, "it", kind="FIDELITY", tables=tables, **{"source": [OWN]} | keys)


def test_only_weights_of_the_users_own_excuse_a_missing_digest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[graph\]: sha256 is missing"):
        read_spec(unpinned(tmp_path, source=[PACKAGED]))


def test_a_graph_without_a_digest_in_its_folder_has_one_beside_it(tmp_path: Path) -> None:
    folder = unpinned(tmp_path)
    (folder / "model.onnx.sha256").write_text(f"{SHA}  model.onnx\n")
    (folder / "map.onnx.sha256").write_text("half a di")
    spec = read_spec(folder)
    assert isinstance(spec, ScorerSpec)
    assert spec.map
    assert (spec.graph.file.sha256, spec.map.file.sha256) == (SHA, "")
    assert (spec.graph.file.witness, spec.map.file.witness) == ("model.onnx.sha256", "map.onnx.sha256")


def test_a_digest_in_the_folder_goes_before_one_beside_the_graph(tmp_path: Path) -> None:
    folder = write_scorer(tmp_path, "it", source=[OWN])
    (folder / "model.onnx.sha256").write_text(f"{SHA}  model.onnx\n")
    file = read_spec(folder).graph.file
    assert (file.sha256, file.is_pinned, file.witness) == (sha256(b"graph"), True, "scorer.toml")


def open_nothing(*_: object) -> FakeSession:
    raise AssertionError("a graph of unknown digest was opened")


@pytest.mark.parametrize(
    ("record", "want"), [(None, r"one in model\.onnx\.sha256"), (SHA, rf"{SHA}, as model\.onnx\.sha256 says")]
)
def test_no_graph_is_loaded_without_a_digest_that_fits(tmp_path: Path, record: str | None, want: str) -> None:
    folder = unpinned(tmp_path)
    (folder / "map.onnx").write_bytes(b"map")
    if record:
        (folder / "model.onnx.sha256").write_text(f"{record}  model.onnx\n")
    with pytest.raises(ConfigError, match=rf"sha256: want {want}, got \w{{64}}.*run `beholder export it`"):
        load_scorers(load_catalog([tmp_path]), (), Device("cpu", 0, 1), 0, open_nothing)
