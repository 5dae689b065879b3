"""Building graphs that draw, and graphs of weights that the user names."""

import hashlib
from pathlib import Path

import pytest

from beholder.cli.main import run
from beholder.errors import ConfigError
from beholder.export import Stage, build, check_own, is_built
from beholder.scoring.catalog import load_catalog
from beholder.scoring.sources import OwnWeights
from beholder.scoring.spec import Spec, read_spec
from scorer_folder import write_scorer

TRUNK, HEADS = b"trunk", b"heads"
EXPORT = """
import sys
given = dict(zip(sys.argv, sys.argv[1:]))
weights = [open(path, "rb").read() for name, path in zip(sys.argv, sys.argv[1:]) if name == "--weights"]
open(given["--output"], "wb").write((b"map of " if "--map" in sys.argv else b"graph of ") + b" and ".join(weights))
"""
Captured = pytest.CaptureFixture[str]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


OWN = [
    {"file": "heads.zip", "hint": "the authors' page"},
    {"file": f"trunk-{sha256(TRUNK)[:8]}.pth", "sha256": sha256(TRUNK)[:8], "hint": "the zoo, under T"},
]


def make_scorer(models: Path, name: str = "it", **keys: object) -> Spec:
    """Write a scorer that draws, of two files that the user names."""
    tables = {"graph": {}, "map": {"high": 1, "meaning": "error"}, "image": {"steps": []}}
    keys = {"graph": None, "kind": "FIDELITY", "tables": tables, "source": OWN} | keys
    folder = write_scorer(models, name, **keys)  # type: ignore[arg-type]
    (folder / "export.py").write_text(EXPORT)
    return read_spec(folder)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return the user's two files, in another order than the folder's."""
    paths = [tmp_path / "mine.pth", tmp_path / "heads.zip"]
    for path, data in zip(paths, (TRUNK, HEADS), strict=True):
        path.write_bytes(data)
    return paths


def stages(spec: Spec, cache: Path, own: OwnWeights | None = None) -> list[Stage]:
    told: list[Stage] = []
    build(spec, cache, lambda _, stage: told.append(stage), no_index, own)
    return told


def no_index(package: str, folder: Path) -> Path:
    raise AssertionError("nothing here is in a package")


def content(spec: Spec) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in spec.folder.iterdir() if path.suffix not in (".py", ".toml")}


def pinned(graph: bytes, drawing: bytes) -> dict[str, dict[str, object]]:
    return {
        "graph": {"sha256": sha256(graph)},
        "map": {"sha256": sha256(drawing), "high": 1, "meaning": "error"},
        "image": {"steps": []},
    }


def test_a_graph_that_draws_is_built_beside_the_one_that_scores(models: Path, cache: Path) -> None:
    spec = make_scorer(models, source=None, tables=pinned(b"graph of ", b"map of "))
    assert not is_built(spec)
    assert stages(spec, cache) == [Stage.EXPORTING, Stage.BUILT]
    assert content(spec) == {"model.onnx": b"graph of ", "map.onnx": b"map of "}
    assert is_built(spec)
    assert stages(spec, cache) == [Stage.UP_TO_DATE]


def test_of_two_graphs_only_the_one_that_is_not_there_is_built(models: Path, cache: Path) -> None:
    spec = make_scorer(models, source=None, graph=b"committed", tables=pinned(b"committed", b"map of "))
    stages(spec, cache)
    assert content(spec) == {"model.onnx": b"committed", "map.onnx": b"map of "}


def test_a_map_other_than_the_named_one_is_refused(models: Path, cache: Path) -> None:
    spec = make_scorer(models, source=None, tables=pinned(b"graph of ", b"another map"))
    with pytest.raises(ConfigError, match=sha256(b"another map")):
        stages(spec, cache)
    assert content(spec) == {"model.onnx": b"graph of "}


def test_graphs_of_the_users_own_weights_get_their_digests_beside_them(
    models: Path, cache: Path, files: list[Path]
) -> None:
    spec = make_scorer(models)
    assert stages(spec, cache, OwnWeights(files)) == [Stage.EXPORTING, Stage.BUILT]
    graph, drawing = b"graph of heads and trunk", b"map of heads and trunk"
    assert content(spec) == {
        "model.onnx": graph,
        "model.onnx.sha256": f"{sha256(graph)}  model.onnx\n".encode(),
        "map.onnx": drawing,
        "map.onnx.sha256": f"{sha256(drawing)}  map.onnx\n".encode(),
    }
    assert is_built(spec)
    assert read_spec(spec.folder).graph.file.sha256 == sha256(graph)


def test_what_was_built_of_them_needs_them_no_more_and_is_built_anew_when_they_are_named(
    models: Path, cache: Path, files: list[Path]
) -> None:
    spec = make_scorer(models)
    stages(spec, cache, OwnWeights(files))
    assert stages(spec, cache) == [Stage.UP_TO_DATE]
    assert stages(spec, cache, OwnWeights(files[:1])) == [Stage.UP_TO_DATE]
    assert stages(spec, cache, OwnWeights(files)) == [Stage.EXPORTING, Stage.BUILT]


@pytest.mark.parametrize("lost", ["model.onnx", "model.onnx.sha256"])
def test_half_of_what_was_built_is_not_up_to_date(models: Path, cache: Path, files: list[Path], lost: str) -> None:
    spec = make_scorer(models)
    stages(spec, cache, OwnWeights(files))
    (spec.folder / lost).unlink()
    assert not is_built(spec)
    with pytest.raises(ConfigError, match=r"it needs heads\.zip"):
        stages(spec, cache)


def test_nothing_is_fetched_or_written_before_the_users_files_are_there(models: Path, cache: Path) -> None:
    packaged = {"package": "heads==1", "member": "m", "sha256": sha256(HEADS)}
    spec = make_scorer(models, source=[packaged, *OWN])
    told: list[Stage] = []
    with pytest.raises(ConfigError, match=r"needs heads\.zip \(the authors' page\) and trunk"):
        build(spec, cache, lambda _, stage: told.append(stage), no_index, OwnWeights())
    assert (told, content(spec), cache.exists()) == ([], {}, False)


def test_a_folder_without_export_is_told_where_the_digest_goes(models: Path, cache: Path) -> None:
    spec = make_scorer(models)
    (spec.folder / "export.py").unlink()
    with pytest.raises(ConfigError, match=r"no export\.py .*model\.onnx, with its digest in model\.onnx\.sha256; put"):
        stages(spec, cache)


def test_a_file_that_no_chosen_scorer_asks_for_is_told_with_who_does(models: Path, files: list[Path]) -> None:
    make_scorer(models, "near"), make_scorer(models, "far")
    make_scorer(models, "other", source=None, tables=pinned(b"", b""))
    catalog = load_catalog([models])
    other, own = catalog.scorers["other"], OwnWeights(files)
    with pytest.raises(ConfigError, match=r"--weights .*mine\.pth: it is for far, near: name the one to build"):
        check_own(own, [other], catalog)
    check_own(own, [other, catalog.scorers["near"]], catalog)
    files[0].write_bytes(b"of nobody")
    with pytest.raises(ConfigError, match=r"--weights .*mine\.pth: no scorer asks for it"):
        check_own(OwnWeights(files), list(catalog.scorers.values()), catalog)


def said(capsys: Captured, models: Path, *argv: str) -> tuple[int, str, str]:
    code = run(["export", *argv, "--models", str(models)], {"XDG_CACHE_HOME": str(models.parent / "cache")})
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_asks_for_files_and_takes_them(models: Path, files: list[Path], capsys: Captured) -> None:
    make_scorer(models)
    code, out, err = said(capsys, models, "it")
    assert (code, out) == (1, "")
    assert "run `beholder export it --weights heads.zip --weights trunk-" in err
    code, out, err = said(capsys, models, "it", *(f"--weights={path}" for path in files))
    assert (code, err) == (0, "")
    assert out.startswith("it: built in ")
    assert said(capsys, models, "it") == (0, "it: up to date\n", "")


def test_all_leaves_out_what_it_has_no_files_for(models: Path, files: list[Path], capsys: Captured) -> None:
    make_scorer(models)
    make_scorer(models, "ours", source=None, tables=pinned(b"graph of ", b"map of "))
    code, out, err = said(capsys, models, "--all", "--weights", str(files[1]))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"it: left out, it needs {OWN[1]['file']}"
    assert out.splitlines()[1].startswith("ours: built in ")


def test_a_mistaken_file_is_one_line_and_exit_code_2(models: Path, files: list[Path], capsys: Captured) -> None:
    make_scorer(models)
    half = models.parent / OWN[1]["file"]
    half.write_bytes(b"half")
    for argv, message in (
        (["it", "--weights", "/nowhere.pth"], "'/nowhere.pth' does not exist"),
        (["--all", "--weights", str(half)], f"want {sha256(TRUNK)[:8]}…, got {sha256(b'half')}"),
        (["--weights", str(files[0])], "it is for it: name the one to build"),
    ):
        code, out, err = said(capsys, models, *argv)
        assert (code, out) == (2, "")
        assert message in err
        assert len(err.splitlines()) == 1
