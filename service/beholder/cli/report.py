"""How results are written: a table for people, JSON lines and CSV for programs; line by line, so that nothing waits."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Protocol

import click
import numpy as np

from beholder.client import Result, ScorerInfo
from beholder.errors import BeholderError, InputError, code_of
from beholder.types import Kind, Outcome, Score, TasteVerdict

MAX_LABEL_WIDTH = 24
UNSURE = "?"


class Report(Protocol):
    """One way to write results."""

    def head(self) -> list[str]:
        """Return the lines before the first result."""

    def row(self, candidate: str, result: Result) -> str:
        """Return the line of one image."""


class JsonReport:
    """One JSON object a line."""

    def head(self) -> list[str]:
        """Return nothing: every line stands for itself."""
        return []

    def row(self, candidate: str, result: Result) -> str:
        """Return the line of one image."""
        scores = {name: outcome_object(outcome) for name, outcome in result.outcomes.items()}
        image_id = {"image_id": result.image_id} if result.image_id else {}
        return json.dumps({"candidate": candidate, **image_id, "scores": scores})


class CsvReport:
    """A column for each scorer, one for its likeliest label where it has labels, and one for errors.

    A taste has columns for what it says beside P(like); why it is unsure is empty where it is sure.
    """

    def __init__(self, scorers: Sequence[ScorerInfo]) -> None:
        self._scorers = scorers

    def head(self) -> list[str]:
        """Return the names of the columns."""
        names = ["candidate"]
        for scorer in self._scorers:
            names += [scorer.name, *(f"{scorer.name}.{column}" for column in _more_columns(scorer))]
        return [csv_line([*names, "error"])]

    def row(self, candidate: str, result: Result) -> str:
        """Return the line of one image; a scorer without a score leaves its cells empty."""
        cells: list[object] = [candidate]
        for scorer in self._scorers:
            score = result.scores.get(scorer.name)
            cells.append(shortest(score.value) if score else "")
            more = _more_cells(score) if score else {}
            cells += [more.get(column, "") for column in _more_columns(scorer)]
        return csv_line([*cells, "; ".join(problems(result))])


class TableReport:
    """Columns as wide as what is known beforehand: the names of the images, the scorers and their labels."""

    def __init__(self, candidates: Sequence[str], scorers: Sequence[ScorerInfo]) -> None:
        self._scorers = scorers
        self._candidate_width = max([len("candidate"), *(len(printable(name)) for name in candidates)])
        self._label_widths = [_label_width(scorer) for scorer in scorers]

    def head(self) -> list[str]:
        """Return the names of the columns."""
        return [click.style(self._line("candidate", [(one.name, "") for one in self._scorers]), bold=True)]

    def row(self, candidate: str, result: Result) -> str:
        """Return the line of one image; what failed is told on stderr."""
        return self._line(candidate, [_cell(result.outcomes.get(one.name)) for one in self._scorers])

    def _line(self, candidate: str, cells: Sequence[tuple[str, str]]) -> str:
        parts = [printable(candidate).ljust(self._candidate_width)]
        for (value, label), scorer, label_width in zip(cells, self._scorers, self._label_widths, strict=True):
            text = f"{value:>8}" + (f" {label[:MAX_LABEL_WIDTH]:{label_width}}" if label_width else "")
            width = max(len(scorer.name), 8)
            parts.append(text.ljust(width) if label_width else text.rjust(width))
        return "  ".join(parts).rstrip()


def report_of(format_: str | None, candidates: Sequence[str], scorers: Sequence[ScorerInfo]) -> Report:
    """Return the way to write that was asked for: json, csv, or a table."""
    if format_ == "json":
        return JsonReport()
    return CsvReport(scorers) if format_ == "csv" else TableReport(candidates, scorers)


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for JSON."""
    if isinstance(outcome, BeholderError):
        return {"error": {"code": code_of(outcome).name, "message": said(outcome)}}
    labels = [{"name": label.name, "value": shortest(label.value)} for label in outcome.labels]
    taste = {"taste": verdict_object(outcome.taste)} if outcome.taste else {}
    return {"value": shortest(outcome.value), **({"labels": labels} if labels else {}), **taste}


def verdict_object(verdict: TasteVerdict) -> dict[str, Any]:
    """Return what a taste says beside P(like) for JSON."""
    return {
        "version": verdict.version,
        "opinion": shortest(verdict.opinion),
        "sd": shortest(verdict.sd),
        "percentile": shortest(verdict.percentile),
        "unsure": verdict.unsure,
        "why_unsure": verdict.why_unsure,
    }


def unsure_mark(score: Score) -> str:
    """Return the mark of a taste's verdict that should not be relied on; empty where nothing speaks against it."""
    return UNSURE if score.taste and score.taste.unsure else ""


def problems(result: Result) -> list[str]:
    """Say what went wrong, scorers that met the same together."""
    by_message: dict[str, list[str]] = {}
    for name, error in result.errors.items():
        by_message.setdefault(f"{code_of(error).name}: {said(error)}", []).append(name)
    return [f"{', '.join(names)}: {message}" for message, names in by_message.items()]


def said(error: BeholderError) -> str:
    """Return the message of an error, which without a word about it is about the candidate."""
    is_reference = isinstance(error, InputError) and error.field.endswith("reference")
    return error.message if not is_reference or "reference" in error.message else f"reference: {error.message}"


def printable(text: str) -> str:
    """Return text for one line of a terminal: what would break it or steer the terminal is spelled out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return cells as one line of columns."""
    return "  ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)).rstrip()


def csv_line(cells: Sequence[object]) -> str:
    """Return cells as one line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)  # a cell is quoted where it holds the line's own end
    return line.getvalue().removesuffix("\n")


def shortest(value: float) -> float:
    """Return the shortest number that is the same float32, which every score is."""
    return float(str(np.float32(value)))


def _cell(outcome: Outcome | None) -> tuple[str, str]:
    if not isinstance(outcome, Score):
        return "failed", ""
    return f"{outcome.value:.4f}", unsure_mark(outcome) or (outcome.labels[0].name if outcome.labels else "")


def _label_width(scorer: ScorerInfo) -> int:
    if scorer.kind is Kind.TASTE:
        return len(UNSURE)
    return max((min(len(label), MAX_LABEL_WIDTH) for label in scorer.labels), default=0)


def _more_columns(scorer: ScorerInfo) -> tuple[str, ...]:
    if scorer.kind is Kind.TASTE:
        return ("sd", "percentile", "why_unsure")
    return ("label",) if scorer.labels else ()


def _more_cells(score: Score) -> dict[str, Any]:
    label = {"label": score.labels[0].name} if score.labels else {}
    return label | (verdict_object(score.taste) if score.taste else {})
