"""How results are written: JSON lines, CSV, a table."""

import csv
import json
from dataclasses import replace

import click
import numpy as np
import pytest
from scorer_infos import PLAIN

from beholder.cli.report import (
    CsvReport,
    JsonReport,
    TableReport,
    outcome_object,
    printable,
    problems,
    report_of,
    shortest,
)
from beholder.client import Result, ScorerInfo
from beholder.errors import CODES, BeholderError, InvalidSample, QueueFull
from beholder.types import Direction, Kind, Label, Score, TasteVerdict

BROKEN = InvalidSample("image is empty", "samples[0].candidate")
CAT = Score(0.75, (Label("cat, tabby", 0.75), Label("dog", 0.125)))


def info(name: str, *labels: str) -> ScorerInfo:
    if not labels:
        return replace(PLAIN, name=name)
    return replace(PLAIN, name=name, kind=Kind.CONTENT, direction=Direction.UNORDERED, labels=labels)


SCORERS = [info("ssim"), info("content", "cat, tabby", "dog")]


def test_json_has_the_value_of_every_score() -> None:
    line = JsonReport().row("a.png", Result({"ssim": Score(0.5)}))
    assert json.loads(line) == {"candidate": "a.png", "scores": {"ssim": {"value": 0.5}}}


def test_json_has_labels_where_there_are_any() -> None:
    line = JsonReport().row("a.png", Result({"content": CAT}))
    labels = [{"name": "cat, tabby", "value": 0.75}, {"name": "dog", "value": 0.125}]
    assert json.loads(line)["scores"] == {"content": {"value": 0.75, "labels": labels}}


@pytest.mark.parametrize("kind", CODES)
def test_json_names_every_error_by_its_canonical_code(kind: type[BeholderError]) -> None:
    line = JsonReport().row("a.png", Result({"ssim": kind("why")}))
    assert json.loads(line)["scores"] == {"ssim": {"error": {"code": CODES[kind].name, "message": "why"}}}


def test_a_line_of_json_is_one_line() -> None:
    assert "\n" not in JsonReport().row("a\nb.png", Result({"ssim": InvalidSample("one\ntwo")}))


def test_numbers_are_the_shortest_that_are_the_same_float32() -> None:
    value = float(np.float32(0.1))
    assert value != 0.1
    assert shortest(value) == 0.1
    assert np.float32(shortest(value)) == np.float32(value)


def rows_of(report: CsvReport, *results: Result) -> list[dict[str, str]]:
    lines = [*report.head(), *(report.row("a.png", result) for result in results)]
    return list(csv.DictReader(lines))


def test_csv_has_a_column_for_each_score_and_for_the_likeliest_label() -> None:
    (row,) = rows_of(CsvReport(SCORERS), Result({"ssim": Score(0.5), "content": CAT}))
    assert row == {"candidate": "a.png", "ssim": "0.5", "content": "0.75", "content.label": "cat, tabby", "error": ""}


def test_csv_leaves_the_cells_of_what_failed_empty_and_says_why() -> None:
    (row,) = rows_of(CsvReport(SCORERS), Result({"ssim": QueueFull("full"), "content": BROKEN}))
    assert (row["ssim"], row["content"], row["content.label"]) == ("", "", "")
    assert row["error"] == "ssim: RESOURCE_EXHAUSTED: full; content: INVALID_ARGUMENT: image is empty"


def test_csv_quotes_a_line_break_in_a_name() -> None:
    report = CsvReport(SCORERS[:1])
    lines = [*report.head(), report.row("a\nb.png", Result({"ssim": Score(0.5)}))]
    assert list(csv.reader("\n".join(lines).splitlines(keepends=True)))[1] == ["a\nb.png", "0.5", ""]


