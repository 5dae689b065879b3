"""The bench of docs/throughput.md: parts of it with real servers, briefly, and what its page says of figures."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.performance import page
from bench.performance.__main__ import asked_of, main, parse
from bench.performance.asked import Asked
from bench.performance.parts.all import PARTS
from bench.performance.parts.memory import slope_of
from bench.performance.words import cell, doubts, ratio

SMALL = ("--scorers", "sharpness", "--image", "48x48", "--quick", "--seconds", "0.6")
ABOUT: dict[str, Any] = {"date": "2026-01-01 00:00", "cores": 2, "processor": "a processor", "load_before": 0.1}
ABOUT |= {"others_cores": 0.0, "python": "3.11", "versions": {"beholder": "0.1"}, "rounds": 5, "seconds": 5.0}
ABOUT |= {"took_s": 9, "command": "a command", "settings": [], "is_quick": False}


def test_parts_run_and_are_kept_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEHOLDER_SCORERS", "sharpness")  # of the idle server: it has all otherwise
    output = tmp_path / "performance.json"
    main(["--only", "idle", *SMALL, "--idle", "0.5", "--output", str(output)])
    main(["--only", "overload", *SMALL, "--output", str(output)])
    kept = json.loads(output.read_text())
    assert list(kept) == ["overload", "idle"]
    said = capsys.readouterr().out
    assert "| `sharpness`, 3x |" in said
    loads = kept["overload"]["found"]["sharpness"]["loads"]
    assert all(sum(times for *_, times in one["outcomes"]) == one["sent"] for its in loads.values() for one in its)
    assert kept["idle"]["found"]["stretches"][0]["seconds"] >= 0.5
    text = page.page(kept)
    assert text.count("**A quick look, not a figure.**") == 2
    assert "settings BEHOLDER_SCORERS=sharpness" in text
    assert "`python -m bench.performance --only overload" in text


def test_a_part_that_fails_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(asked: Asked) -> dict[str, Any]:
        raise RuntimeError("no answer")

    found = {"stretches": [{"seconds": 1.0, "cores": 0.5}], "threads": 1}
    monkeypatch.setattr(PARTS["limit"], "measure", fail)
    monkeypatch.setattr(PARTS["idle"], "measure", lambda asked: found)
    output = tmp_path / "performance.json"
    with pytest.raises(SystemExit, match="failed: limit"):
        main(["--only", "limit", "idle", "--output", str(output)])
    assert list(json.loads(output.read_text())) == ["idle"]
    assert "limit: no answer" in capsys.readouterr().err


def test_the_page_in_docs_is_made_of_its_json() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(json.loads(page.KEPT.read_text(encoding="utf-8")))


def test_a_busy_machine_and_settings_are_told() -> None:
    found = {"stretches": [{"seconds": 10.0, "cores": 0.003}, {"seconds": 10.0, "cores": 0.001}], "threads": 9}
    quiet = page.page({"idle": {"about": ABOUT, "found": found}})
    assert "| 20 s | 0.200 | 0.200 (0.100 to 0.300) | 9 |" in quiet
    assert "Others were at work" not in quiet
    about = ABOUT | {"others_cores": 0.7, "settings": ["BEHOLDER_RUNNERS=1"]}
    busy = page.page({"idle": {"about": about, "found": found}})
    assert "**Others were at work on the machine.**" in busy
    assert "settings BEHOLDER_RUNNERS=1" in busy


def test_what_is_measured_again_replaces_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    stretches = {"stretches": [{"seconds": 1.0, "cores": 0.5}], "threads": 1}
    page.write({"idle": {"about": ABOUT, "found": stretches}}, page.KEPT)
    page.write({"cache": {"about": ABOUT, "found": {}}}, tmp_path / "new.json")
    page.take(tmp_path / "new.json")
    assert list(json.loads(page.KEPT.read_text())) == ["cache", "idle"]
    assert "## Repeated images" in page.PAGE.read_text()


def test_quick_amounts_give_way_to_what_is_said() -> None:
    asked = asked_of(parse(["--quick", "--rounds", "3"]))
    assert (asked.rounds, asked.seconds) == (3, 1.0)
    assert asked_of(parse([])).requests == 100_000
    assert not PARTS["memory"].is_usual


def test_a_leak_has_a_slope_and_noise_has_none() -> None:
    leaking, error = slope_of([(count, 100 + count / 1e4) for count in range(0, 100_000, 1000)])
    assert leaking == pytest.approx(10.0)
    assert error == pytest.approx(0.0, abs=1e-6)
    steady, error = slope_of([(count, 100 + (count // 1000 % 2)) for count in range(0, 100_000, 1000)])
    assert abs(steady) <= 2 * error + 0.1


def test_ratios_are_of_each_round_and_told_with_their_ends() -> None:
    upper, lower = [{"x": 2.0}, {"x": 3.0}, {"x": 10.0}], [{"x": 1.0}, {"x": 1.0}, {"x": 5.0}]
    assert cell(ratio(upper, lower, "x")) == "2.00 (2.00 to 3.00)"
    assert cell(ratio(upper[:1], lower[:1], "x"), 1) == "2.0"
    several = [{"doubts": ["late by 1.5 ms"]}, {"doubts": ["late by 9 ms", "busy"]}]
    assert doubts(several) == ["- doubted: late by 1.5 ms (and in 1 more runs)", "- doubted: busy"]
