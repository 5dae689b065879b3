"""Whom a command asks: a server, or an engine in this process; and which scorers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from beholder.client import Client, ScorerInfo
from beholder.config import Config, config_from
from beholder.errors import Unavailable
from beholder.scoring.catalog import load_catalog, shipped_models

if TYPE_CHECKING:
    from beholder.embedded import Embedded


@dataclass(frozen=True)
class Where:
    """Whom to ask.

    Attributes:
        address: of a server; empty means where `beholder serve` would listen.
        is_embedded: ask an engine in this process instead.
        timeout_s: for one image, retries included.
        environ: where settings are read from.
        shm: whether images go through memory that the server lends.
    """

    address: str
    is_embedded: bool
    timeout_s: float
    environ: Mapping[str, str]
    shm: bool = False

    @contextmanager
    def open(
        self, scorers: Sequence[str] = (), panel: str = "", usual: str = "", *, tastes: bool = False
    ) -> "Iterator[Client | Embedded]":
        """Connect, or build an engine of these scorers, else of those of this panel, else of the usual panel's.

        Where tastes are asked, nothing is usual.
        """
        if self.is_embedded:
            with self._embedded(scorers, panel, usual, tastes) as embedded:
                yield embedded
            return
        address = self.address or config_from(self.environ).address
        with Client(address, timeout_s=self.timeout_s, shm=self.shm) as client:
            try:
                yield client
            except Unavailable as error:
                if client.ready():
                    raise
                hint = "start a server with `beholder serve`, or add --embedded"
                raise click.ClickException(f"{address} does not answer; {hint} ({error.message})") from error

    def _embedded(self, scorers: Sequence[str], panel: str, usual: str, tastes: bool) -> "Embedded":
        # Here, so that commands which only ask a server start without loading one.
        from beholder.embedded import Embedded, scorers_for

        config = config_from(self.environ)
        if tastes and not scorers and not panel:
            scorers = smallest_scorer(config)
        config = replace(config, scorers=tuple(scorers) or scorers_for(config, panel, usual))
        with Console(stderr=True).status("loading scorers"):
            return Embedded(config, timeout_s=self.timeout_s)


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that become a `Where`, which the function gets as `where`."""

    @wraps(function)
    def with_where(*, address: str, embedded: bool, shm: bool, timeout_s: float, **rest: Any) -> Any:
        if address and embedded:
            raise click.UsageError("want either --address or --embedded, got both")
        if shm and embedded:
            raise click.UsageError("--shm is in vain: --embedded asks no server")
        environ = click.get_current_context().obj
        return function(where=Where(address, embedded, timeout_s, environ, shm), **rest)

    seconds = click.FloatRange(min=0.001)
    for option in (
        click.option(
            "--timeout", "timeout_s", type=seconds, default=60.0, show_default=True, metavar="SECONDS",
            help="How long one image may take, retries included.",
        ),
        click.option(
            "--shm", is_flag=True, help="Hand large images over in memory that the server lends (BEHOLDER_SHM)."
        ),
        click.option("--embedded", is_flag=True, help="Score in this process, without a server."),
        click.option(
            "--address", default="", metavar="HOST:PORT",
            help="The server to ask.  [default: where `beholder serve` listens]",
        ),
    ):  # fmt: skip
        with_where = option(with_where)
    return with_where


def smallest_scorer(config: Config) -> list[str]:
    """Return the scorer with the smallest graph, for an engine without any doesn't start; none where none is there."""
    catalog = load_catalog([Path(folder) for folder in config.models] or [shipped_models()])
    there = [spec for spec in catalog.scorers.values() if not spec.encoder and spec.is_exported("cpu")]
    return [spec.name for spec in sorted(there, key=lambda spec: spec.graph.file.path.stat().st_size)[:1]]


def scorer_of(taste: str) -> str:
    """Return the scorer that a taste is asked as."""
    return f"taste/{taste}"


def names_in(text: str) -> list[str]:
    """Split scorer names at commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def choose_scorers(
    caller: "Client | Embedded",
    names: Sequence[str],
    panel: str = "",
    *,
    tastes: Sequence[str] = (),
    usual: str = "",
    has_reference: bool,
    has_prompt: bool,
    only_fidelity: bool = False,
) -> list[ScorerInfo]:
    """Find the scorers to ask: those named, a panel's, or else all that are ready and have what they need.

    Of these last, only the panel `usual`, where any of it is ready and all that is given is taken. Scorers `taste/NAME`
    are asked beside those named or the panel's, or alone.

    Raises:
        ScorerNotFound: a scorer that nobody knows.
        click.UsageError: both names and a panel, an unknown panel, or a reference or prompt missing or in vain.
    """
    if names and panel:
        raise click.UsageError("want either --scorers or --panel, got both")
    known = {scorer.name: scorer for scorer in caller.scorers()}
    if panel:
        panels = caller.panels()
        if panel not in panels:
            raise click.UsageError(f"no panel {panel!r}; there are: {', '.join(panels) or 'none'}")
        names = panels[panel]
    names = [*names, *tastes]
    if names:
        chosen = [known.get(name) or caller.scorer(name) for name in dict.fromkeys(names)]
    else:
        able = {
            name: one
            for name, one in known.items()
            if one.needs_reference <= has_reference and one.needs_prompt <= has_prompt
            if one.needs_reference or not only_fidelity
        }
        few = [able[name] for name in caller.panels().get(usual, ()) if name in able]
        chosen = _first_of(few, list(able.values()), has_reference=has_reference, has_prompt=has_prompt)
    _check_needs(chosen, has_reference=has_reference, has_prompt=has_prompt)
    return chosen


def _first_of(*groups: list[ScorerInfo], has_reference: bool, has_prompt: bool) -> list[ScorerInfo]:
    """Return those ready of the first group in which they take what is given, else those of the first with any."""
    ready = [[scorer for scorer in group if scorer.ready] for group in groups]
    for group in ready:
        if any(scorer.needs_reference or not has_reference for scorer in group) and any(
            scorer.needs_prompt or not has_prompt for scorer in group
        ):
            return group
    return next(filter(None, (*ready, *groups)), [])


def _check_needs(chosen: Sequence[ScorerInfo], *, has_reference: bool, has_prompt: bool) -> None:
    if not chosen:
        raise click.UsageError("no scorer can use what is given; see `beholder scorers`")
    for scorer in chosen:
        if not scorer.ready:
            raise click.UsageError(f"{scorer.name} is not ready: {scorer.not_ready_reason}")
        if scorer.needs_reference and not has_reference:
            raise click.UsageError(f"{scorer.name} needs --reference")
        if scorer.needs_prompt and not has_prompt:
            raise click.UsageError(f"{scorer.name} needs --prompt")
    names = ", ".join(scorer.name for scorer in chosen)
    if has_reference and not any(scorer.needs_reference for scorer in chosen):
        raise click.UsageError(f"--reference is in vain: not taken by {names}")
    if has_prompt and not any(scorer.needs_prompt for scorer in chosen):
        raise click.UsageError(f"--prompt is in vain: not taken by {names}")
