"""Writes the graph of lpips-vgg from its authors' heads and torchvision's VGG16."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _golden import Peer
from _plain_lpips import PlainLpips, golden_on, peer_on, random_files
from _trunks import VGG16, vgg16
from _untried import export_untried

CHANNELS = (64, 128, 256, 512, 512)
"""Of the features that are compared."""


def make(heads: Path, trunk: Path) -> PlainLpips:
    """Build the module from the two files of weights."""
    return PlainLpips(heads, trunk, vgg16)


def random_weights(folder: Path) -> list[Path]:
    """Write files as `make` reads them, of random numbers."""
    return random_files(folder, VGG16, CHANNELS)


def peer_with(files: Sequence[Path]) -> Peer:
    """Return the authors' own module, with the weights of such files."""
    return peer_on("vgg", files)


if __name__ == "__main__":
    export_untried(make, golden_on("vgg", __file__), peer_with, random_weights, side_px=64, weights=2)
