"""The options of `beholder load`: how each is read and what its help says."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from beholder.cli.load_asked import Asked, check, typed
from beholder.load.slo import parse_slo
from beholder.load.words import (
    read_burst,
    read_counts,
    read_rate,
    read_seconds,
    read_share,
    read_share_and_time,
)

SOON_S = 0.1
"""How long hurried callers wait, and within what others go away, where nobody says."""


class Read(click.ParamType[Any]):
    """Text that a function reads, or says in a ValueError why it can't."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name, self._read = name, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was typed."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


IMAGE = "512x512"
SECONDS = Read("seconds", read_seconds)
SHARE = Read("share", read_share)
SHARE_AND_TIME = Read("share", lambda text: read_share_and_time(text, SOON_S))
OUT = click.Path(dir_okay=False, path_type=Path)
OPTIONS = (
    click.option(
        "--address", default="", metavar="HOST:PORT", help="The server.  [default: where `beholder serve` listens]"
    ),
    click.option(
        "--scorers",
        "-s",
        multiple=True,
        metavar="NAMES[=WEIGHT]",
        help="Scorers or panels to ask together; again for other requests.  [default: overview]",
    ),
    click.option(
        "--image",
        "-i",
        "images",
        multiple=True,
        metavar="WHAT[=WEIGHT]",
        help="A file, folder or glob, or a size to make: 512x512, 1024x768.png; again for more.  [default: 512x512]",
    ),
    click.option(
        "--rate",
        type=Read("rate", read_rate),
        default="auto",
        metavar="RATE",
        help="Requests per second: 50, 20,40,80 (steps), 10..200 (ramp) or auto (find the knee).  [default: auto]",
    ),
    click.option(
        "--burst", type=Read("burst", read_burst), metavar="RATE:LENGTH:EVERY", help="Bursts, such as 200:2s:30s."
    ),
    click.option("--even", is_flag=True, help="Even gaps, rather than those of independent callers (Poisson)."),
    click.option(
        "--trace",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="CSV",
        help="A recording: seconds[,scorers,image] a line, scorers with semicolons.",
    ),
    click.option(
        "--in-flight",
        type=Read("counts", read_counts),
        default=(),
        metavar="N",
        help="A closed loop of so many requests, or several: 1,2,4,8.",
    ),
    click.option(
        "--for",
        "seconds",
        type=SECONDS,
        default="10s",
        show_default=True,
        metavar="TIME",
        help="How long each is measured.",
    ),
    click.option(
        "--warmup", "warmup_s", type=SECONDS, default="2s", show_default=True, metavar="TIME", help="Before that."
    ),
    click.option(
        "--repeats",
        type=click.IntRange(0, 100),
        default=0,
        metavar="N",
        help="Runs of each; of what --slo found.  [default: 1; 3 for --slo]",
    ),
    click.option(
        "--slo",
        type=Read("slo", parse_slo),
        metavar="pN=TIME",
        help="An objective: p99=50ms, or p50=20ms,p99=80ms. Without a rate: the highest that holds it.",
    ),
    click.option("--bad", type=SHARE, default="0%", metavar="SHARE", help="Requests that can't be right, such as 2%."),
    click.option(
        "--cancel",
        type=SHARE_AND_TIME,
        default="0%",
        metavar="SHARE[:TIME]",
        help="Callers that go away, within TIME (100ms).",
    ),
    click.option(
        "--deadline",
        type=SHARE_AND_TIME,
        default="0%",
        metavar="SHARE[:TIME]",
        help="Requests with a deadline of TIME (100ms).",
    ),
    click.option(
        "--repeated", type=SHARE, default="0%", metavar="SHARE", help="Images that the server saw before: its cache."
    ),
    click.option(
        "--samples",
        type=click.IntRange(1, 10_000),
        default=1,
        metavar="N",
        help="Images in each request.  [default: 1]",
    ),
    click.option("--prompt", default="a photo", metavar="TEXT", help="For scorers that need one."),
    click.option("--stream", is_flag=True, help="Messages of long streams rather than calls."),
    click.option(
        "--timeout",
        "timeout_s",
        type=SECONDS,
        default="30s",
        show_default=True,
        metavar="TIME",
        help="Deadline of other requests.",
    ),
    click.option(
        "--processes", type=click.IntRange(0, 256), default=0, metavar="N", help="That send.  [default: by the rate]"
    ),
    click.option(
        "--connections", type=click.IntRange(1, 1000), default=1, metavar="N", help="Of each process.  [default: 1]"
    ),
    click.option(
        "--metrics",
        multiple=True,
        metavar="HOST:PORT",
        help="The server's /metrics; again for replicas.  [default: the server's host, port 9464]",
    ),
    click.option("--json", type=OUT, metavar="FILE", help="Write the result."),
    click.option("--html", type=OUT, metavar="FILE", help="Write a page with plots."),
    click.option("--seed", type=click.IntRange(0), default=1, metavar="N", help="Of all that is drawn.  [default: 1]"),
)


def load_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options, which the function gets as `asked`."""

    @wraps(function)
    def with_asked(**given: Any) -> Any:
        if click.get_current_context().invoked_subcommand:
            return function(asked=None)
        given |= {"images": given["images"] or (IMAGE,), "slo": given["slo"] or []}
        asked = Asked(**given, said=typed(given))
        check(asked)
        return function(asked=asked)

    for option in reversed(OPTIONS):
        with_asked = option(with_asked)
    return with_asked
