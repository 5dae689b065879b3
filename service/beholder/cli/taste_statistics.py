"""`beholder taste background fit` and `beholder taste prior fit`: what tastes start from, of the operator's own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from beholder.cli.images import find_images
from beholder.cli.report import printable
from beholder.cli.screen import Screen
from beholder.config import MIB, Config, config_from
from beholder.errors import ConfigError
from beholder.inputs.image import Limits
from beholder.scoring.catalog import Catalog, load_catalog, nearest, shipped_models
from beholder.scoring.spec import EncoderSpec
from beholder.taste.background import Background, read_background
from beholder.taste.eye import BACKGROUND_FILE
from beholder.taste.prior import read_prior
from beholder.taste.ratings import read_ratings
from beholder.taste.statistics import Embed, Progress, background_of, prior_of

TIMEOUT_S = 600.0
"""For a few images at a time, however slow the machine."""
MAX_TOLD = 20
"""So many problems are told one by one."""
_Folder = click.Path(exists=True, file_okay=False, path_type=Path)
_File = click.Path(exists=True, dir_okay=False, path_type=Path)
_NewFile = click.Path(dir_okay=False, path_type=Path)


class Complaints:
    """Problems on stderr: the first few one by one, then how many more."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.count = 0

    def tell(self, problem: str) -> None:
        """Take in a problem."""
        self.count += 1
        if self.count <= MAX_TOLD:
            self._screen.complain(printable(problem))

    def end(self) -> int:
        """Say how many were not told, and return the exit code."""
        if self.count > MAX_TOLD:
            self._screen.complain(f"and {self.count - MAX_TOLD:,} more problems")
        return 1 if self.count else 0


def fit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what both commands ask for: --images, --encoder, --output and --version."""
    for option in (
        click.option("--version", type=click.IntRange(1, 2**31 - 1), metavar="NUMBER",
                     help="Of the file.  [default: one more than the file has that is there, else 1]"),
        click.option("--output", "-o", type=_NewFile, required=True, metavar="FILE", help="The file to write."),
        click.option("--encoder", "-e", required=True, metavar="NAME", help="The encoder that tastes see through."),
        click.option("--images", "-i", "folder", type=_Folder, required=True, metavar="DIR",
                     help="The folder of images."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group()
def background() -> None:
    """What an encoder says of images in general."""


@click.group()
def prior() -> None:
    """What most people like, from which tastes depart."""


@background.command("fit")
@fit_options
@click.pass_obj
def fit_background(environ: Mapping[str, str], folder: Path, encoder: str, output: Path, version: int | None) -> int:
    """Fit the background of an encoder to a folder of images.

    100 images like those that will be judged will do, 1000 are better. Tastes by an encoder need one; those that were
    fitted with another have to be moved.

    The exit code is 1 where any image could not be used; the others count.

    \b
    beholder taste background fit --encoder my-eye --images photos/ -o my-eye.npz
    beholder serve --taste-backgrounds my-eye.npz
    """
    config = config_from(environ)
    spec = _encoder(_catalog(config), encoder)
    version = _version(version, output, read_background)
    images = [image.path for image in find_images([str(folder)])]
    limits = Limits(int(config.max_image_mb * MIB), int(config.max_image_mpx * 1e6))
    with _embedding(config, spec) as embed, Screen(len(images), "embedding") as screen:
        complaints = Complaints(screen)
        found = background_of(
            images,
            embed,
            limits,
            encoder_digest=spec.graph.file.sha256,
            version=version,
            progress=Progress(complaints.tell, screen.step),
        )
        found.write(output)
        screen.write(printable(f"{output}: version {version}, {found.dimensions} directions, digest {found.digest}"))
        return complaints.end()


@prior.command("fit")
@click.option("--ratings", "-r", "ratings", type=_File, required=True, metavar="FILE",
              help="CSV: image,rating[,person] or better,worse[,tie][,person].")  # fmt: skip
@click.option("--background", "-b", "background_file", type=_File, metavar="FILE",
              help="The background that tastes will be learned with.  [default: that beside the encoder]")  # fmt: skip
@fit_options
@click.pass_obj
def fit_prior(
    environ: Mapping[str, str],
    ratings: Path,
    background_file: Path | None,
    folder: Path,
    encoder: str,
    output: Path,
    version: int | None,
) -> int:
    """Fit what most people like to ratings or pairs, and print how well it foretells.

    The first line of the file names its columns. Images are paths in the folder; a person's ratings are taken on that
    person's own scale. Only people who said something of several images tell anything.

    The exit code is 1 where any line or image could not be used; the others count.

    \b
    beholder taste prior fit -r ratings.csv -i photos/ -e my-eye -o prior.npz
    beholder serve --taste-priors prior.npz
    """
    config = config_from(environ)
    spec = _encoder(_catalog(config), encoder)
    known = _background(spec, background_file)
    version = _version(version, output, read_prior)
    told = read_ratings(ratings, folder)
    with _embedding(config, spec) as embed, Screen(len(told.images), "embedding") as screen:
        complaints = Complaints(screen)
        for problem in told.problems:
            complaints.tell(f"{ratings}: {problem}")
        progress = Progress(complaints.tell, screen.step)
        found = prior_of(told, folder, embed, known, version=version, progress=progress)
        found.write(output)
        screen.write(f"{found.card}\n{printable(str(output))}: version {version}")
        return complaints.end()


def _catalog(config: Config) -> Catalog:
    return load_catalog([Path(folder) for folder in config.models] or [shipped_models()])


def _encoder(catalog: Catalog, name: str) -> EncoderSpec:
    if name not in catalog.encoders:
        raise click.UsageError(f"--encoder: no encoder {name!r}{nearest(name, catalog.encoders)}")
    spec = catalog.encoders[name]
    if not spec.is_exported("cpu"):
        raise ConfigError(f"{name} was never exported: run `beholder export {name}`")
    return spec


def _background(spec: EncoderSpec, file: Path | None) -> Background:
    path = file or spec.folder / BACKGROUND_FILE
    if not path.exists():
        make = f"beholder taste background fit --encoder {spec.name} --images DIR --output FILE"
        raise ConfigError(f"{spec.name} has no background: make one with `{make}`, and name it with --background")
    found = read_background(path)
    if found.encoder_digest != spec.graph.file.sha256:
        want = f"that of {spec.name} is {spec.graph.file.sha256}"
        raise ConfigError(f"{path}: is of an encoder's graph of digest {found.encoder_digest}, {want}; fit it again")
    return found


def _version(wanted: int | None, output: Path, read: Callable[[Path], Any]) -> int:
    """Return the version wanted, else the one after that of the file; a file of another kind is not written over."""
    following = int(read(output).version) + 1 if output.exists() else 1
    return wanted or following


@contextmanager
def _embedding(config: Config, spec: EncoderSpec) -> Iterator[Embed]:
    """Load an encoder, and of the scorers only the smallest, for an engine without any doesn't start."""
    # Here, so that commands which only ask a server start without loading one.
    from beholder.embedded import Embedded

    there = [one for one in _catalog(config).scorers.values() if not one.encoder and one.is_exported("cpu")]
    smallest = sorted(there, key=lambda one: one.graph.file.path.stat().st_size)[:1]
    config = replace(config, scorers=tuple(one.name for one in smallest), taste_store="", cache_mb=0)
    with Console(stderr=True).status("loading the encoder"):
        embedded = Embedded(config, encoders=[spec.name], timeout_s=TIMEOUT_S)
    with embedded:
        yield partial(embedded.embed, encoder=spec.name)
