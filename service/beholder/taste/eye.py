"""The encoders that tastes may use: each with the statistics of its embeddings, and with what most people like."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from beholder.errors import ConfigError
from beholder.scoring.asked import Graph
from beholder.scoring.catalog import Catalog
from beholder.scoring.load import Loaded
from beholder.taste.background import Background, read_background
from beholder.taste.prior import Prior, read_prior

BACKGROUND_FILE = "background.npz"


@dataclass(frozen=True, eq=False)
class Eye:
    """An encoder through which tastes see.

    Attributes:
        graph: loaded.
        digest: SHA-256 of its file, by which a taste knows it again, whatever variant a device runs.
        prior: what most people like; None where the operator named none.
    """

    graph: Graph
    digest: str
    background: Background
    prior: Prior | None = None

    @property
    def name(self) -> str:
        """The encoder's."""
        return self.graph.name


def encoders_with_background(catalog: Catalog, files: Collection[str]) -> list[str]:
    """Return the encoders that a background was made for: in their own folder, or in one of the files."""
    named = {read_background(Path(file)).encoder_digest for file in files}
    return [
        name
        for name, spec in catalog.encoders.items()
        if (spec.folder / BACKGROUND_FILE).exists() or spec.graph.file.sha256 in named
    ]


def load_eyes(catalog: Catalog, loaded: Loaded, backgrounds: Sequence[str], priors: Sequence[str]) -> dict[str, Eye]:
    """Return name -> eye, of every loaded encoder that has a background.

    Args:
        backgrounds: files that go before those in the encoders' folders, each of the encoder whose digest it names.
        priors: files, each of the encoder and background whose digests it names.

    Raises:
        ConfigError: a file can't be read, or is of no encoder (or background) that is loaded.
    """
    named = {background.encoder_digest: background for background in map(read_background, map(Path, backgrounds))}
    eyes = dict[str, Eye]()
    for name in catalog.encoders.keys() & loaded.graphs.keys():
        digest = catalog.encoders[name].graph.file.sha256
        beside = catalog.encoders[name].folder / BACKGROUND_FILE
        background = named.pop(digest, None) or (read_background(beside) if beside.exists() else None)
        if background and background.encoder_digest == digest:
            eyes[digest] = Eye(loaded.graphs[name], digest, background)
    if named:
        raise ConfigError(f"taste_backgrounds: no encoder served here has a graph of digest {min(named)}")
    for file in priors:
        prior = read_prior(Path(file))
        if prior.encoder_digest not in eyes:
            raise ConfigError(f"{file}: no encoder that tastes use here has a graph of digest {prior.encoder_digest}")
        prior.check_fits(eyes[prior.encoder_digest].background, file)
        eyes[prior.encoder_digest] = replace(eyes[prior.encoder_digest], prior=prior)
    return {eye.name: eye for eye in eyes.values()}
