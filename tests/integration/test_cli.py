"""Every command, typed as people type it, against a real server."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from beholder.cli.main import run
from said import Said, Type
from server_process import REPO, ServerProcess, StartServer, environment

ASSETS = REPO / "tests" / "assets"
REFERENCE, GOOD, WORSE = (str(ASSETS / name) for name in ("landscape.png", "landscape-q75.jpg", "landscape-q30.jpg"))
OURS = "psnr,ssim"


@pytest.fixture(scope="module")
def ours(start_server: StartServer) -> ServerProcess:
    """Return a server of the committed graphs alone."""
    return start_server(scorers=OURS.split(","))


@pytest.fixture
def type_(ours: ServerProcess, capsys: pytest.CaptureFixture[str]) -> Type:
    """Return a function that runs a command line in this process; settings name the server."""

    def type_(*argv: str, **environ: str) -> Said:
        code = run(argv, {"BEHOLDER_ADDRESS": ours.address} | environ)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return type_


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of four images, one of them broken."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    shutil.copy(GOOD, tmp_path / "photos" / "b.jpg")
    shutil.copy(WORSE, tmp_path / "photos" / "a.jpg")
    shutil.copy(REFERENCE, tmp_path / "photos" / "deep" / "c.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    return tmp_path / "photos"


def test_a_table_has_a_column_for_each_scorer(type_: Type) -> None:
    said = type_("score", GOOD, WORSE, "--reference", REFERENCE)
    assert said.code == 0
    head, first, second = said.out.splitlines()
    assert head.split() == ["candidate", "ssim", "psnr"]
    assert first.split()[0] == GOOD
    assert float(first.split()[2]) > float(second.split()[2]) > 20
    assert said.err == ""


def test_json_has_a_line_for_each_image(type_: Type) -> None:
    said = type_("score", GOOD, REFERENCE, "-r", REFERENCE, "--json")
    first, second = said.objects
    assert first["candidate"] == GOOD
    assert 25 < first["scores"]["psnr"]["value"] < 40
    assert second["scores"] == {"psnr": {"value": 80.0}, "ssim": {"value": 1.0}}


def test_csv_can_be_read_back(type_: Type, folder: Path) -> None:
    said = type_("score", str(folder), "-r", REFERENCE, "--csv")
    rows = {Path(row["candidate"]).name: row for row in csv.DictReader(said.out.splitlines())}
    assert list(rows) == ["a.jpg", "b.jpg", "broken.png", "c.png"]
    assert rows["c.png"] == {"candidate": str(folder / "deep" / "c.png"), "psnr": "80.0", "ssim": "1.0", "error": ""}
    assert rows["broken.png"]["psnr"] == ""
    assert "ssim, psnr: INVALID_ARGUMENT: " in rows["broken.png"]["error"]


def test_one_failed_image_is_exit_code_1_and_hurts_no_other(type_: Type, folder: Path) -> None:
    said = type_("score", str(folder), "/nowhere/gone.png", "--reference", REFERENCE, "--json")
    assert said.code == 1
    good = {Path(one["candidate"]).name for one in said.objects if "value" in one["scores"]["ssim"]}
    assert good == {"a.jpg", "b.jpg", "c.png"}
    errors = {Path(one["candidate"]).name: one["scores"]["ssim"].get("error") for one in said.objects}
    assert errors["broken.png"]["code"] == errors["gone.png"]["code"] == "INVALID_ARGUMENT"
    assert "No such file" in errors["gone.png"]["message"]
    assert said.err == "beholder: 2 of 5 images failed\n"


def test_a_table_tells_on_stderr_what_failed_and_why(type_: Type, folder: Path) -> None:
    said = type_("score", str(folder), "--reference", REFERENCE)
    assert said.code == 1
    assert f"{folder / 'broken.png'}" in said.out
    first, last = said.err.splitlines()
    assert first.startswith(f"beholder: {folder / 'broken.png'}: ssim, psnr: INVALID_ARGUMENT: image")
    assert last == "beholder: 1 of 4 images failed"


def test_a_glob_is_matched(type_: Type, folder: Path) -> None:
    said = type_("score", str(folder / "*.jpg"), "-r", REFERENCE, "--json")
    assert [Path(one["candidate"]).name for one in said.objects] == ["a.jpg", "b.jpg"]


def test_references_may_be_a_folder_of_the_same_names(type_: Type, folder: Path, tmp_path: Path) -> None:
    originals = tmp_path / "originals"
    (originals / "deep").mkdir(parents=True)
    for name in ("a.png", "b.png", "deep/c.png"):
        shutil.copy(REFERENCE, originals / name)
    said = type_("score", str(folder), "-r", str(originals), "-s", "psnr", "--json")
    assert said.code == 1
    scores = {Path(one["candidate"]).name: one["scores"]["psnr"] for one in said.objects}
    assert scores["c.png"] == {"value": 80.0}
    assert scores["b.jpg"]["value"] > scores["a.jpg"]["value"]
    assert "broken.png: No such file" in scores["broken.png"]["error"]["message"]


def test_results_of_many_images_are_in_the_order_given(type_: Type, tmp_path: Path) -> None:
    for index in range(300):
        Image.fromarray(np.full((16, 16, 3), index % 256, np.uint8)).save(tmp_path / f"{index:03}.png")
    said = type_("score", str(tmp_path), "-r", str(tmp_path / "007.png"), "-s", "psnr", "--json")
    assert said.code == 0
    assert [Path(one["candidate"]).name for one in said.objects] == [f"{index:03}.png" for index in range(300)]
    assert [index for index, one in enumerate(said.objects) if one["scores"]["psnr"]["value"] == 80.0] == [7, 263]


def test_scorers_that_take_no_reference_are_the_default_without_one(type_: Type) -> None:
    """This server has none."""
    said = type_("score", GOOD)
    assert said.code == 2
    assert "beholder-quality is not ready: " in said.err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-s", "ssim"], "ssim needs --reference"),
        (["-s", "ssmi"], "no scorer 'ssmi'; did you mean ssim?"),
        (["-s", "ssim", "-p", "safety"], "want either --scorers or --panel, got both"),
        (["-p", "nobody"], "no panel 'nobody'; there are: "),
        (["-s", "open-nsfw"], "open-nsfw is not ready: "),
        (["-s", "ssim", "-r", REFERENCE, "--prompt", "a cat"], "--prompt is in vain: not taken by ssim"),
    ],
)
def test_asking_for_what_cannot_be_is_exit_code_2(type_: Type, argv: list[str], message: str) -> None:
    said = type_("score", GOOD, *argv)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert len(said.err.splitlines()) == 1


def test_compare_asks_the_fidelity_panel_as_far_as_it_is_served(type_: Type) -> None:
    said = type_("compare", REFERENCE, GOOD, WORSE, "--json")
    assert said.code == 0
    good, worse = said.objects
    assert list(good["scores"]) == ["ssim", "psnr"]
    assert good["scores"]["ssim"]["value"] > worse["scores"]["ssim"]["value"]


@pytest.mark.parametrize("how", [[], ["--embedded"]])
def test_compare_draws_reference_candidate_and_map_side_by_side(type_: Type, how: list[str], tmp_path: Path) -> None:
    picture = tmp_path / "errors.png"
    said = type_("compare", REFERENCE, GOOD, WORSE, "-s", "psnr,ssim", "--map", str(picture), *how)
    assert said.code == 0
    assert "errors.png: reference, candidate, map (ssim: 1 - SSIM" in said.err
    drawn = np.asarray(Image.open(picture))
    assert drawn.shape == (2 * 144, 3 * 192, 3)
    with Image.open(REFERENCE) as reference:
        assert (drawn[:144, :192] == np.asarray(reference)).all()
    good, worse = drawn[:144, 384:], drawn[144:, 384:]
    assert worse.mean() > good.mean() > 0


def test_a_map_of_scorers_that_draw_none_names_those_that_do(type_: Type, tmp_path: Path) -> None:
    said = type_("compare", REFERENCE, GOOD, "-s", "psnr", "--map", str(tmp_path / "errors.png"))
    assert (said.code, said.out) == (2, "")
    assert "--map: no scorer asked draws a map; these do: ssim" in said.err


def test_a_map_of_candidates_that_failed_is_not_written(type_: Type, folder: Path, tmp_path: Path) -> None:
    said = type_("compare", REFERENCE, str(folder / "broken.png"), "-s", "ssim", "--map", str(tmp_path / "errors.png"))
    assert said.code == 1
    assert "errors.png was not written: ssim: INVALID_ARGUMENT: image is cut off" in said.err
    assert not (tmp_path / "errors.png").exists()


def test_a_map_has_a_row_for_each_candidate_that_was_drawn(type_: Type, folder: Path, tmp_path: Path) -> None:
    said = type_("compare", REFERENCE, GOOD, str(folder / "broken.png"), "--map", str(tmp_path / "errors.png"))
    assert said.code == 1
    assert "errors.png: reference, candidate, map of 1 of 2 candidates (ssim: 1 - SSIM" in said.err
    assert np.asarray(Image.open(tmp_path / "errors.png")).shape == (144, 3 * 192, 3)


def test_what_is_too_large_to_be_drawn_is_scored_all_the_same(type_: Type, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.full((2100, 2100, 3), 90, np.uint8)).save(large)
    said = type_("compare", str(large), str(large), "-s", "ssim", "--json", "--map", str(tmp_path / "errors.png"))
    assert (said.code, said.objects[0]["scores"]) == (1, {"ssim": {"value": 1.0}})
    assert "want at most 4.2 megapixels for a map, got 2100x2100 px" in said.err


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("no/errors.png", "--map: no folder "),
        ("photos/a.jpg", "a.jpg is one of the images to compare; name another file"),
    ],
)
def test_a_map_that_cannot_be_written_is_told_before_anything_is_scored(
    type_: Type, folder: Path, place: str, message: str
) -> None:
    before = (folder / "a.jpg").read_bytes()
    said = type_("compare", REFERENCE, str(folder / "a.jpg"), "-s", "ssim", "--map", str(folder.parent / place))
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert (folder / "a.jpg").read_bytes() == before


def test_rank_writes_the_best_first(type_: Type) -> None:
    said = type_("rank", WORSE, GOOD, "--scorers", "ssim=1,psnr=0.5", "-r", REFERENCE)
    assert said.code == 0
    head, first, second = (line.split() for line in said.out.splitlines())
    assert head == ["place", "candidate", "total", "ssim", "psnr"]
    assert first[:3] == ["1", GOOD, "1.5000"]
    assert second[:3] == ["2", WORSE, "-1.5000"]


def test_rank_as_json_has_the_parts_of_each_total(type_: Type) -> None:
    said = type_("rank", WORSE, GOOD, "-s", "ssim,psnr=0.5", "-r", REFERENCE, "--json", "--top", "1")
    (best,) = said.objects
    assert (best["place"], best["candidate"], best["total"]) == (1, GOOD, 1.5)
    assert best["scores"]["psnr"]["contribution"] == 0.5


def test_rank_puts_what_failed_last_and_exits_with_1(type_: Type, folder: Path) -> None:
    said = type_("rank", str(folder), "-s", "ssim", "-r", REFERENCE, "--json")
    assert said.code == 1
    last = said.objects[-1]
    assert last["total"] is None
    assert Path(last["candidate"]).name == "broken.png"
    assert said.err.startswith(f"beholder: {folder / 'broken.png'}: ssim: INVALID_ARGUMENT: ")


@pytest.mark.parametrize("how", [[], ["--embedded"]])
def test_scorers_lists_all_ready_or_not(type_: Type, how: list[str]) -> None:
    said = type_("scorers", *how)
    assert said.code == 0
    lines = {line.split()[0]: line for line in said.out.splitlines()}
    assert lines["ssim"].split()[1:6] == ["FIDELITY", "higher", "-1", "to", "1"]
    assert {path.parent.name for path in REPO.glob("models/*/scorer.toml")} - {"efficientnet-lite0", "taste-eye"} < set(
        lines
    )
    if not how:
        assert "not ready: " in lines["open-nsfw"]


@pytest.mark.parametrize("how", [[], ["--embedded"]])
def test_scorers_as_json_has_what_a_program_needs(type_: Type, how: list[str]) -> None:
    scorers = {one["name"]: one for one in type_("scorers", "--json", *how).objects}
    assert scorers["ssim"]["range"] == [-1.0, 1.0]
    assert scorers["ssim"]["needs_reference"] is True
    assert (scorers["ssim"]["max_side_px"], scorers["fsim-c"]["max_side_px"]) == (None, 4096)


@pytest.mark.parametrize("how", [[], ["--embedded"]])
def test_scorers_with_a_name_shows_its_card(type_: Type, how: list[str]) -> None:
    said = type_("scorers", "ssim", *how)
    assert said.code == 0
    assert (REPO / "models" / "ssim" / "CARD.md").read_text(encoding="utf-8").strip() in said.out
    assert "each side at least 11 px\n" in said.out
    assert "each side 2 to 4096 px\n" in type_("scorers", "fsim-c", *how).out
    assert type_("scorers", "ssmi", *how).err == "beholder: no scorer 'ssmi'; did you mean ssim?\n"


def test_embedded_gives_the_scores_that_a_server_gives(type_: Type, folder: Path) -> None:
    argv = ("score", str(folder), "-r", REFERENCE, "-s", OURS, "--json")
    assert type_(*argv, "--embedded").objects == type_(*argv).objects


def test_embedded_loads_the_scorers_that_the_settings_name(type_: Type) -> None:
    said = type_("score", GOOD, "-r", REFERENCE, "--embedded", "--json", BEHOLDER_SCORERS="psnr")
    assert list(said.objects[0]["scores"]) == ["psnr"]


def test_embedded_tells_of_a_panel_what_is_not_exported_or_not_there(type_: Type, tmp_path: Path) -> None:
    for name in ("psnr", "ssim"):
        shutil.copytree(REPO / "models" / name, tmp_path / name)
    (tmp_path / "ssim" / "model.onnx").unlink()
    (tmp_path / "panels.toml").write_text('[panels]\nboth = ["psnr", "ssim"]\n')
    ask = ("score", GOOD, "-r", REFERENCE, "--embedded", "-p")
    assert "run `beholder export ssim`" in type_(*ask, "both", BEHOLDER_MODELS=str(tmp_path)).err
    assert "no panel 'bot'; did you mean both?" in type_(*ask, "bot", BEHOLDER_MODELS=str(tmp_path)).err


def test_a_server_that_is_not_there_is_told_with_what_to_type(type_: Type) -> None:
    said = type_("score", GOOD, "--address", "127.0.0.1:1")
    assert (said.code, said.out) == (1, "")
    assert "127.0.0.1:1 does not answer; start a server with `beholder serve`, or add --embedded" in said.err
    assert len(said.err.splitlines()) == 1


def test_export_leaves_what_is_up_to_date(type_: Type) -> None:
    said = type_("export", "psnr", "ssim")
    assert (said.code, said.out, said.err) == (0, "psnr: up to date\nssim: up to date\n", "")


def test_export_reads_the_folder_that_it_is_given(type_: Type, tmp_path: Path) -> None:
    shutil.copytree(REPO / "models" / "psnr", tmp_path / "psnr")
    assert type_("export", "--all", "--models", str(tmp_path)).out == "psnr: up to date\n"


def test_export_tells_what_it_could_not_build_and_builds_the_rest(type_: Type, tmp_path: Path) -> None:
    for name in ("psnr", "ssim"):
        shutil.copytree(REPO / "models" / name, tmp_path / name)
    (tmp_path / "psnr" / "model.onnx").write_bytes(b"tampered with")
    (tmp_path / "psnr" / "export.py").write_text("raise SystemExit('no weights today')")
    said = type_("export", "--models", str(tmp_path), "psnr", "ssim")
    assert (said.code, said.out) == (1, "ssim: up to date\n")
    assert said.err == "beholder: can't export psnr: no weights today\n"


@pytest.fixture
def shell(ours: ServerProcess) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Return a function that starts a command in a process of its own; all are ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*argv: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "beholder", *argv]
        env = environment(address=ours.address)
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_process_exits_with_the_codes_of_the_command(shell: Callable[..., "subprocess.Popen[str]"]) -> None:
    for argv, code in (
        (["score", GOOD, "-r", REFERENCE], 0),
        (["score", "gone.png", "-r", REFERENCE], 1),
        (["score"], 2),
    ):
        process = shell(*argv)
        process.communicate(timeout=60)
        assert process.returncode == code


def test_ctrl_c_is_exit_code_130_without_a_traceback(
    shell: Callable[..., "subprocess.Popen[str]"], start_server: StartServer
) -> None:
    silent = start_server(scorers=["psnr"])
    silent.process.send_signal(signal.SIGSTOP)
    process = shell("score", GOOD, "-r", REFERENCE, "--address", silent.address)
    while not any(one.status == "ESTABLISHED" for one in psutil.Process(process.pid).net_connections()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    silent.process.send_signal(signal.SIGCONT)
    assert (process.returncode, out, err.strip()) == (130, "", "")


def test_a_reader_that_has_enough_ends_the_command_quietly(
    shell: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    for index in range(50):
        shutil.copy(GOOD, tmp_path / f"{index:02}.jpg")
    process = shell("score", str(tmp_path), "-r", REFERENCE, "--json")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(timeout=60)


def test_a_bar_shows_on_the_terminal_and_never_in_the_output(ours: ServerProcess, folder: Path) -> None:
    terminal, end = os.openpty()
    command = [sys.executable, "-m", "beholder", "score", str(folder), "-r", REFERENCE, "--json"]
    env = environment(address=ours.address) | {"TERM": "xterm"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=end, text=True) as process:
        os.close(end)
        out, _ = process.communicate(timeout=60)
    shown = os.read(terminal, 100_000).decode(errors="replace")
    os.close(terminal)
    assert len([json.loads(line) for line in out.splitlines()]) == 4
    assert "4/4" in shown


def test_an_address_in_use_is_exit_code_2(shell: Callable[..., "subprocess.Popen[str]"], ours: ServerProcess) -> None:
    process = shell("serve", "--scorers", "psnr", "--metrics-address", "127.0.0.1:0", "--log-level", "error")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert f"beholder: BEHOLDER_ADDRESS: can't listen on {ours.address}" in err
    assert "Traceback" not in err


def test_words_are_completed() -> None:
    env = environment() | {"_BEHOLDER_COMPLETE": "bash_complete", "COMP_WORDS": "beholder sc", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "beholder"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["plain,score", "plain,scorers"]
