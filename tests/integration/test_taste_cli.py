"""Every command about tastes, typed as people type it, against a real server and in this process."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from beholder.cli.asking import Where
from beholder.cli.main import run
from beholder.errors import Unavailable
from eye_folder import EYE, OTHER_EYE, SCORERS, write_models
from said import Said, Type
from server_process import ServerProcess, StartServer, environment
from taste_house import cold, warm

ANN_LIKES_WARM = ("--like", "good/*.png", "--dislike", "bad/*.png")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models") / "models")


@pytest.fixture(scope="module")
def server_with_tastes(
    start_server: StartServer, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    """Return a server whose store the tests of this file share; each has tastes of its own."""
    store = tmp_path_factory.mktemp("store") / "tastes.db"
    return start_server(models=[models], scorers=SCORERS, taste_encoder=EYE, taste_store=store)


@pytest.fixture(scope="module")
def server_without_tastes(start_server: StartServer, models: Path) -> ServerProcess:
    return start_server(models=[models], scorers=SCORERS)


@pytest.fixture(params=["server", "embedded"])
def type_(request: pytest.FixtureRequest, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Type:
    """Return a function that runs a command line in this process, which asks a server or an engine of its own."""
    if request.param == "embedded":
        settings = {
            "BEHOLDER_MODELS": str(models),
            "BEHOLDER_TASTE_ENCODER": EYE,
            "BEHOLDER_TASTE_STORE": str(tmp_path / "tastes.db"),
        }
        whom = ["--embedded"]
    else:
        settings, whom = {"BEHOLDER_ADDRESS": request.getfixturevalue("server_with_tastes").address}, []

    def type_(*argv: str, **environ: str) -> Said:
        code = run([*argv, *whom], settings | environ)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return type_


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go into a folder of good, bad and new images, five warm and five cold ones of each, and one that is broken."""
    for name in ("good", "bad", "new"):
        (tmp_path / name).mkdir()
    for number in range(5):
        (tmp_path / "good" / f"{number}.png").write_bytes(warm(number).data)
        (tmp_path / "bad" / f"{number}.png").write_bytes(cold(10 + number).data)
        (tmp_path / "new" / f"w{number}.png").write_bytes(warm(20 + number).data)
        (tmp_path / "new" / f"c{number}.png").write_bytes(cold(30 + number).data)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ann(request: pytest.FixtureRequest, type_: Type) -> str:
    """Return the name of a taste that was told to like what is warm."""
    name = "ann" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    assert type_("taste", "new", name, *ANN_LIKES_WARM).code == 0
    return name


