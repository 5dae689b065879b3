"""Writes the graph of st-lpips-alex from its authors' weights."""

import sys
from pathlib import Path

import torch
from torch.nn.functional import conv2d, max_pool2d, pad, relu

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import export_pair
from _golden import U8, Golden, Peer, do_without

TRUNK = (
    ("net.slice1.0", 3, 64, 11, 2),
    ("net.slice2.5", 64, 192, 5, 2),
    ("net.slice3.9", 192, 384, 3, 1),
    ("net.slice4.11", 384, 256, 3, 1),
    ("net.slice5.13", 256, 256, 3, 1),
)
"""AlexNet's convolutions, all with stride 1: name in the weights, channels in and out, kernel side, padding."""


class Halve(torch.nn.Module):
    """Blur, then keep every second row and column; 2 px of mirrored border, one more than the blur needs."""

    kernel: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (torch.outer(taps, taps) / 16).repeat(channels, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return conv2d(pad(x, (2, 2, 2, 2), mode="reflect"), self.kernel, stride=2, groups=len(self.kernel))


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


class ShiftTolerantLpips(torch.nn.Module):
    """Shift-tolerant LPIPS (Ghildyal & Liu, ECCV 2022) on AlexNet: a distance of features, 0 for the same image.

    Where AlexNet skips pixels this trunk blurs and halves: after the first convolution and before its ReLU, and after
    the maxima in front of the second and third.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state = torch.load(weights, map_location="cpu", weights_only=True)
        self.layers, self.heads = torch.nn.ModuleList(), torch.nn.ParameterList()
        for index, (name, channels_in, channels, kernel, padding) in enumerate(TRUNK):
            layer = torch.nn.Conv2d(channels_in, channels, kernel, padding=padding)
            layer.load_state_dict({part: state[f"{name}.{part}"] for part in ("weight", "bias")})
            self.layers.append(layer)
            self.heads.append(torch.nn.Parameter(state[f"lin{index}.model.1.weight"]))
        self.first = HalvedConvolution(self.layers[0])
        self.halves = torch.nn.ModuleList([Halve(64), Halve(192)])
        self.register_buffer("shift", state["scaling_layer.shift"])
        self.register_buffer("scale", state["scaling_layer.scale"])

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to distances (N,), 0 or more; sides of at least 21 px."""
        # One after the other: in one batch of 2 N they would need twice the memory.
        layers = zip(self._features(candidate), self._features(reference), self.heads, strict=True)
        return torch.stack([_distance(a, b, head) for a, b, head in layers]).sum(dim=0)

    def _features(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        x = (pixels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1 - self.shift) / self.scale
        x1 = relu(self.first(x))
        x2 = relu(self.layers[1](self.halves[0](max_pool2d(x1, kernel_size=3, stride=1))))
        x3 = relu(self.layers[2](self.halves[1](max_pool2d(x2, kernel_size=3, stride=1))))
        x4 = relu(self.layers[3](x3))
        return [x1, x2, x3, x4, relu(self.layers[4](x4))]


def _distance(a: torch.Tensor, b: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """Weigh the squared differences of features of unit length and average them over the image: (N,)."""
    weighted = conv2d((_unit(a) - _unit(b)) ** 2, head)
    # Averaged axis by axis: a float32 sum over a whole image would lose digits as it grows.
    return weighted.mean(dim=3).mean(dim=2).mean(dim=1)


def _unit(features: torch.Tensor) -> torch.Tensor:
    return features / ((features * features).sum(dim=1, keepdim=True).sqrt() + 1e-10)


def peer() -> Peer:
    """Return the authors' own module, in float32 as they run it."""
    do_without("torchvision", "torchvision.models", "torchsummary", "IPython")
    from stlpips_pytorch import stlpips, utils

    theirs = stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)

    def distance(candidate: U8, reference: U8) -> float:
        with torch.inference_mode():
            return float(theirs(utils.im2tensor(candidate), utils.im2tensor(reference)))

    return distance


GOLDEN = Golden(
    __file__,
    peer="stlpips-pytorch 0.0.2",
    how='stlpips.LPIPS(net="alex", variant="shift_tolerant")(im2tensor(candidate), im2tensor(reference))',
    tolerance=1e-6,
    reason="float32 sums in another order; distances are up to about 1",
)

if __name__ == "__main__":
    export_pair(ShiftTolerantLpips, GOLDEN, peer, side_px=64, weights=1)
