"""The background that tastes are measured with: the one that an encoder ships with, or else one fitted as those are."""

from pathlib import Path

import numpy as np

from beholder.inputs.invisible import CHANGES, CORNERS
from beholder.taste.background import NUISANCE_WEIGHT, Background, fit_background, read_background
from bench.taste.eye import CATALOG, Eye


def paths_of(data: Path) -> list[Path]:
    """Return 101 photographs and 20 images by generators."""
    return sorted((data / "pristine").rglob("*.webp")) + sorted((data / "simulacra_demo20").glob("*/*.png"))


class Backgrounds:
    """The backgrounds of one encoder."""

    def __init__(self, name: str, digest: str, eye: Eye, data: Path) -> None:
        self._shipped, self._digest = CATALOG.encoders[name].folder / "background.npz", digest
        paths = paths_of(data)
        plain = eye.see("background", paths)
        parts = [eye.see(f"background {corner}", paths, change) for corner, change in CORNERS.items()]
        self._embeddings = np.concatenate([plain, *parts])
        self._contents = np.tile(np.arange(len(paths)), 1 + len(parts))
        seen = [eye.see(f"background {name}", paths, change) for name, change in CHANGES.items()]
        self._nuisances = np.concatenate([changed - plain for changed in seen])

    @property
    def is_shipped(self) -> bool:
        """Whether the encoder's folder has one of its graph."""
        return self._shipped.exists() and read_background(self._shipped).encoder_digest == self._digest

    def own(self) -> Background:
        """Return the one that the product uses."""
        return read_background(self._shipped) if self.is_shipped else self._fit()

    def blind(self, weight: float) -> Background:
        """Return one fitted here whose metric has the nuisance covariance so many times."""
        return self._fit(weight)

    def _fit(self, nuisance_weight: float = NUISANCE_WEIGHT) -> Background:
        return fit_background(
            self._embeddings,
            self._nuisances,
            encoder_digest=self._digest,
            contents=self._contents,
            nuisance_weight=nuisance_weight,
        )
