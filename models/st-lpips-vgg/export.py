"""Writes the graph of st-lpips-vgg from its authors' weights."""

import sys
from pathlib import Path

import torch
from torch.nn.functional import max_pool2d, relu

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import export_pair
from _golden import Golden, Peer
from _lpips import Lpips, convolution, heads_of, load_weights
from _st_lpips import Halve, peer_on

STAGES = (
    ("net.slice1.0", "net.slice1.2"),
    ("net.slice2.6", "net.slice2.8"),
    ("net.slice3.12", "net.slice3.14", "net.slice3.16"),
    ("net.slice4.20", "net.slice4.22", "net.slice4.24"),
    ("net.slice5.28", "net.slice5.30", "net.slice5.32"),
)
"""VGG16's convolutions by the size they work at: names in the weights. The last of each stage gives the features."""


class ShiftTolerantLpips(Lpips):
    """Shift-tolerant LPIPS on VGG16: a distance of features, 0 for the same image; sides of at least 18 px.

    Where VGG16 takes the largest of 2 by 2 pixels this trunk does so around each pixel, then blurs and halves.
    """

    def __init__(self, weights: Path) -> None:
        state = load_weights(weights)
        super().__init__([convolution(state, name, padding=1) for stage in STAGES for name in stage], heads_of(state))
        self.halves = torch.nn.ModuleList([Halve(channels) for channels in (64, 128, 256, 512)])

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        layers, halves, taken = iter(self.layers), iter(self.halves), list[torch.Tensor]()
        for stage in STAGES:
            if taken:
                x = next(halves)(max_pool2d(x, kernel_size=2, stride=1))
            for _ in stage:
                x = relu(next(layers)(x))
            taken.append(x)
        return taken


def peer() -> Peer:
    """Return the authors' own module on VGG16."""
    return peer_on("vgg")


GOLDEN = Golden(
    __file__,
    peer="stlpips-pytorch 0.0.2",
    how='stlpips.LPIPS(net="vgg", variant="shift_tolerant")(im2tensor(candidate), im2tensor(reference))',
    tolerance=1e-6,
    reason="float32 sums in another order; distances are up to about 1",
)

if __name__ == "__main__":
    export_pair(ShiftTolerantLpips, GOLDEN, peer, side_px=64, weights=1)
