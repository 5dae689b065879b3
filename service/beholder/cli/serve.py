"""`beholder serve`: every setting is a flag, made from the fields of `Config`."""

from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from typing import Any

import click

from beholder.config import PREFIX, Config, config_from


def _flags(function: Callable[..., None]) -> Callable[..., None]:
    for spec in reversed(fields(Config)):
        function = _flag(spec)(function)
    return function


def _flag(spec: Field[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    choices = spec.metadata.get("choices")
    shown = ",".join(map(str, spec.default)) if isinstance(spec.default, tuple) else spec.default
    default = "" if shown == "" else f"; default {shown}"
    return click.option(
        f"--{spec.name.replace('_', '-')}",
        spec.name,
        type=click.Choice(choices) if choices else str,
        metavar=None if choices else "TEXT" if isinstance(spec.default, str | tuple) else "NUMBER",
        help=f"{spec.metadata['help']}  [{PREFIX}{spec.name.upper()}{default}]",
    )


@click.command()
@_flags
@click.pass_obj
def serve(environ: Mapping[str, str], /, **flags: str | None) -> None:
    """Serve until Ctrl-C or SIGTERM.

    What is in flight is finished first. A flag wins over its environment variable.
    """
    given = {PREFIX + name.upper(): text for name, text in flags.items() if text is not None}
    config = config_from({**environ, **given})
    # Here, so that commands which only ask a server start without loading one.
    from beholder import several

    several.serve(config)
