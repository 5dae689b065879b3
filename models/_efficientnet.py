"""EfficientNet-Lite0 (Tan and Le 2019; ReLU6 and no squeeze-and-excitation) by the names of its published weights."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import Conv2d, Module, ModuleList
from torch.nn.functional import pad

STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""(blocks, stride of the first); kernels and widths are those of the weights."""
NORM_EPSILON = 1e-3
"""TensorFlow's in this network, where torch's own default is 1e-5."""

State = Mapping[str, Tensor]


def convolution(state: State, name: str, norm: str, stride: int = 1) -> Conv2d:
    """Build a convolution with its batch normalisation folded in, by float64; stride 2 pads as TensorFlow does."""
    scale = state[f"{norm}.weight"].double() / (state[f"{norm}.running_var"].double() + NORM_EPSILON).sqrt()
    kernel = state[f"{name}.weight"].double() * scale[:, None, None, None]
    padding = kernel.shape[-1] // 2
    if stride == 2:
        kernel = pad(kernel, (1, 0, 1, 0))
    groups = len(kernel) if kernel.shape[1] == 1 else 1
    inward, outward, side = kernel.shape[1] * groups, len(kernel), kernel.shape[-1]
    made = Conv2d(inward, outward, side, stride=stride, padding=padding, groups=groups)
    made.weight.data = kernel.float()
    made.bias.data = (state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * scale).float()
    return made.requires_grad_(False)


class Block(Module):
    """An inverted residual block: widen (but in the first), filter each channel, narrow, and add what it was given."""

    def __init__(self, state: State, index: int, stride: int, adds: bool) -> None:
        super().__init__()
        name = f"_blocks.{index}"
        wide = f"{name}._expand_conv"
        self.widen = convolution(state, wide, f"{name}._bn0") if f"{wide}.weight" in state else None
        self.filter = convolution(state, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.narrow = convolution(state, f"{name}._project_conv", f"{name}._bn2")
        self.adds = adds

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the filter finds, and the output."""
        wide = values if self.widen is None else self.widen(values).clamp(0, 6)
        filtered = self.filter(wide).clamp(0, 6)
        narrow = self.narrow(filtered)
        return filtered, values + narrow if self.adds else narrow


def stages(state: State, count: int) -> ModuleList:
    """Build the first stages, a list of blocks each."""
    made, index = ModuleList(), 0
    for blocks, stride in STAGES[:count]:
        strides = [stride] + [1] * (blocks - 1)
        made.append(ModuleList(Block(state, index + place, strides[place], adds=place > 0) for place in range(blocks)))
        index += blocks
    return made


def normalised(pixels: Tensor, like: Conv2d) -> Tensor:
    """Turn uint8 (N, H, W, 3) into what the network takes, in the type of a layer's weights: (N, 3, H, W)."""
    return (pixels.permute(0, 3, 1, 2).to(like.weight.dtype) - 127) / 128
