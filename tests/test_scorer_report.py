"""docs/scorers.md says what folders, goldens and measurements say now."""

from bench.scorer_report import REPORT, report


def test_the_report_is_that_of_these_folders() -> None:
    assert REPORT.read_text(encoding="utf-8") == report(), "write it anew: make scorers ARGS=--render"
