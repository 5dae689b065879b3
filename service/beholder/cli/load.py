"""`beholder load`: how a server does under load, at a rate, up to its knee, or up to an objective.

Exit codes: 0 done, or the objective held · 1 it did not, or nothing was answered · 2 the command is wrong · 130 Ctrl-C
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from beholder.cli.asking import Where
from beholder.cli.load_asked import Asked
from beholder.cli.load_compare import compare
from beholder.cli.load_mix import find_parts, record, try_once
from beholder.cli.load_options import load_options
from beholder.cli.load_screen import LoadScreen
from beholder.cli.report import printable
from beholder.client import Client
from beholder.config import config_from, split_address
from beholder.load.doubts import all_doubts, doubt_of_slo
from beholder.load.fleet import Fleet, Seen
from beholder.load.mix import Mix
from beholder.load.page import page_of
from beholder.load.plan import Plan
from beholder.load.result import Result, client_versions
from beholder.load.run import Run, Stopped, check_slo, knee_legs, search_slo
from beholder.load.server import Listener, infos, scrape
from beholder.load.summary import failures, headlines
from beholder.load.words import read_trace

METRICS_PORT = 9464


@click.group(invoke_without_command=True)
@load_options
@click.pass_context
def load(ctx: click.Context, asked: Asked) -> int | None:
    """Measure a server under load.

    \b
    beholder load --html page.html           find the knee, and plot the way there
    beholder load --rate 50 --for 60s        one rate, as independent callers have
    beholder load --rate 20,40,80            rates one after the other
    beholder load --in-flight 8 --stream     a closed loop over streams
    beholder load --slo p99=50ms             the highest rate that holds this
    beholder load --rate 50 --slo p99=50ms   does this one? exit code 0 or 1
    beholder load -s psnr,ssim=3 -s image-safety -i photos/ -i 1024x1024 --bad 2%
    beholder load compare before.json after.json

    Latency counts from the moment a request was meant to be sent, so a server that stalls can't hide it. Every image
    is new to the server, unless --repeated says otherwise.
    """
    if ctx.invoked_subcommand:
        return None
    address = asked.address or config_from(ctx.obj).address
    with Where(address, False, 60.0, ctx.obj).open() as client:
        assert isinstance(client, Client)  # noqa: S101  nothing was to be embedded
        plan = _plan(client, asked)
    metrics, versions = _metrics(address, asked)
    result = Result(asked.said | {"target": address, "started": _now()}, versions)
    code = _run(address, asked, plan, metrics, result)
    result.doubts += all_doubts(result.legs)
    for sentence in (*failures(result.legs), *result.doubts):
        click.echo(f"beholder: {printable(sentence)}", err=True)
    for sentence in headlines(result):
        click.echo(sentence)
    for path, text in ((asked.json, result.to_json), (asked.html, lambda: page_of(result))):
        if path:
            _write(path, text)
    return code


load.add_command(compare)


def _plan(client: Client, asked: Asked) -> Plan:
    parts = find_parts(client, asked.scorers, asked.images)
    recorded = None
    if asked.trace:
        try:
            recorded = record(client, read_trace(asked.trace), asked.trace.parent, parts)
        except ValueError as error:
            raise click.UsageError(f"--trace: {error}") from error
    try_once(client, parts, asked.prompt)
    mix = Mix(
        asks=tuple(parts.asks),
        pictures=tuple(parts.pictures),
        bad=asked.bad,
        hurried=asked.deadline[0],
        cancelled=asked.cancel[0],
        repeated=asked.repeated,
        samples=asked.samples,
        timeout_s=asked.timeout_s,
        hurry_s=asked.deadline[1],
        patience_s=asked.cancel[1],
        prompt=asked.prompt,
        seed=asked.seed,
    )
    return Plan(mix, asked.legs(recorded), asked.needs_capacity)


def _metrics(address: str, asked: Asked) -> tuple[list[str], dict[str, Any]]:
    """Return where the server's series are, where they can be had, and all versions."""
    versions: dict[str, Any] = {"client": client_versions()}
    addresses = list(asked.metrics) or [f"{split_address(address)[0]}:{METRICS_PORT}"] if _is_plain(address) else []
    try:
        if addresses:
            versions["server"] = infos(scrape(addresses))
            return addresses, versions
        problem = "nobody said where they are"
    except (OSError, ValueError) as error:
        if asked.metrics:
            raise click.UsageError(f"--metrics: {', '.join(addresses)}: {error}") from error
        problem = f"nothing of Beholder's at {addresses[0]}"
    click.echo(f"beholder: without the server's own series ({problem}); see --metrics", err=True)
    return [], versions


def _is_plain(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return bool(host) and port.isdecimal() and "," not in address and "//" not in address


def _run(address: str, asked: Asked, plan: Plan, metrics: list[str], result: Result) -> int:
    listener, code = Listener(metrics), 0
    with LoadScreen() as screen:

        def watch(seen: Seen) -> None:
            screen.seen(seen)
            listener.tick(seen.elapsed_s)

        fleet = Fleet(
            address, plan.mix, processes=asked.processes or plan.processes(), is_stream=asked.stream,
            connections=asked.connections, watch=watch,
        )  # fmt: skip
        try:
            with fleet:
                run = Run(fleet, listener, screen.leg)
                result.legs = run.legs
                code = _legs(run, asked, plan, result)
        except Stopped:
            code = 130
        finally:
            listener.close()
    return code


def _legs(run: Run, asked: Asked, plan: Plan, result: Result) -> int:
    times = (asked.warmup_s, asked.seconds)
    if asked.slo and plan.needs_capacity:
        result.slo = search_slo(run, asked.slo, *times, asked.repeats_or(3), is_even=asked.even)
    else:
        legs = plan.legs
        if plan.needs_capacity:
            legs = knee_legs(run.capacity(*times), *times, is_even=asked.even)
        seen = [run.leg(leg) for _ in range(asked.repeats_or(1)) for leg in legs]
        result.slo = check_slo(seen, asked.slo) if asked.slo else {}
    if result.slo:
        result.doubts += doubt_of_slo(result.slo["requests"], result.slo["wanted_requests"])
        return 0 if result.slo["is_held"] else 1
    return 0 if any(leg["answered"] for leg in result.legs) else 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(path: Path, text: Callable[[], str]) -> None:
    try:
        path.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"can't write {path}: {error.strerror}") from error
    click.echo(f"beholder: wrote {click.format_filename(path)}", err=True)
