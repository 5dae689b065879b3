"""What `beholder load` shows while it runs: a moving line on a terminal, a plain one now and then elsewhere."""

from typing import Any

import click
from rich.progress import BarColumn, TaskID, TextColumn

from beholder.cli.report import padded
from beholder.cli.screen import Moving
from beholder.load.fleet import Seen
from beholder.load.summary import HEAD, number, rows
from beholder.load.worker import REPORT_S

PLAIN_S = 10.0
"""Between two plain lines."""
WIDTHS = (16, 11, 10, 8, 8, 8, 8, 6, 18)


class LoadScreen(Moving):
    """Progress on stderr, finished legs on stdout; a context, outside of which nothing moves."""

    def __init__(self) -> None:
        super().__init__(TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[said]}"))
        self._task: TaskID | None = None
        self._said_s = 0.0
        self._has_head = False

    def seen(self, seen: Seen) -> None:
        """Show how a leg goes."""
        leg, said, whole_s = seen.leg, progress_line(seen), seen.leg.end_s
        if self._is_seen:
            if self._task is None:
                self._task = self._progress.add_task(leg.name, total=whole_s, said="")
            self._progress.update(self._task, completed=min(seen.elapsed_s, whole_s), said=said)
        elif seen.elapsed_s >= self._said_s + PLAIN_S:
            self._said_s = seen.elapsed_s
            click.echo(f"{leg.name}, {min(seen.elapsed_s, whole_s):.0f} of {whole_s:.0f} s: {said}", err=True)

    def leg(self, leg: dict[str, Any]) -> None:
        """Show a leg that is over."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task, self._said_s = None, 0.0
        if not self._has_head:
            self._has_head = True
            self.write(padded(HEAD, WIDTHS))
        self.write(padded(rows([leg])[0], WIDTHS))


def progress_line(seen: Seen) -> str:
    """Return the last whole second of a leg in words."""
    second = seen.second(int(seen.elapsed_s - REPORT_S) - 1)
    times = "/".join(number(second.latency.percentile_s(percent) * 1e3) for percent in (50.0, 99.0))
    failed = sum(one.failed for one in seen.tally.seconds.values())
    cpu = max(seen.cpu, default=0.0)
    waiting = ", waiting for the last answers" if seen.elapsed_s > seen.leg.end_s + REPORT_S else ""
    return (
        f"sent {second.sent}/s, answered {second.answered}/s, p50/p99 {times} ms, in flight {seen.in_flight}, "
        f"failed {failed}, client {cpu:.0%} of a core{waiting}"
    )
