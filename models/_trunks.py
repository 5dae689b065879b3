"""The convolutions of AlexNet, VGG16 and SqueezeNet 1.1, up to the last features that LPIPS and DISTS compare.

Weights are files of torchvision's, whose names for the layers are used: `features.` and the place among the layers.
"""

from collections.abc import Callable, Mapping

import torch
from _lpips import State, convolution
from torch.nn import MaxPool2d, Module, ReLU, Sequential

Shapes = Mapping[str, tuple[int, int, int]]
"""Name of a convolution -> channels out, channels in, side of its kernel."""

ALEXNET: Shapes = {
    "features.0": (64, 3, 11),
    "features.3": (192, 64, 5),
    "features.6": (384, 192, 3),
    "features.8": (256, 384, 3),
    "features.10": (256, 256, 3),
}
VGG16_STAGES: tuple[Shapes, ...] = (
    {"features.0": (64, 3, 3), "features.2": (64, 64, 3)},
    {"features.5": (128, 64, 3), "features.7": (128, 128, 3)},
    {"features.10": (256, 128, 3), "features.12": (256, 256, 3), "features.14": (256, 256, 3)},
    {"features.17": (512, 256, 3), "features.19": (512, 512, 3), "features.21": (512, 512, 3)},
    {"features.24": (512, 512, 3), "features.26": (512, 512, 3), "features.28": (512, 512, 3)},
)
VGG16: Shapes = {name: shape for stage in VGG16_STAGES for name, shape in stage.items()}
FIRES = {
    "features.3": (128, 16, 64),
    "features.4": (128, 16, 128),
    "features.6": (256, 32, 128),
    "features.7": (256, 32, 256),
    "features.9": (384, 48, 256),
    "features.10": (384, 48, 384),
    "features.11": (512, 64, 384),
    "features.12": (512, 64, 512),
}
"""Name of a fire module of SqueezeNet -> channels out, in the middle, in."""
SQUEEZENET: Shapes = {"features.0": (64, 3, 3)} | {
    f"{name}.{part}": shape
    for name, (out, middle, into) in FIRES.items()
    for part, shape in (
        ("squeeze", (middle, into, 1)),
        ("expand1x1", (out // 2, middle, 1)),
        ("expand3x3", (out // 2, middle, 3)),
    )
}


def alexnet(state: State) -> list[Module]:
    """Return the five stages of AlexNet."""
    first, second, *rest = ALEXNET
    stages: list[Module] = [
        Sequential(convolution(state, first, padding=2, stride=4), ReLU()),
        Sequential(MaxPool2d(3, stride=2), convolution(state, second, padding=2), ReLU()),
    ]
    for name in rest:
        halve = [MaxPool2d(3, stride=2)] if name == rest[0] else []
        stages.append(Sequential(*halve, convolution(state, name, padding=1), ReLU()))
    return stages


def vgg16(state: State, halve: Callable[[int], Module] | None = None) -> list[Module]:
    """Return the five stages of VGG16.

    Args:
        halve: makes what stands between stages, for a number of channels; None is the maximum of 2 by 2.
    """
    stages = list[Module]()
    for shapes in VGG16_STAGES:
        layers = list[Module]()
        if stages:
            channels = next(iter(shapes.values()))[1]
            layers.append(halve(channels) if halve else MaxPool2d(2))
        for name in shapes:
            layers += [convolution(state, name, padding=1), ReLU()]
        stages.append(Sequential(*layers))
    return stages


def squeezenet(state: State) -> list[Module]:
    """Return the seven stages of SqueezeNet 1.1."""
    first = Sequential(convolution(state, "features.0", padding=0, stride=2), ReLU())
    fires = [Fire(state, name) for name in FIRES]
    halved = [Sequential(MaxPool2d(3, stride=2, ceil_mode=True), *some) for some in (fires[:2], fires[2:4], fires[4:5])]
    return [first, *halved, *fires[5:]]


class Fire(Module):
    """A narrow convolution, then two wide ones side by side, of 1 by 1 and of 3 by 3."""

    def __init__(self, state: State, name: str) -> None:
        super().__init__()
        self.squeeze = convolution(state, f"{name}.squeeze", padding=0)
        self.expand1x1 = convolution(state, f"{name}.expand1x1", padding=0)
        self.expand3x3 = convolution(state, f"{name}.expand3x3", padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1))
