"""LPIPS (Zhang et al., CVPR 2018) on any trunk: squared differences of unit-length features, weighed and averaged.

A trunk gives the features of some layers; one learned factor for each channel says how much a difference there counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import conv2d, interpolate

State = dict[str, torch.Tensor]
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""How R, G and B of -1 to 1 become what the trunks were trained on."""


class Lpips(torch.nn.Module):
    """A distance of features, 0 for the same image; a subclass says what the features are.

    Args:
        layers: of the trunk.
        heads: the learned factors, for each layer of shape (1, C, 1, 1).
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, layers: Sequence[torch.nn.Module], heads: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)
        self.heads = torch.nn.ParameterList(torch.nn.Parameter(head) for head in heads)
        self.register_buffer("shift", torch.tensor(SHIFT).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).reshape(1, 3, 1, 1))

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features of each layer, from normalised pixels (N, 3, H, W)."""
        raise NotImplementedError

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to distances (N,), 0 or more."""
        return _average(self._differences(candidate, reference))

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the distances, and the layers' weighed differences, each stretched to the image's size, added."""
        layers = list(self._differences(candidate, reference))
        size = candidate.shape[1:3]
        stretched = [interpolate(layer, size=size, mode="bilinear", align_corners=False) for layer in layers]
        return _average(layers), torch.cat(stretched, dim=1).sum(dim=1)

    def _differences(self, candidate: torch.Tensor, reference: torch.Tensor) -> Iterator[torch.Tensor]:
        # One after the other: in one batch of 2 N they would need twice the memory.
        layers = zip(self.features(self._scaled(candidate)), self.features(self._scaled(reference)), strict=True)
        for (a, b), head in zip(layers, self.heads, strict=True):
            yield conv2d((_unit(a) - _unit(b)) ** 2, head)

    def _scaled(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1 - self.shift) / self.scale


def load_weights(path: Path) -> Any:
    """Read a file of torch's; nothing in it is run."""
    return torch.load(path, map_location="cpu", weights_only=True)


def heads_of(state: State) -> list[torch.Tensor]:
    """Take the learned factors out of a file of the authors', in the order of the layers."""
    return [state[f"lin{index}.model.1.weight"] for index in range(sum(name.startswith("lin") for name in state))]


def convolution(state: State, name: str, padding: int, stride: int = 1) -> torch.nn.Conv2d:
    """Build the convolution whose weight and bias a file holds under `name`."""
    weight = state[f"{name}.weight"]
    layer = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride, padding)
    layer.load_state_dict({"weight": weight, "bias": state[f"{name}.bias"]})
    return layer


def _average(layers: Iterable[torch.Tensor]) -> torch.Tensor:
    """Average each layer over its places and add the layers: (N, 1, H, W) each to (N,)."""
    # Averaged axis by axis: a float32 sum over a whole image would lose digits as it grows.
    return torch.stack([layer.mean(dim=3).mean(dim=2).mean(dim=1) for layer in layers]).sum(dim=0)


def _unit(features: torch.Tensor) -> torch.Tensor:
    return features / ((features * features).sum(dim=1, keepdim=True).sqrt() + 1e-10)
