"""How the command line answers before anybody is asked for a score: help, mistakes, exit codes."""

from dataclasses import fields

import pytest
from click.shell_completion import ShellComplete

from beholder.cli.main import beholder, run
from beholder.cli.rank import parse_weights
from beholder.cli.score import in_order
from beholder.cli.serve import serve
from beholder.cli.taste import taste
from beholder.config import PREFIX, Config

Captured = pytest.CaptureFixture[str]
COMMANDS = ["bench", "compare", "completion", "export", "load", "rank", "score", "scorers", "serve", "taste", "version"]


def said(argv: list[str], capsys: Captured, **environ: str) -> tuple[int, str, str]:
    code = run(argv, environ)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_there_are_these_commands() -> None:
    assert sorted(beholder.commands) == COMMANDS


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_shows_what_to_type(argv: list[str], capsys: Captured) -> None:
    code, out, err = said(argv, capsys)
    assert code == 0
    assert "beholder score photo.jpg" in out
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.partition("Commands:")[2], "the first sentence of a command is too long for its list"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: Captured) -> None:
    code, out, _ = said([command, "--help"], capsys)
    assert code == 0
    assert out.startswith(f"Usage: beholder {command}")


@pytest.mark.parametrize("command", sorted(taste.commands))
def test_every_command_of_tastes_has_help(command: str, capsys: Captured) -> None:
    code, out, _ = said(["taste", command, "--help"], capsys)
    assert code == 0
    assert out.startswith(f"Usage: beholder taste {command}")