def id_of(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_the_whole_walk(type_: Type, request: pytest.FixtureRequest) -> None:
    """Ten images are told; the taste is asked alone, beside scorers, and ranks."""
    ann = "walk" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    said = type_("taste", "new", ann, *ANN_LIKES_WARM)
    assert (said.code, said.out, said.err) == (0, f"{ann}: 10 of 10 opinions told, 10 images, version 2\n", "")
    said = type_("taste", "ask", ann, "new/")
    assert (said.code, said.err) == (0, "")
    assert said.out.split("\n")[0].split() == ["place", "candidate", "P(like)", "sd", "percentile", "why", "unsure"]
    assert [row[0] for row in said.rows] == [str(place) for place in range(1, 11)]
    assert all("/w" in row[1] for row in said.rows[:5])
    assert all("/c" in row[1] for row in said.rows[5:])
    said = type_("score", "new/w1.png", "--taste", ann, "--scorers", "psnr", "--reference", "new/w1.png")
    assert said.out.splitlines()[0].split() == ["candidate", "psnr", f"taste/{ann}"]
    assert float(said.rows[0][1]) == 80.0
    assert float(said.rows[0][2]) > 0.5
    said = type_("rank", *sorted(map(str, Path("new").glob("*.png"))), "--taste", ann, "--top", "5")
    assert said.code == 0
    assert {row[1] for row in said.rows} == {f"new/w{number}.png" for number in range(5)}


def test_a_failed_image_is_named_and_the_others_count(type_: Type, ann: str) -> None:
    said = type_(
        "taste", "add", ann, "--like", "new/w1.png", "broken.png", "gone.png", "--tie", "new/w2.png", "gone.png"
    )
    assert said.code == 1
    assert said.out == f"{ann}: 1 of 4 opinions told, 11 images, version 3\n"
    lines = said.err.splitlines()
    assert lines[0].startswith("beholder: broken.png: INVALID_ARGUMENT: image is cut off")
    assert lines[1].startswith("beholder: gone.png: INVALID_ARGUMENT: ")
    assert "No such file" in lines[1]
    assert lines[2].startswith("beholder: gone.png: ")
    assert lines[3:] == ["beholder: 3 of 4 opinions failed"]


def test_of_one_image_liked_and_disliked_the_later_counts_and_that_is_said(type_: Type, ann: str) -> None:
    said = type_("taste", "add", ann, "--like", "new/w1.png", "bad/0.png", "--dislike", "new/w1.png")
    assert (said.code, said.err) == (0, "")
    assert sorted(said.out.splitlines()[:-1]) == ["replaced: dislike of bad/0.png", "replaced: like of new/w1.png"]


def test_every_kind_of_opinion_can_be_typed(type_: Type, ann: str) -> None:
    said = type_(
        *("taste", "add", ann, "--rate", "5=new/w1.png", "new/w2.png", "1=new/c1.png", "--scale", "1:5"),
        *("--better", "new/w3.png", "--worse", "new/c3.png", "--tie", "new/w4.png", id_of("good/0.png"), "--json"),
    )
    assert said.code == 0
    (told,) = said.objects
    assert (told["taste"]["images"], told["taste"]["verdicts"], told["taste"]["choices"]) == (16, 13, 2)
    assert [one["kind"] for one in told["opinions"]] == ["rating", "rating", "rating", "choice", "tie"]
    assert told["opinions"][3]["image_ids"] == [id_of("new/w3.png"), id_of("new/c3.png")]
    (shown,) = type_("taste", "show", ann, "--json").objects
    assert {"image_id": id_of("new/c1.png"), "source": "rating", "value": -1.0} in shown["opinions"]
    assert shown["left_out"]["count"] > 10
    assert 0 < shown["certainty"]["sd"] < shown["certainty"]["prior_sd"]


def test_a_taste_is_shown(type_: Type, ann: str) -> None:
    lines = type_("taste", "show", ann).out.splitlines()
    assert lines[0].split() == ["name", f"{ann},", "version", "2"]
    assert any(line.startswith("predicts ") and "of 10 opinions, each from" in line for line in lines)
    assert f"like of {id_of('good/0.png')}" in lines
    assert f"dislike of {id_of('bad/0.png')}" in lines


def test_a_taste_calls_the_images_that_are_given_by_name(type_: Type, ann: str) -> None:
    said = type_("taste", "show", ann, "good", "new/c1.png", "gone.png")
    assert (said.code, said.err.split(": ")[1]) == (1, "gone.png")
    lines = said.out.splitlines()
    assert "like of good/0.png" in lines
    assert f"dislike of {id_of('bad/0.png')}" in lines
    (shown,) = type_("taste", "show", ann, "good/0.png", "--json").objects
    assert shown["names"] == {id_of("good/0.png"): "good/0.png"}


def test_tastes_are_listed(type_: Type, ann: str) -> None:
    said = type_("taste", "list")
    assert [ann, "2", "10", "10", "0", EYE] in [row[:6] for row in said.rows]
    assert ann in [one["name"] for one in type_("taste", "list", "--json").objects]


def test_what_is_forgotten_is_said(type_: Type, ann: str) -> None:
    said = type_("taste", "forget", ann, "good/0.png", id_of("bad/0.png"), "gone.png")
    assert said.code == 1
    assert set(said.out.splitlines()) == {
        "forgotten: like of good/0.png",
        f"forgotten: dislike of {id_of('bad/0.png')}",
        f"{ann}: 8 images left, version 3",
    }
    assert type_("taste", "forget", ann, "new/w0.png").out.splitlines()[0] == "nothing was said of new/w0.png"
    shutil.copy("good/1.png", "copy.png")
    assert type_("taste", "forget", ann, "good/1.png", "copy.png").code == 0
    assert said.err.startswith("beholder: gone.png: ")


def test_asking_tells_of_each_image_how_sure_it_is(type_: Type, ann: str) -> None:
    said = type_("taste", "ask", ann, "new/w1.png", "new/c1.png", "broken.png", "gone.png", "--json")
    first, second, *failed = said.objects
    assert [first["candidate"], second["candidate"]] == ["new/w1.png", "new/c1.png"]
    assert 1 >= first["p_like"] > second["p_like"] >= 0
    assert first["image_id"] == id_of("new/w1.png")
    assert {"opinion", "sd", "percentile", "unsure", "why_unsure", "version"} <= set(first)
    assert {(one["place"], one["error"]["code"]) for one in failed} == {(None, "INVALID_ARGUMENT")}
    assert said.code == 1
    assert said.err.splitlines()[-1] == "beholder: 2 of 4 images failed"


def test_a_taste_that_was_told_nothing_is_unsure_and_says_why(type_: Type, ann: str) -> None:
    assert type_("taste", "new", f"{ann}-2").out == f"{ann}-2: 0 images, version 1\n"
    (row,) = type_("taste", "ask", f"{ann}-2", "new/w1.png").rows
    assert row[2:4] == ["0.5000", "?"]
    assert " ".join(row).endswith("nothing was told yet")
    (row,) = type_("score", "new/w1.png", "--taste", f"{ann}-2").rows
    assert row == ["new/w1.png", "0.5000", "?"]
    (found,) = type_("score", "new/w1.png", "--taste", f"{ann}-2", "--json").objects
    assert found["scores"][f"taste/{ann}-2"]["taste"]["why_unsure"] == "nothing was told yet"


def test_more_images_than_one_ranking_takes_are_asked_one_by_one_and_that_is_said(type_: Type, ann: str) -> None:
    Path("many").mkdir()
    for number in range(260):
        Path(f"many/{number:03}.png").write_bytes((warm if number < 5 else cold)(500 + number).data)
    said = type_("taste", "ask", ann, "many", "broken.png", "--json")
    assert said.code == 1
    assert len(said.objects) == 261
    assert {one["candidate"] for one in said.objects[:5]} == {f"many/{number:03}.png" for number in range(5)}
    chances = [one["p_like"] for one in said.objects[:-1]]
    assert chances == sorted(chances, reverse=True)
    assert said.objects[-1]["candidate"] == "broken.png"
    assert "beholder: 261 images are too many to be judged against each other" in said.err


def test_only_likes_are_judged_against_the_images_that_are_ranked(type_: Type, ann: str) -> None:
    type_("taste", "new", f"{ann}-likes", "--like", "good")
    found = {one["candidate"]: one["p_like"] for one in type_("taste", "ask", f"{ann}-likes", "new", "--json").objects}
    assert min(found[f"new/w{number}.png"] for number in range(5)) > max(
        found[f"new/c{number}.png"] for number in range(5)
    )


def test_pairs_to_show_next_are_suggested_without_what_is_broken(type_: Type, ann: str) -> None:
    said = type_("taste", "suggest", ann, "new", "broken.png", "gone.png", "--count", "3")
    assert said.code == 1
    assert len(said.rows) == 3
    assert all(row[0] != row[1] and float(row[2]) > 0 for row in said.rows)
    assert {line.split(": ")[1] for line in said.err.splitlines()} == {"broken.png", "gone.png"}
    shutil.copy("new/w0.png", "copy.png")
    said = type_("taste", "suggest", ann, "new/w0.png", "copy.png")
    assert (said.code, said.out, "teach" in said.err) == (0, "", True)
    said = type_("taste", "suggest", ann, "new/w0.png")
    assert (said.code, said.err) == (2, "beholder: want 2 to 256 candidates in one request, got 1\n")
    pair, *_ = type_("taste", "suggest", ann, "new", "--json").objects
    assert set(pair) == {"first", "second", "gain"}


def test_two_tastes_are_compared(type_: Type, ann: str) -> None:
    type_("taste", "new", f"{ann}-not", "--like", "bad", "--dislike", "good")
    said = type_("taste", "compare", ann, f"{ann}-not", "new")
    assert said.code == 0
    first, second, empty, head, *rows = said.out.splitlines()
    assert (first.startswith("agreement -"), second.startswith("agreement on these images -")) == (True, True)
    assert (empty, head.split(), len(rows)) == ("", ["candidate", ann, f"{ann}-not"], 10)
    assert type_("taste", "compare", ann, ann).out == "agreement +1.00\n"
    (found,) = type_("taste", "compare", ann, f"{ann}-not", "new", "broken.png", "--json").objects
    assert (found["agreement"] < -0.5, len(found["differences"])) == (True, 10)


def test_a_taste_is_exported_imported_and_deleted(type_: Type, ann: str, folder: Path) -> None:
    assert type_("taste", "export", ann, "ann.taste") == Said(0, "", "")
    said = type_("taste", "import", "ann.taste", "--name", f"{ann}-2")
    assert (said.code, said.out) == (0, f"{ann}-2: 10 images, version 1\n")
    first, second = type_("score", "new/w1.png", "--taste", ann, "--taste", f"{ann}-2").rows[0][1:]
    assert first == second
    said = type_("taste", "import", "ann.taste")
    assert (said.code, "already: tell it more" in said.err) == (2, True)
    said = type_("taste", "import", "broken.png")
    assert (said.code, said.err) == (2, "beholder: this is not what an export of a taste gave\n")
    said = type_("taste", "delete", f"{ann}-2")
    assert (said.code, "if so, add --yes" in said.err) == (2, True)
    assert type_("taste", "delete", f"{ann}-2", "--yes") == Said(0, "", "")
    said = type_("taste", "show", f"{ann}-2")
    assert (said.code, "no taste" in said.err, len(said.err.splitlines())) == (2, True, 1)


def test_an_export_that_cannot_be_written_is_told(type_: Type, ann: str) -> None:
    said = type_("taste", "export", ann, "/nowhere/ann.taste")
    assert (said.code, said.err) == (1, "beholder: can't write /nowhere/ann.taste: No such file or directory\n")


def test_moving_needs_the_images(type_: Type, ann: str) -> None:
    said = type_("taste", "move", ann, "--encoder", OTHER_EYE)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    said = type_("taste", "move", ann, "--encoder", "nobody")
    assert (said.code, "no encoder 'nobody'" in said.err) == (2, True)


@pytest.mark.parametrize(
    "argv",
    [
        ["taste", "ask", "nobody", "new"],
        ["taste", "suggest", "nobody", "new"],
        ["taste", "add", "nobody", "--like", "good"],
        ["taste", "forget", "nobody", "good"],
        ["taste", "export", "nobody", "it.taste"],
        ["taste", "delete", "nobody", "--yes"],
        ["score", "new/w1.png", "--taste", "nobody"],
        ["rank", "new/w1.png", "--taste", "nobody"],
    ],
)
def test_a_taste_that_is_not_there_is_one_line(type_: Type, argv: list[str]) -> None:
    said = type_(*argv)
    assert (said.code, said.out) == (2, "")
    assert "no taste 'nobody'" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["", "Ann", "../../etc/passwd", "x" * 65, "a\x1b[31mb"])
