"""What was measured, or why it could not be: nothing is left out in silence."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

LEAST_RUNS = 3
"""Of each measurement, however long they take."""
KEEP_EVERY_S = 10.0
PERCENTILES = (50, 99)


@dataclass
class Row:
    """One measurement.

    Attributes:
        part: of the bench.
        subject: what was run.
        what: how.
        rows: in a batch; 0 where there is none.
        per_s: images, unless `what` says otherwise.
        ms, p99_ms: for a batch; the median and the 99th percentile.
        first_ms: of the first run, which may have searched or captured.
        apart: how far the results are from the CPU's in float32; what is compared is the subject's to say.
        more: figures that only this part has.
        error: why there are no figures.
    """

    part: str
    subject: str
    what: str
    rows: int = 0
    per_s: float = 0.0
    ms: float = 0.0
    p99_ms: float = 0.0
    first_ms: float = 0.0
    apart: float | None = None
    more: dict[str, Any] = field(default_factory=dict)
    error: str = ""


class OutOfTime(Exception):
    """The run has to end before this could be measured."""


class Report:
    """Collects rows and prints each; an error fails its own row alone.

    Attributes:
        subjects: what is run.

    Args:
        budget_s: after this nothing more is begun.
        seconds: of each measurement.
        keep: told now and then that there is something to keep, should this be ended by force.
    """

    def __init__(self, budget_s: float, seconds: float, keep: Callable[["Report"], object] = lambda _: None) -> None:
        self.rows: list[Row] = []
        self.subjects: Sequence[Any] = ()
        self.seconds = seconds
        self._keep, self._kept_s = keep, 0.0
        self._started, self._budget_s = time.perf_counter(), budget_s

    @property
    def left_s(self) -> float:
        """How long it may still take."""
        return self._budget_s - self.spent_s

    @property
    def spent_s(self) -> float:
        """How long it took so far."""
        return time.perf_counter() - self._started

    def need(self, seconds: float = 0.0) -> None:
        """Refuse what would take longer than there is time for.

        Raises:
            OutOfTime: there is not.
        """
        if self.left_s < seconds:
            raise OutOfTime(f"not measured: the {self._budget_s:g} s of this run were spent")

    @contextlib.contextmanager
    def row(self, part: str, subject: str, what: str, rows: int = 0) -> Iterator[Row]:
        """Measure one row in the body of a `with`; what is raised there becomes the row's error."""
        row = Row(part, subject, what, rows)
        try:
            yield row
        except Exception as error:
            row.error = _told(error)
        self.rows.append(row)
        print(_line(row), flush=True)
        if self.spent_s > self._kept_s + KEEP_EVERY_S:
            self._kept_s = self.spent_s
            self._keep(self)

    def measure(self, row: Row, once: Callable[[], object]) -> None:
        """Fill a row with the times of a function that handles one batch.

        Raises:
            OutOfTime: nothing more is to be begun.
        """
        self.need()
        took = timed(once, self.seconds)
        row.first_ms, steady = took[0] * 1e3, sorted(took[1:])
        row.ms, row.p99_ms = (steady[min(len(steady) - 1, len(steady) * place // 100)] * 1e3 for place in PERCENTILES)
        row.per_s = row.rows * len(steady) / sum(steady)

    def of(self, part: str, subject: str = "", what: str = "") -> list[Row]:
        """Return the rows of a part that have figures."""
        return [
            row
            for row in self.rows
            if row.part == part and not row.error and subject in ("", row.subject) and what in ("", row.what)
        ]

    def to_json(self, about: Mapping[str, Any]) -> str:
        """Return the file's text."""
        return json.dumps({"about": about, "rows": [asdict(row) for row in self.rows]}, indent=1) + "\n"


def timed(once: Callable[[], object], seconds: float) -> Sequence[float]:
    """Return the seconds of the first run and of those after the second, which is not counted either."""
    took = list[float]()
    ends = float("inf")
    while len(took) < LEAST_RUNS + 2 or time.perf_counter() < ends:
        if len(took) == 2:
            ends = time.perf_counter() + seconds
        started = time.perf_counter()
        once()
        took.append(time.perf_counter() - started)
    return [took[0], *took[2:]]


def _told(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
    return (text if isinstance(error, OutOfTime) else f"{type(error).__name__}: {text}")[:300]


def _line(row: Row) -> str:
    head = f"{row.part:9} {row.subject:18} {row.what:44} {row.rows or '':>4}"
    if row.error:
        return f"{head} {row.error}"
    figures = [f"{row.per_s:11.1f}/s", f"{row.ms:9.3f} ms", f"p99 {row.p99_ms:9.3f}", f"first {row.first_ms:9.1f}"]
    apart = "" if row.apart is None else f" apart {row.apart:.2g}"
    more = "".join(f" {name}={value:.4g}" for name, value in row.more.items() if isinstance(value, int | float))
    return f"{head} {' '.join(figures) if row.per_s else ''}{apart}{more}"
