"""Lines on stdout and something that moves on the terminal, without one spoiling the other."""

import sys
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text


class Moving:
    """Where a long command writes; what moves shows on the terminal alone, and leaves nothing behind.

    Args:
        columns: what moves.
        is_wanted: whether anything moves, where stderr is a terminal.
    """

    def __init__(self, *columns: ProgressColumn, is_wanted: bool = True) -> None:
        # Both on one terminal: rich must write both, so that lines scroll by above what moves.
        is_shared = sys.stdout.isatty()
        self._is_seen = is_wanted and sys.stderr.isatty()
        self._is_shared = self._is_seen and is_shared
        self._progress = Progress(
            *columns,
            console=Console(stderr=not is_shared),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not self._is_seen,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def write(self, line: str) -> None:
        """Write one line of output."""
        if self._is_shared:
            self._progress.console.print(Text.from_ansi(line), soft_wrap=True)
        else:
            click.echo(line)

    def complain(self, problem: str) -> None:
        """Write one line of complaint to stderr."""
        if self._is_seen:
            self._progress.console.print(Text(f"beholder: {problem}"), soft_wrap=True)
        else:
            click.echo(f"beholder: {problem}", err=True)


class Screen(Moving):
    """A bar of steps.

    Args:
        total: steps; the bar shows where there are at least `least`.
        doing: what is shown beside the bar at first.
    """

    def __init__(self, total: int, doing: str, *, least: int = 2) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(*columns, is_wanted=total >= least)
        self._task = self._progress.add_task(doing, total=total)

    def doing(self, what: str) -> None:
        """Show what is being done now."""
        self._progress.update(self._task, description=what)

    def step(self) -> None:
        """Let the bar go on by one."""
        self._progress.advance(self._task)
