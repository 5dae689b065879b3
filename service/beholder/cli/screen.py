"""Lines on stdout and a progress bar on the terminal, without one spoiling the other."""

import sys
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text


class Screen:
    """Where a long command writes; its bar shows on the terminal alone, and leaves nothing behind.

    Args:
        total: steps; the bar shows where there are at least `least` and stderr is a terminal.
        doing: what is shown beside the bar at first.
    """

    def __init__(self, total: int, doing: str, *, least: int = 2) -> None:
        # Both on one terminal: rich must write both, so that lines scroll by above the bar.
        self._is_shared = sys.stdout.isatty()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=not self._is_shared),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=total < least or not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task(doing, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def doing(self, what: str) -> None:
        """Show what is being done now."""
        self._progress.update(self._task, description=what)

    def step(self) -> None:
        """Let the bar go on by one."""
        self._progress.advance(self._task)

    def write(self, line: str) -> None:
        """Write one line of output."""
        if self._is_shared and not self._progress.disable:
            self._progress.console.print(Text.from_ansi(line), soft_wrap=True)
        else:
            click.echo(line)

    def complain(self, problem: str) -> None:
        """Write one line of complaint to stderr."""
        if self._progress.disable:
            click.echo(f"beholder: {problem}", err=True)
        else:
            self._progress.console.print(Text(f"beholder: {problem}"), soft_wrap=True)
