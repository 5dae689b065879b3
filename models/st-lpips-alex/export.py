"""Writes the graph of st-lpips-alex from its authors' weights."""

import sys
from pathlib import Path

import torch
from torch.nn.functional import conv2d, max_pool2d, relu

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import export_pair
from _golden import Golden, Peer
from _lpips import Lpips, convolution, heads_of, load_weights
from _st_lpips import Halve, peer_on

TRUNK = (
    ("net.slice1.0", 2),
    ("net.slice2.5", 2),
    ("net.slice3.9", 1),
    ("net.slice4.11", 1),
    ("net.slice5.13", 1),
)
"""AlexNet's convolutions, all with stride 1: name in the weights, padding."""


class HalvedConvolution(torch.nn.Module):
    """A convolution with stride 1 and the `Halve` after it, merged into one convolution with stride 2.

    It never holds the full-size output, the largest tensor of the net by far. Merging is exact inside. The first row of
    a mirrored border equals the second, as the blur is symmetric; the last row and column are computed the long way, on
    strips that end with the image and start at an even pixel.
    """

    STRIP_PX = 14

    def __init__(self, layer: torch.nn.Conv2d) -> None:
        super().__init__()
        self.layer, self.halve = layer, Halve(layer.out_channels)
        kernels = layer.weight.detach().double().flatten(0, 1)[:, None]
        merged = conv2d(kernels, self.halve.kernel[:1].double(), padding=2)
        self.weight = torch.nn.Parameter(merged.float().unflatten(0, layer.weight.shape[:2]).squeeze(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = conv2d(x, self.weight, self.layer.bias, stride=2, padding=self.layer.padding)
        inside = torch.cat([inside[:, :, :1], inside], dim=2)
        inside = torch.cat([inside[..., :1], inside], dim=3)
        height, width = x.shape[2:]
        bottom = self.halve(self.layer(x[:, :, -(self.STRIP_PX + height % 2) :]))[:, :, -1:]
        right = self.halve(self.layer(x[..., -(self.STRIP_PX + width % 2) :]))[..., -1:]
        return torch.cat([torch.cat([inside, bottom[..., :-1]], dim=2), right], dim=3)


class ShiftTolerantLpips(Lpips):
    """Shift-tolerant LPIPS on AlexNet: a distance of features, 0 for the same image; sides of at least 21 px.

    Where AlexNet skips pixels this trunk blurs and halves: after the first convolution and before its ReLU, and after
    the maxima in front of the second and third.
    """

    def __init__(self, weights: Path) -> None:
        state = load_weights(weights)
        super().__init__([convolution(state, name, padding) for name, padding in TRUNK], heads_of(state))
        self.first = HalvedConvolution(self.layers[0])
        self.halves = torch.nn.ModuleList([Halve(64), Halve(192)])

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        x1 = relu(self.first(x))
        x2 = relu(self.layers[1](self.halves[0](max_pool2d(x1, kernel_size=3, stride=1))))
        x3 = relu(self.layers[2](self.halves[1](max_pool2d(x2, kernel_size=3, stride=1))))
        x4 = relu(self.layers[3](x3))
        return [x1, x2, x3, x4, relu(self.layers[4](x4))]


def peer() -> Peer:
    """Return the authors' own module on AlexNet."""
    return peer_on("alex")


GOLDEN = Golden(
    __file__,
    peer="stlpips-pytorch 0.0.2",
    how='stlpips.LPIPS(net="alex", variant="shift_tolerant")(im2tensor(candidate), im2tensor(reference))',
    tolerance=1e-6,
    reason="float32 sums in another order; distances are up to about 1",
)

if __name__ == "__main__":
    export_pair(ShiftTolerantLpips, GOLDEN, peer, side_px=64, weights=1)
