"""`beholder bench`: how far the service is from what this machine can do, and where the difference goes.

Exit codes: 0 done · 1 the server did not start or answer · 2 the command is wrong · 130 Ctrl-C
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from beholder.cli.load_mix import find_pictures
from beholder.cli.load_options import IMAGE, OUT, SECONDS, SHARE, Read
from beholder.cli.report import padded, printable
from beholder.cli.screen import Screen
from beholder.config import Config, config_from
from beholder.load.mix import Mix
from beholder.load.words import read_counts

if TYPE_CHECKING:
    from beholder.bench.result import Result
    from beholder.bench.served import Way

LIMIT, SERVE = "limit", "serve"
WIDTHS = (22, 8, 18, 18, 18, 8, 8, 8, 11)
TUNING_SHARE = 0.3
"""Of the time of a round, for a run of a batch size."""


@dataclass(frozen=True)
class Asked:
    """What was asked for; each field is the option of its name."""

    what: str | None
    scorer: str
    images: tuple[str, ...]
    in_flight: tuple[int, ...]
    stream: bool
    seconds: float
    warmup_s: float
    rounds: int
    batch: tuple[int, ...]
    repeated: float
    processes: int
    json: Path | None

    def ways(self) -> "list[Way]":
        """Return the ways in which the server is asked."""
        from beholder.bench.served import Way

        kinds = (False, True) if self.stream else (False,)
        return [] if self.what == LIMIT else [Way(count, kind) for kind in kinds for count in self.in_flight]


@click.command()
@click.argument("what", type=click.Choice((LIMIT, SERVE)), required=False)
@click.option("--scorer", "-s", default="image-safety", show_default=True, metavar="NAME", help="What is asked.")
@click.option(
    "--image", "-i", "images", multiple=True, metavar="WHAT[=WEIGHT]",
    help="A file, folder or glob, or a size to make: 512x512, 1024x768.png; again for more.  [default: 512x512]",
)  # fmt: skip
@click.option(
    "--in-flight", type=Read("counts", read_counts), default="1,8,32", show_default=True, metavar="N",
    help="Requests at a time.",
)  # fmt: skip
@click.option("--stream", is_flag=True, help="Measure messages of long streams too.")
@click.option("--for", "seconds", type=SECONDS, default="5s", show_default=True, metavar="TIME", help="Of each run.")
@click.option("--warmup", "warmup_s", type=SECONDS, default="1s", show_default=True, metavar="TIME",
              help="Before each run of the service.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, metavar="N", help="Of all runs.")
@click.option("--batch", type=Read("counts", read_counts), default=(), metavar="N",
              help="Batch sizes of the loop to choose from.  [default: 1,2,4 …]")  # fmt: skip
@click.option("--repeated", type=SHARE, default="0%", metavar="SHARE",
              help="Images that the server saw before; above 0 its cache is on.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1, 256), default=1, metavar="N", help="That ask.  [default: 1]")
@click.option("--json", type=OUT, metavar="FILE", help="Write all figures.")
@click.pass_obj
def bench(environ: Mapping[str, str], /, **given: Any) -> int:
    """Measure the service against a plain loop.

    The loop does the same work, with no service around it.

    \b
    beholder bench limit    decode, prepare and run in a plain loop, all cores, best batch size
    beholder bench serve    a server in a process of its own, asked by callers on this machine
    beholder bench          both in turns, service over limit, and where the difference goes

    Settings are those of `beholder serve`, read from BEHOLDER_*; the cache is off. The callers share the cores with
    the server: `of limit` counts what they cost against the service, `client aside` compares with what the loop would
    do on the cores that they left, `by CPU` is the loop's CPU time for an image over the server's for a request. Of
    each ratio the median of all rounds is shown, with the lowest and the highest.
    """
    asked = Asked(**given | {"images": given["images"] or (IMAGE,)})
    if asked.json and not asked.json.parent.is_dir():
        raise click.UsageError(f"no folder {asked.json.parent}")
    if not asked.seconds:
        raise click.UsageError("--for: want more than 0 seconds")
    result = _measure(asked, config_from(environ), environ)
    for sentence in result.sentences():
        click.echo(sentence)
    for sentence in result.doubts():
        click.echo(f"beholder: {printable(sentence)}", err=True)
    if asked.json:
        try:
            asked.json.write_text(result.to_json(), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"can't write {asked.json}: {error.strerror}") from error
    return 0


def _measure(asked: Asked, config: Config, environ: Mapping[str, str]) -> "Result":
    # Here, so that commands which only ask a server start without loading one.
    from beholder.app import usable_cores
    from beholder.bench.result import HEAD, Result
    from beholder.bench.run import Plan, Run
    from beholder.bench.setup import ask_of, catalog_of
    from beholder.load.result import client_versions

    catalog = catalog_of(config)
    mix = Mix((ask_of(catalog, asked.scorer),), tuple(find_pictures(asked.images)[0]), repeated=asked.repeated)
    said = {name: its for name, its in vars(asked).items() if name != "json"} | {"settings": changed(config)}
    result = Result(said, {"client": client_versions()}, usable_cores())
    plan = Plan(asked.scorer, mix, asked.ways(), asked.seconds, asked.warmup_s, asked.processes)
    kb = sum(len(one.data) for one in mix.pictures) / len(mix.pictures) / 1e3
    click.echo(
        f"{asked.scorer}, {len(mix.pictures)} images of {kb:.0f} kB on average, {result.cores} cores, "
        f"{asked.rounds} rounds of {asked.seconds:g} s"
    )
    run = Run(plan, config, result)
    with contextlib.ExitStack() as stack:
        if asked.what != SERVE:
            with Screen(1, "finding the best batch size", least=1):
                run.open_loop(catalog, asked.batch, TUNING_SHARE * asked.seconds)
            sizes = ", ".join(f"{rows}: {rate:.1f}" for rows, rate in result.batches.items())
            click.echo(f"images/s of the loop by batch size: {sizes}")
        if asked.what != LIMIT:
            run.open_server(stack, environ)
        with Screen(asked.rounds * run.steps, "measuring", least=1) as screen:
            for _ in range(asked.rounds):
                run.round(partial(_step, screen))
    for row in (HEAD, *result.table()):
        click.echo(padded(row, WIDTHS))
    return result


def changed(config: Config) -> dict[str, Any]:
    """Return the settings that are not the default ones and that the server is given; none that may hold a secret."""
    found = {spec.name: getattr(config, spec.name) for spec in fields(Config) if not spec.name.startswith("taste_")}
    own = ("address", "metrics_address", "scorers")
    return {name: value for name, value in found.items() if value != getattr(Config(), name) and name not in own}


def _step(screen: Screen, what: str) -> None:
    screen.doing(what)
    screen.step()
