"""`beholder bench` with a small scorer: its counts and figures are there and fit together; how fast is not judged."""

import json
from pathlib import Path
from typing import Any

import pytest

from beholder.bench.loop import STAGES
from beholder.cli.main import run
from server_process import environment

Captured = pytest.CaptureFixture[str]
SHORT = ("--for", "400ms", "--warmup", "100ms", "--batch", "1,2", "-i", "48x32", "-i", "32x32.png")


def bench(path: Path, *more: str) -> dict[str, Any]:
    assert run(["bench", *more, *SHORT, "--json", str(path)], environment()) == 0
    whole: dict[str, Any] = json.loads(path.read_text())
    return whole


def test_loop_and_service_are_measured_in_turn(tmp_path: Path, capsys: Captured) -> None:
    whole = bench(tmp_path / "bench.json", "-s", "psnr", "--rounds", "2", "--in-flight", "1,3", "--stream")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("psnr, 8 images of")
    assert [line.split("  ")[0] for line in said[3:8]] == [
        f"limit, batch {whole['limit']['batch_rows']}",
        "1 in flight", "3 in flight", "1 in flight, stream", "3 in flight, stream",
    ]  # fmt: skip
    limit = whole["limit"]
    assert set(limit["batches"]) == {"1", "2"}
    assert set(limit["stages_ms"]) == set(STAGES)
    assert len(limit["rounds"]) == 2
    assert all(one["images"] > 0 for one in limit["rounds"])
    for service in whole["service"]:
        assert len(service["rounds"]) == 2
        assert service["ratio"].keys() == {"rate", "aside", "cpu"}
        for one in service["rounds"]:
            assert one["answered"] > 0
            method = "ScoreStream.message" if service["is_stream"] else "Score"
            assert one["server"]["requests"][f"{method} OK"] >= one["answered"]
            assert not one["server"]["cache"]
    assert {scorer["scorer"] for scorer in whole["versions"]["server"]["scorers"]} == {"psnr"}


def test_the_limit_alone_starts_no_server(tmp_path: Path) -> None:
    whole = bench(tmp_path / "bench.json", "limit", "-s", "sharpness", "--rounds", "1")
    assert whole["service"] == []
    assert "server" not in whole["versions"]


def test_the_service_alone_has_no_ratio_and_with_repeated_images_a_cache(tmp_path: Path) -> None:
    options = ("-s", "sharpness", "--rounds", "1", "--in-flight", "2", "--repeated", "100%")
    whole = bench(tmp_path / "bench.json", "serve", *options)
    (service,) = whole["service"]
    assert whole["limit"] is service["ratio"] is None
    assert service["rounds"][0]["server"]["cache"]["hit"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-s", "pnsr"], "no scorer 'pnsr'; did you mean psnr"),
        (["-s", "ssim", "-i", "4x4"], "4x4: candidate: want at least"),
        (["--for", "0s"], "--for: want more than 0 seconds"),
        (["--json", "/nowhere/at/all.json"], "no folder /nowhere/at"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(options: list[str], message: str, capsys: Captured) -> None:
    assert run(["bench", *options], environment()) == 2
    assert message in capsys.readouterr().err


def test_a_server_that_does_not_start_says_why(capsys: Captured) -> None:
    settings = environment(max_message_mb="0")
    assert run(["bench", "serve", "-s", "psnr"], settings) == 2
    assert "BEHOLDER_MAX_MESSAGE_MB" in capsys.readouterr().err
