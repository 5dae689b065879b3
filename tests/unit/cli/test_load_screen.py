"""What a load run shows while it goes."""

from typing import Any

import pytest

from beholder.cli.load_screen import WIDTHS, LoadScreen, progress_line
from beholder.load.arrivals import constant
from beholder.load.fleet import Seen
from beholder.load.mix import Kind
from beholder.load.summary import HEAD, rows
from beholder.load.tally import Came, Tally
from beholder.load.worker import Leg


def seen_at(elapsed_s: float) -> Seen:
    tally = Tally()
    for code, at in (("OK", 1.2), ("OK", 1.4), ("INTERNAL", 1.6)):
        tally.send(at)
        tally.note(Came(Kind.GOOD, "psnr", code, "", at, at, at, at + 0.01), 0.0, 20.0)
    return Seen(Leg("3/s", constant(3, 20.0), 0.0, 20.0), tally, elapsed_s, in_flight=4, cpu=(0.1, 0.25))


def test_the_last_whole_second_is_shown() -> None:
    said = progress_line(seen_at(2.6))
    assert said == "sent 3/s, answered 2/s, p50/p99 10/10 ms, in flight 4, failed 1, client 25% of a core"
    assert progress_line(seen_at(0.1)).startswith("sent 0/s, answered 0/s, p50/p99 -/- ms")
    assert progress_line(seen_at(25.0)).endswith(", waiting for the last answers")


def test_elsewhere_than_on_a_terminal_a_line_comes_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadScreen() as screen:
        for second in range(25):
            screen.seen(seen_at(float(second)))
    said = capsys.readouterr()
    assert [line.split(":")[0] for line in said.err.splitlines()] == ["3/s, 10 of 20 s", "3/s, 20 of 20 s"]
    assert said.out == ""


def test_legs_are_rows_under_one_head(capsys: pytest.CaptureFixture[str]) -> None:
    leg: dict[str, Any] = {"name": "3/s", "good": 3, "lost": 0, "seconds": 1.0, "throughput": 3.0, "server": None,
                           "latency_ms": {"p50": 1.0, "p90": None, "p99": "inf", "p99.9": 12345.6}}  # fmt: skip
    assert rows([leg]) == [("3/s", "3.0", "3.0", "1", "-", "∞", "12346", "0", "")]
    with LoadScreen() as screen:
        screen.leg(leg)
        screen.leg(leg)
    head, *lines = capsys.readouterr().out.splitlines()
    assert [part.strip() for part in head.split("  ") if part.strip()] == list(HEAD)
    assert len(lines) == 2
    assert len(WIDTHS) == len(HEAD)