def test_help_shows_what_to_type_about_load(capsys: Captured) -> None:
    code, out, _ = said(["load", "--help"], capsys)
    assert code == 0
    assert "beholder load --slo p99=50ms" in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_shows_what_to_type_about_tastes(capsys: Captured) -> None:
    code, out, _ = said(["taste", "--help"], capsys)
    assert code == 0
    assert "beholder taste new ann --like good/*.jpg --dislike bad/*.jpg" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.partition("Commands:")[2], "the first sentence of a command is too long for its list"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["scoer"], "no such command 'scoer'"),
        (["score"], "missing argument 'IMAGE...'; try: beholder score --help"),
        (["rank", "--top"], "option '--top' requires an argument; try: beholder rank --help"),
        (["load", "--rate"], "option '--rate' requires an argument; try: beholder load --help"),
        (["taste", "add", "a", "--tie", "b"], "option '--tie' requires 2 arguments; try: beholder taste add --help"),
        (["score", "--nope"], "no such option '--nope'"),
        (["score", "a.png", "--reference", "/nowhere/gone.png"], "'/nowhere/gone.png' does not exist"),
        (["score", "a.png", "--address", "h:1", "--embedded"], "want either --address or --embedded, got both"),
        (["score", "/nowhere/*.png"], "no file matches /nowhere/*.png"),
        (["rank", "a.png", "--scorers", "ssim=much"], "--scorers: want NAME=WEIGHT, got 'ssim=much'"),
        (["rank", "a.png"], "want --scorers or --taste"),
        (["rank", "a.png", "--taste", "ann=much"], "--taste: want NAME=WEIGHT, got 'ann=much'"),
        (["taste", "nwe"], "no such command 'nwe'"),
        (["taste", "new", "ann", "--like"], "option '--like' requires an argument; try: beholder taste new --help"),
        (["taste", "new", "ann", "--like", "--json"], "option '--like' requires an argument"),
        (["taste", "new", "ann", "--like", "/nowhere/*.png"], "no file matches /nowhere/*.png"),
        (["taste", "new", "--like", "a.png", "ann"], "missing argument 'NAME'"),
        (["taste", "add", "ann"], "say something: --like"),
        (["taste", "add", "ann", "--better", "a.png"], "want as many --worse as --better, got 0 and 1"),
        (["taste", "add", "ann", "--rate", "1=a.png"], "--scale: want LOW:HIGH"),
        (["taste", "ask", "ann"], "missing argument 'IMAGE...'"),
        (["taste", "delete", "ann"], "add --yes; try: beholder taste delete --help"),
        (["export", "ssim", "--all"], "want either names or --all, got both"),
        (["export", "nobody"], "no scorer or encoder 'nobody'"),
        (["load", "--slo", "p99"], "want a percentile and a time with its unit, such as p99=50ms"),
        (["load", "--rate", "fast"], "want requests per second: 50, 20,40,80 for steps, 10..200 for a ramp, or auto"),
        (["load", "--rate", "5", "--in-flight", "8"], "want one of --rate, --trace and --in-flight, got --rate and"),
        (["load", "--burst", "9:1s:2s"], "--burst wants a --rate between the bursts"),
        (["load", "--bad", "60%", "--cancel", "50%"], "more than 100% together"),
        (["load", "--deadline", "100%:50ms"], "--timeout is the deadline of all others"),
        (["load", "--slo", "p99=5ms", "--bad", "100%"], "--slo judges good requests, and there would be none"),
        (["load", "--for", "0s"], "--for: want more than 0 seconds"),
        (["load", "--timeout", "0"], "--timeout: want more than 0 seconds"),
        (["load", "--html", "/nowhere/page.html"], "no folder /nowhere"),
        (["load", "compare", "/nowhere/a.json", "b.json"], "'/nowhere/a.json' does not exist"),
        (["serve", "--max-samples", "many"], "BEHOLDER_MAX_SAMPLES: want a whole number, got 'many'"),
        (["serve", "--device", "tpu"], "'tpu' is not one of 'auto', 'cuda', 'cpu'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(argv: list[str], message: str, capsys: Captured) -> None:
    code, out, err = said(argv, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("beholder: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_group_without_a_command_shows_its_help(capsys: Captured) -> None:
    code, out, err = said(["taste"], capsys)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: beholder taste")


@pytest.mark.parametrize("argv", [["score", "a.png"], ["scorers"], ["serve"], ["export"], ["scorers", "--embedded"]])
def test_an_unknown_setting_stops_a_command_that_reads_settings(argv: list[str], capsys: Captured) -> None:
    code, _, err = said(argv, capsys, BEHOLDER_ADRESS="127.0.0.1:1")
    assert code == 2
    assert err == "beholder: unknown setting BEHOLDER_ADRESS; did you mean BEHOLDER_ADDRESS?\n"


def test_every_setting_is_a_flag_that_names_its_environment_variable() -> None:
    flags = {option.opts[0]: getattr(option, "help", "") for option in serve.params}
    for spec in fields(Config):
        assert f"[{PREFIX}{spec.name.upper()}" in flags[f"--{spec.name.replace('_', '-')}"]


def test_version_names_the_packages_that_scores_depend_on(capsys: Captured) -> None:
    code, out, _ = said(["version"], capsys)
    assert code == 0
    assert out.splitlines()[0].startswith("beholder ")
    assert {"python", "grpcio", "numpy", "pillow"} <= {line.split()[0] for line in out.splitlines()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str, capsys: Captured) -> None:
    code, out, _ = said(["completion", shell], capsys)
    assert code == 0
    assert f"_BEHOLDER_COMPLETE={shell}_complete" in out


@pytest.mark.parametrize(
    "words", [["score"], ["compare", "a.png"], ["rank"], ["taste", "ask", "ann"], ["taste", "new", "ann", "--like"]]
)
def test_the_shell_is_asked_to_complete_the_names_of_images(words: list[str]) -> None:
    asked = ShellComplete(beholder, {}, "beholder", "_BEHOLDER_COMPLETE").get_completions(words, "ph")
    assert [(one.type, one.value) for one in asked] == [("file", "ph")]


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("ssim=1,psnr=0.5", {"ssim": 1.0, "psnr": 0.5}),
        ("ssim, psnr=2", {"ssim": 1.0, "psnr": 2.0}),
        ("ssim", {"ssim": 1.0}),
    ],
)
def test_weights_are_read(text: str, weights: dict[str, float]) -> None:
    assert parse_weights(text) == weights


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_a_weight_that_weighs_nothing_is_told_with_its_scorer(weight: str, capsys: Captured) -> None:
    code, _, err = said(["rank", "a.png", "--scorers", f"psnr,ssim={weight}"], capsys)
    assert code == 2
    assert f"--scorers: ssim: want a finite weight above 0, got {weight}" in err


def test_a_scorer_weighted_twice_is_a_mistake(capsys: Captured) -> None:
    code, _, err = said(["rank", "a.png", "--scorers", "ssim=1,ssim=2"], capsys)
    assert code == 2
    assert "ssim is named twice" in err


def test_results_are_written_in_order_each_as_soon_as_it_can_be() -> None:
    taken: list[int] = []

    def pairs() -> object:
        for index in (1, 0, 3, 2, 4):
            taken.append(index)
            yield index, index * 10

    ordered = in_order(pairs())  # type: ignore[arg-type]
    assert next(ordered) == 0
    assert taken == [1, 0]
    assert list(ordered) == [10, 20, 30, 40]
