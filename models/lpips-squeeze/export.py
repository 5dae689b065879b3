"""Writes the graph of lpips-squeeze from its authors' heads and torchvision's SqueezeNet 1.1."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _golden import Peer
from _plain_lpips import PlainLpips, golden_on, peer_on, random_files
from _trunks import SQUEEZENET, squeezenet
from _untried import export_untried

CHANNELS = (64, 128, 256, 384, 384, 512, 512)
"""Of the features that are compared."""


def make(heads: Path, trunk: Path) -> PlainLpips:
    """Build the module from the two files of weights."""
    return PlainLpips(heads, trunk, squeezenet)


def random_weights(folder: Path) -> list[Path]:
    """Write files as `make` reads them, of random numbers."""
    return random_files(folder, SQUEEZENET, CHANNELS)


def peer_with(files: Sequence[Path]) -> Peer:
    """Return the authors' own module, with the weights of such files."""
    return peer_on("squeeze", files)


if __name__ == "__main__":
    export_untried(make, golden_on("squeeze", __file__), peer_with, random_weights, side_px=64, weights=2)