def test_a_name_stays_on_its_line_of_the_table_and_steers_no_terminal() -> None:
    report = TableReport(["a\n\x1b[31mb.png"], SCORERS[:1])
    assert report.row("a\n\x1b[31mb.png", Result({"ssim": Score(0.5)})) == r"a\n\x1b[31mb.png    0.5000"
    assert printable("ünï 写真.png") == "ünï 写真.png"


def test_a_broken_reference_is_not_blamed_on_the_candidate() -> None:
    broken = InvalidSample("image is empty", "samples[0].reference")
    assert problems(Result({"ssim": broken})) == ["ssim: INVALID_ARGUMENT: reference: image is empty"]
    assert outcome_object(broken)["error"]["message"] == "reference: image is empty"
    missing = InvalidSample("reference: can't read a.png", "reference")
    assert outcome_object(missing)["error"]["message"] == "reference: can't read a.png"


def test_a_taste_tells_p_like_and_marks_what_should_not_be_relied_on() -> None:
    sure, unsure = TasteVerdict(3, 0.5, 0.25, 75.0, ""), TasteVerdict(3, 0.5, 2.0, 50.0, "far from all")
    scorers = [replace(PLAIN, name="taste/ann", kind=Kind.TASTE), info("ssim")]
    results = [
        Result({"taste/ann": Score(0.75, taste=sure), "ssim": Score(0.5)}, image_id="ab"),
        Result({"taste/ann": Score(0.5, taste=unsure), "ssim": Score(0.5)}, image_id="cd"),
        Result({"taste/ann": BROKEN, "ssim": Score(0.5)}),
    ]
    table = TableReport(["a.png"], scorers)
    assert [table.row("a.png", result) for result in results] == [
        "a.png        0.7500      0.5000",
        "a.png        0.5000 ?    0.5000",
        "a.png        failed      0.5000",
    ]
    first, second, third = (json.loads(JsonReport().row("a.png", result)) for result in results)
    assert (first["image_id"], first["scores"]["taste/ann"]["taste"]["unsure"]) == ("ab", False)
    assert second["scores"]["taste/ann"] == {
        "value": 0.5,
        "taste": {
            "version": 3,
            "opinion": 0.5,
            "sd": 2.0,
            "percentile": 50.0,
            "unsure": True,
            "why_unsure": "far from all",
        },
    }
    assert "image_id" not in third
    rows = rows_of(CsvReport(scorers), *results)
    assert [row["taste/ann"] for row in rows] == ["0.75", "0.5", ""]
    assert [row["taste/ann.sd"] for row in rows] == ["0.25", "2.0", ""]
    assert [row["taste/ann.percentile"] for row in rows] == ["75.0", "50.0", ""]
    assert [row["taste/ann.why_unsure"] for row in rows] == ["", "far from all", ""]


def test_table_columns_line_up() -> None:
    report = TableReport(["a.png", "folder/long-name.png"], SCORERS)
    (head,) = map(click.unstyle, report.head())
    first = report.row("a.png", Result({"ssim": Score(0.5), "content": CAT}))
    second = report.row("folder/long-name.png", Result({"ssim": BROKEN, "content": Score(1.0, CAT.labels[1:])}))
    assert head == "candidate                 ssim   content"
    assert first == "a.png                   0.5000    0.7500 cat, tabby"
    assert second == "folder/long-name.png    failed    1.0000 dog"


def test_problems_of_one_cause_are_told_once() -> None:
    result = Result({"ssim": BROKEN, "psnr": BROKEN, "content": QueueFull("full"), "good": Score(1.0)})
    assert problems(result) == [
        "ssim, psnr: INVALID_ARGUMENT: image is empty",
        "content: RESOURCE_EXHAUSTED: full",
    ]


@pytest.mark.parametrize(("format_", "kind"), [("json", JsonReport), ("csv", CsvReport), (None, TableReport)])
def test_a_table_is_written_unless_told_otherwise(format_: str | None, kind: type[object]) -> None:
    assert type(report_of(format_, ["a.png"], SCORERS)) is kind
