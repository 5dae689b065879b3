"""Writes the graph of dists from its authors' factors and torchvision's VGG16."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import conv2d

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _golden import U8, Golden, Peer, to_unit
from _lpips import load_weights
from _trunks import VGG16, vgg16
from _untried import export_untried, import_torchvision, random_convolutions, random_state, save_states

CHANNELS = (3, 64, 128, 256, 512, 512)
"""Of the image and of the features that are compared."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
C1 = C2 = 1e-6


class SmoothHalve(torch.nn.Module):
    """The root of the weighed mean of squares around every second pixel, with a Hann window of 3 by 3 (L2 pooling)."""

    kernel: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = np.hanning(5)[1:-1]
        kernel = torch.tensor(np.outer(taps, taps) / taps.sum() ** 2, dtype=torch.float32)
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (conv2d(x * x, self.kernel, stride=2, padding=1, groups=len(self.kernel)) + 1e-12).sqrt()


class Dists(torch.nn.Module):
    """Deep image structure and texture similarity (Ding, Ma, Wang, Simoncelli 2020): 0 for the same image.

    With d = x - y the two similarities of a channel are

        texture     (2 mx my + C1) / (mx² + my² + C1)  =  1 - (mx - my)² / (mx² + my² + C1)
        structure   (2 sxy + C2) / (sxx + syy + C2)    =  1 - sdd / (sxx + syy + C2)

    and their factors add up to 1, so the distance is what the right-hand forms take away: exactly 0 for equal images.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, factors: Path, trunk: Path) -> None:
        super().__init__()
        self.stages = torch.nn.ModuleList(vgg16(load_weights(trunk), SmoothHalve))
        state = load_weights(factors)
        total = state["alpha"].sum() + state["beta"].sum()
        self.texture, self.structure = (
            torch.nn.ParameterList(torch.nn.Parameter(part) for part in torch.split(state[name] / total, CHANNELS, 1))
            for name in ("alpha", "beta")
        )
        self.register_buffer("shift", torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(DEVIATION).reshape(1, 3, 1, 1))

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to distances (N,), 0 or more."""
        pairs = zip(self._features(candidate), self._features(reference), self.texture, self.structure, strict=True)
        return torch.stack([_distance(*parts) for parts in pairs]).sum(dim=0)

    def _features(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        image = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
        taken = [image]
        x = (image - self.shift) / self.scale
        for stage in self.stages:
            x = stage(x)
            taken.append(x)
        return taken


def _distance(x: torch.Tensor, y: torch.Tensor, texture: torch.Tensor, structure: torch.Tensor) -> torch.Tensor:
    """Compare the features of one stage: (N, C, H, W) each to (N,)."""
    mx, my = _mean(x), _mean(y)
    dx, dy = x - mx, y - my
    means = (mx - my) ** 2 / (mx * mx + my * my + C1)
    spreads = _mean((dx - dy) ** 2) / (_mean(dx * dx) + _mean(dy * dy) + C2)
    return (texture * means + structure * spreads).sum(dim=(1, 2, 3))


def _mean(x: torch.Tensor) -> torch.Tensor:
    """Average over places, axis by axis: a float32 sum over a whole image would lose digits as it grows."""
    return x.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)


def random_weights(folder: Path) -> list[Path]:
    """Write files as `Dists` reads them, of random numbers; no factor is below 0, as the authors' are."""
    factors = random_state({name: (1, sum(CHANNELS), 1, 1) for name in ("alpha", "beta")}, 1)
    return save_states(folder, [{name: part.abs() for name, part in factors.items()}, random_convolutions(VGG16, 2)])


def peer_with(files: Sequence[Path]) -> Peer:
    """Return the authors' own module on torchvision's layers, with weights from files, in float32 as they run it."""
    import_torchvision()
    from DISTS_pytorch import DISTS
    from torchvision import models

    build, trunk, factors = models.vgg16, load_weights(files[1]), load_weights(files[0])
    models.vgg16 = lambda pretrained: build(weights=None)  # they ask for weights that are not here
    theirs = DISTS(load_weights=False)
    models.vgg16 = build
    theirs.alpha.data, theirs.beta.data = factors["alpha"], factors["beta"]
    # They cut the layers into stages and keep each layer's place: `stage2.5.weight` is `features.5.weight`.
    named = {f"features.{name.partition('.')[2]}": parameter for name, parameter in theirs.named_parameters()}
    for name, value in trunk.items():
        named[name].data = value

    def distance(candidate: U8, reference: U8) -> float:
        with torch.inference_mode():
            return float(theirs(to_unit(candidate).float(), to_unit(reference).float()))

    return distance


GOLDEN = Golden(
    __file__,
    peer="DISTS_pytorch 0.1 on torchvision 0.28.0",
    how="DISTS()(candidate, reference) with RGB in [0, 1], factors and trunk of random numbers",
    tolerance=1e-6,
    reason="float32: the authors take a variance as a difference, which loses digits",
)

if __name__ == "__main__":
    export_untried(Dists, GOLDEN, peer_with, random_weights, side_px=64, weights=2)
