"""The vision transformer of DINO (Caron et al. 2021), up to the class token that its last block leaves."""

import torch
from _lpips import State
from torch.nn.functional import conv2d, gelu

HEAD_CHANNELS = 64
"""Channels of one head of attention, in every size of the family."""


class VisionTransformer(torch.nn.Module):
    """Patches and a class token through blocks of attention; sizes are those of the weights.

    Args:
        state: weights under the names that DINO's authors gave them.
    """

    def __init__(self, state: State) -> None:
        super().__init__()
        self.cls_token, self.pos_embed = (torch.nn.Parameter(state[name]) for name in ("cls_token", "pos_embed"))
        self.patch_weight = torch.nn.Parameter(state["patch_embed.proj.weight"])
        self.patch_bias = torch.nn.Parameter(state["patch_embed.proj.bias"])
        depth = sum(name.endswith(".norm1.weight") for name in state)
        self.blocks = torch.nn.ModuleList(_Block(state, f"blocks.{index}") for index in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised images (N, 3, H, W), of the size that the positions are for, to class tokens (N, D)."""
        patches = conv2d(x, self.patch_weight, self.patch_bias, stride=self.patch_weight.shape[2:])
        tokens = patches.flatten(2).transpose(1, 2)
        # One class token for each image.
        first = self.cls_token + torch.zeros_like(tokens[:, :1])
        tokens = torch.cat([first, tokens], dim=1) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return tokens[:, 0]


class _Block(torch.nn.Module):
    """Attention and a network of two layers, each beside a way around it."""

    def __init__(self, state: State, name: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(state, f"{name}.norm1"), _norm(state, f"{name}.norm2")
        self.qkv, self.proj = _linear(state, f"{name}.attn.qkv"), _linear(state, f"{name}.attn.proj")
        self.fc1, self.fc2 = _linear(state, f"{name}.mlp.fc1"), _linear(state, f"{name}.mlp.fc2")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.proj(self._attend(self.norm1(x)))
        return x + self.fc2(gelu(self.fc1(self.norm2(x))))

    def _attend(self, x: torch.Tensor) -> torch.Tensor:
        queries, keys, values = (
            part.unflatten(2, (-1, HEAD_CHANNELS)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=2)
        )
        weights = (queries @ keys.transpose(2, 3) * HEAD_CHANNELS**-0.5).softmax(dim=3)
        return (weights @ values).transpose(1, 2).flatten(2)


def _linear(state: State, name: str) -> torch.nn.Linear:
    weight = state[f"{name}.weight"]
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": state[f"{name}.bias"]})
    return layer


def _norm(state: State, name: str) -> torch.nn.LayerNorm:
    layer = torch.nn.LayerNorm(len(state[f"{name}.weight"]), eps=1e-6)
    layer.load_state_dict({part: state[f"{name}.{part}"] for part in ("weight", "bias")})
    return layer
