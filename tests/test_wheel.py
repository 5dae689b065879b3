"""The wheel is whole: away from the checkout it finds its scorers, and it carries nobody else's weights."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import beholder
from server_process import REPO, environment

ASSETS = REPO / "tests" / "assets"
SCORE = ["score", ASSETS / "landscape-q75.jpg", "--reference", ASSETS / "landscape.png", "--scorers", "psnr", "--json"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=REPO, check=True)
    return next(folder.glob("*.whl"))


def psnr_of(command: list[str | Path], cwd: Path, env: dict[str, str]) -> float:
    """Return what a `beholder` elsewhere says of an asset, scored in its own process."""
    done = subprocess.run(
        [*command, *SCORE, "--embedded"], cwd=cwd, env=env, capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout)["scores"]["psnr"]["value"])


def test_a_wheel_away_from_the_checkout_scores_with_the_graphs_that_are_ours(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    env = environment() | {"PYTHONPATH": str(tmp_path / "site")}
    where = [sys.executable, "-c", "import beholder; print(beholder.__file__)"]
    said = subprocess.run(where, cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout
    assert said.startswith(str(tmp_path)), said
    assert 20 < psnr_of([sys.executable, "-m", "beholder"], tmp_path, env) < 60


def test_a_wheel_holds_every_scorer_folder_but_only_graphs_that_git_holds(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {path.parent.name for path in REPO.glob("models/*/scorer.toml")}
    assert {name.split("/")[2] for name in names if name.endswith("/scorer.toml")} == folders
    graphs = subprocess.run(
        ["git", "ls-files", "models/*/*.onnx"], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert {name for name in names if name.endswith(".onnx")} == {f"beholder/{name}" for name in graphs.stdout.split()}
    backgrounds = {f"beholder/{path.relative_to(REPO)}" for path in REPO.glob("models/*/background.npz")}
    assert backgrounds
    assert backgrounds <= set(names)
    assert "beholder/py.typed" in names
    assert "beholder/v1/scores_pb2.py" in names


@pytest.mark.slow
def test_the_serving_install_has_no_torch_and_scores(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Installs from the package index into an empty environment, and says how large it is."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", f"{wheel}[cpu]"], check=True)
    listed = subprocess.run([*pip, "list", "--format", "json"], capture_output=True, text=True, check=True).stdout
    names = {package["name"].lower() for package in json.loads(listed)}
    assert not names & {"torch", "onnx", "onnxscript"}
    env = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    assert 20 < psnr_of([tmp_path / "venv" / "bin" / "beholder"], tmp_path, env) < 60
    files = [path for path in (tmp_path / "venv").rglob("*") if path.is_file() and not path.is_symlink()]
    size_mb = sum(os.stat(path).st_size for path in files) / 1e6
    with capsys.disabled():
        print(f"\nbeholder[cpu]: {size_mb:.0f} MB in {len(names)} packages")


def test_wheel_changelog_and_manifests_say_the_same_version(wheel: Path) -> None:
    assert wheel.name.startswith(f"beholder-{beholder.__version__}-")
    assert f"## {beholder.__version__} " in (REPO / "CHANGELOG.md").read_text()
    assert f"newTag: {beholder.__version__}\n" in (REPO / "k8s/base/kustomization.yaml").read_text()