def test_a_name_that_is_none_is_one_line(type_: Type, name: str) -> None:
    said = type_("taste", "new", name)
    assert (said.code, said.out) == (2, "")
    assert "a taste's name is 1 to 64 of" in said.err
    assert len(said.err.splitlines()) == 1
    assert "\x1b" not in said.err


def test_a_name_is_taken_once(type_: Type, ann: str) -> None:
    said = type_("taste", "new", ann, "--like", "good")
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)


def test_without_a_store_a_command_says_what_to_set(
    server_without_tastes: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (
        ["taste", "new", "ann", "--like", "good"],
        ["taste", "list"],
        ["taste", "ask", "ann", "new"],
        ["score", "new/w1.png", "--taste", "ann"],
    ):
        code = run(argv, {"BEHOLDER_ADDRESS": server_without_tastes.address})
        said = capsys.readouterr()
        assert (code, said.out) == (2, "")
        assert said.err == "beholder: this server keeps no tastes: start it with BEHOLDER_TASTE_STORE=FILE\n"


def test_a_shell_expands_what_is_liked(server_with_tastes: ServerProcess, folder: Path) -> None:
    """As in README: the shell makes five words of each glob."""
    command = f"{sys.executable} -m beholder taste new shell --like good/*.png --dislike bad/*.png --json"
    env = environment(address=server_with_tastes.address)
    done = subprocess.run(["bash", "-c", command], env=env, cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["taste"]["images"] == 10


def test_what_a_server_can_not_do_now_is_not_called_a_server_that_does_not_answer(
    server_with_tastes: ServerProcess,
) -> None:
    where = Where(server_with_tastes.address, is_embedded=False, timeout_s=10.0, environ={})
    with pytest.raises(Unavailable, match="the store is locked"), where.open():
        raise Unavailable("the store is locked")
    nobody = replace(where, address="127.0.0.1:1")
    with pytest.raises(click.ClickException, match=r"127\.0\.0\.1:1 does not answer"), nobody.open():
        raise Unavailable("failed to connect")
