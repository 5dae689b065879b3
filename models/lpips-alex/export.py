"""Writes the graph of lpips-alex from its authors' heads and torchvision's AlexNet."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _golden import Peer
from _plain_lpips import PlainLpips, golden_on, peer_on, random_files
from _trunks import ALEXNET, alexnet
from _untried import export_untried

CHANNELS = (64, 192, 384, 256, 256)
"""Of the features that are compared."""


def make(heads: Path, trunk: Path) -> PlainLpips:
    """Build the module from the two files of weights."""
    return PlainLpips(heads, trunk, alexnet)


def random_weights(folder: Path) -> list[Path]:
    """Write files as `make` reads them, of random numbers."""
    return random_files(folder, ALEXNET, CHANNELS)


def peer_with(files: Sequence[Path]) -> Peer:
    """Return the authors' own module, with the weights of such files."""
    return peer_on("alex", files)


if __name__ == "__main__":
    export_untried(make, golden_on("alex", __file__), peer_with, random_weights, side_px=64, weights=2)
