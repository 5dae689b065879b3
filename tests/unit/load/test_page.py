"""The page: well-formed, self-contained, and with what it should show."""

import itertools
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from load_results import CLOSED, leg_of, result_of

from beholder.load.page import DARK, LIGHT, page_of
from beholder.load.result import Result, read_result
from beholder.load.svg import COLOURS, Axis, Line, line_chart, stacked_bars


def parsed(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page.partition("\n")[2])  # noqa: S314  our own page


def pages() -> dict[str, Result]:
    rates = [leg_of([0.01 * rate] * (10 * rate), f"{rate}/s", lost=5 if rate > 2 else 0) for rate in (1, 2, 4)]
    many = result_of(*rates)
    many.slo = {"text": "p99=50ms", "is_held": False, "sentence": "held <nowhere> & never"}
    many.doubts = ["the client may be <slow>"]
    closed = [leg_of([0.01] * 50, f"{count} in flight", pattern=CLOSED) for count in (1, 2)]
    closed[1]["in_flight"] = 8
    bare = leg_of([0.01] * 50)
    bare["server"] = None
    nothing = leg_of([], lost=0, pattern=CLOSED)
    return {"rates": many, "closed": result_of(*closed), "no series": result_of(bare), "nothing": result_of(nothing),
            "no legs": result_of()}  # fmt: skip


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_page_is_well_formed_and_needs_nothing_else(name: str) -> None:
    page = page_of(pages()[name])
    parsed(page)
    assert "<script" not in page
    assert not re.findall(r"(?:src|href|@import|url\()", page)
    addresses = set(re.findall(r"\w+://[^\"'<> ]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_the_page_shows_every_plot_and_every_leg() -> None:
    page = page_of(pages()["rates"])
    root = parsed(page)
    captions = [caption.text for caption in root.iter("figcaption")]
    assert captions == [
        "Latency over rate",
        "Throughput over rate",
        "Latency by percentile",
        "Requests over time",
        "Latency over time, of what was answered in each second",
        "Where the time goes in the server: mean of each passage through a stage",
        "Batch sizes: share of batches by rows",
        "Rows in the server",
    ]
    text = "".join(root.itertext())
    for expected in ("p99=50ms: not held; held <nowhere> & never", "the client may be <slow>", "1/s", "2/s", "4/s",
                     'rows <full> & "more"', "RESOURCE_EXHAUSTED"):  # fmt: skip
        assert expected in text


def test_every_colour_is_there_in_light_and_dark() -> None:
    page = page_of(pages()["rates"])
    assert len(LIGHT) == len(DARK) == COLOURS
    assert "prefers-color-scheme:dark" in page
    used = set(re.findall(r'class="(?:line )?([cs]\d)"', page))
    defined = set(re.findall(r"\.([cs]\d)\{", page))
    assert used
    assert used <= defined


def test_a_line_breaks_where_there_is_no_number() -> None:
    points = [(1, 1.0), (2, 2.0), (3, math.nan), (4, math.inf), (5, 3.0), (6, 0.0)]
    chart = line_chart("t", [Line("a", points)], Axis("x"), Axis("y", is_log=True))
    assert chart.count('class="line s0"') == 2
    assert chart.count("<circle") == 3


def test_higher_values_are_drawn_higher() -> None:
    chart = line_chart("t", [Line("a", [(0, 1), (1, 10), (2, 100)])], Axis("x"), Axis("y", is_log=True))
    places = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', chart)]
    assert places == sorted(places)
    steps = [before[1] - after[1] for before, after in itertools.pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 2, abs=0.2)
    assert steps[0] > 50


def test_bars_are_as_long_as_their_values() -> None:
    chart = stacked_bars("t", [("one", {"a": 1.0, "b": 3.0}), ("two", {"b": 2.0})], "ms")
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="20"', chart)]
    assert widths[1] / widths[0] == pytest.approx(3, rel=0.01)
    assert widths[2] / widths[0] == pytest.approx(2, rel=0.01)


def test_nothing_is_drawn_of_nothing() -> None:
    assert line_chart("t", [Line("a", [(1, math.inf)])], Axis("x"), Axis("y")) == ""
    assert stacked_bars("t", [("one", {})], "ms") == ""


def test_a_result_that_is_read_again_makes_the_same_page(tmp_path: Path) -> None:
    leg = leg_of([0.01 + 1e-3 * math.sin(place) for place in range(100)], seconds=3.3)
    result, path = result_of(leg), tmp_path / "result.json"
    path.write_text(result.to_json())
    assert page_of(read_result(path)) == page_of(result)
