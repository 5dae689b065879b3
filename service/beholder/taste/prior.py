"""What most people like, from which the taste of one departs; an operator's file of it.

A prior belongs to one background, whose projected space its weights are in, and so to one graph of one encoder.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beholder.errors import ConfigError
from beholder.taste.background import Background
from beholder.taste.npz import read_npz, write_npz

F64 = NDArray[np.float64]
FORMAT = 1
MAX_CARD_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What most people like: where the latent opinion starts before anything is said.

    Attributes:
        weights: (K,), in the projected space of the background.
        bias: the latent opinion of the background's middle.
        version: of these weights, chosen by who fitted them.
        encoder_digest: the SHA-256 of the encoder's graph.
        background_digest: `Background.digest` of the background that the weights belong to.
        card: whom and what it was learned from, and how well it foretells others; text for people.
    """

    weights: F64
    bias: float = 0.0
    version: int = 1
    encoder_digest: str = ""
    background_digest: str = ""
    card: str = ""

    def write(self, path: Path) -> None:
        """Write a file that `read_prior` reads.

        Raises:
            ConfigError: it can't be written.
        """
        write_npz(path, FORMAT, {name: getattr(self, name) for name in self.__slots__})

    def check_fits(self, background: Background, where: str = "the prior") -> None:
        """Refuse the prior of another encoder or background.

        Args:
            where: what the error calls the prior: its file.

        Raises:
            ConfigError: names both digests, and what to do.
        """
        for what, own, found in (
            ("encoder", self.encoder_digest, background.encoder_digest),
            ("background", self.background_digest, background.digest),
        ):
            if own != found:
                again = "fit it again: beholder taste prior fit"
                raise ConfigError(
                    f"{where}: was fitted with the {what} {own or 'unknown'}, this one is {found}; {again}"
                )
        if self.weights.shape != (background.dimensions,):
            want = f"expected ({background.dimensions},)"
            raise ConfigError(f"{where}: weights has the shape {self.weights.shape}, {want}")


def read_prior(path: Path) -> Prior:
    """Read a file that `Prior.write` wrote.

    Raises:
        ConfigError: it is absent, of another format, or not what a prior is; the message names it.
    """
    arrays = read_npz(path, "a prior", FORMAT)
    try:
        prior = Prior(
            np.asarray(arrays["weights"], dtype=np.float64),
            float(arrays["bias"]),
            int(arrays["version"]),
            str(arrays["encoder_digest"]),
            str(arrays["background_digest"]),
            str(arrays["card"]),
        )
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{path}: can't be read as a prior: {error}") from error
    if prior.weights.ndim != 1 or not prior.weights.size or not np.isfinite([*prior.weights, prior.bias]).all():
        raise ConfigError(f"{path}: weights has the shape {prior.weights.shape}, expected finite numbers of (K,)")
    if len(prior.card) > MAX_CARD_CHARACTERS:
        raise ConfigError(f"{path}: the card has {len(prior.card):,} characters; the limit is {MAX_CARD_CHARACTERS:,}")
    return prior
