"""Writes the graph of dreamsim-dino from DINO's ViT-B/16 and the low-rank changes that DreamSim's authors trained."""

import json
import re
import struct
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _golden import U8, Golden, Peer, do_without
from _lpips import State, load_weights
from _untried import export_untried, import_torchvision, random_state, save_states
from _vit import VisionTransformer

SIDE_PX, PATCH_PX = 224, 16
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ADAPTER = "dino_vitb16_single_lora"
"""Where the low-rank changes lie in the authors' archive."""
CHANGE = re.compile(r"(?:^|\.)(blocks\.\d+\.attn\.qkv)\.lora_([AB])\.(?:default\.)?weight")


class DreamsimDino(torch.nn.Module):
    """DreamSim (Fu, Tamir et al. 2023) with one branch, DINO ViT-B/16: the cosine distance of two class tokens.

    Their mean over the channels is taken away first, as `normalize_embeds` does. For unit vectors 1 - u·v is half the
    square of u - v, which is exactly 0 for equal images and keeps the digits of small distances.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, trunk: Path, archive: Path) -> None:
        super().__init__()
        self.trunk = VisionTransformer(with_changes(load_weights(trunk), *read_adapter(archive)))
        self.register_buffer("shift", torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(DEVIATION).reshape(1, 3, 1, 1))

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, 224, 224, 3) pairs to distances (N,), 0 to 2."""
        difference = self._embed(candidate) - self._embed(reference)
        return (difference * difference).sum(dim=1) / 2

    def _embed(self, pixels: torch.Tensor) -> torch.Tensor:
        image = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
        tokens = self.trunk((image - self.shift) / self.scale)
        centred = tokens - tokens.mean(dim=1, keepdim=True)
        return centred / (centred * centred).sum(dim=1, keepdim=True).sqrt().clamp(min=1e-12)


def read_adapter(archive: Path) -> tuple[State, float]:
    """Take the low-rank changes and their factor out of the authors' archive; nothing in it is run."""
    with zipfile.ZipFile(archive) as files:
        found = {Path(name).name: name for name in files.namelist() if Path(name).parent.name == ADAPTER}
        if not {"adapter_config.json", "adapter_model.safetensors"} <= found.keys():
            raise SystemExit(f"{archive}: no {ADAPTER} with adapter_config.json and adapter_model.safetensors in it")
        config = json.loads(files.read(found["adapter_config.json"]))
        changes = read_safetensors(files.read(found["adapter_model.safetensors"]))
    if config.get("use_rslora") or config.get("use_dora") or config.get("enable_lora"):
        raise SystemExit(f"{archive}: low-rank changes of a form that is not known here")
    return changes, config["lora_alpha"] / config["r"]


def with_changes(state: State, changes: State, factor: float) -> State:
    """Return weights with W + factor B A in place of each W that has changes."""
    parts: dict[tuple[str, str], torch.Tensor] = {}
    for name, tensor in changes.items():
        if not (match := CHANGE.search(name)):
            raise SystemExit(f"no place for {name} among the weights")
        parts[match[1], match[2]] = tensor
    layers = {name.removesuffix(".weight") for name in state if name.endswith(".attn.qkv.weight")}
    if parts.keys() != {(layer, part) for layer in layers for part in "AB"}:
        raise SystemExit(f"want low-rank changes of {len(layers)} layers, got {len(parts) / 2:g}")
    merged = {
        f"{layer}.weight": state[f"{layer}.weight"] + factor * (parts[layer, "B"] @ parts[layer, "A"])
        for layer in layers
    }
    return state | merged


def read_safetensors(data: bytes) -> State:
    """Read float32 tensors by name: a length, a header in JSON, and the numbers."""
    [length] = struct.unpack_from("<Q", data)
    state = State()
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise SystemExit(f"{name}: want float32, got {entry['dtype']}")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        numbers = np.frombuffer(data[begin:end], np.dtype("<f4")).reshape(entry["shape"])
        state[name] = torch.from_numpy(numbers.astype(np.float32))
    return state


def write_safetensors(state: State) -> bytes:
    """Write float32 tensors by name."""
    header, body = {}, b""
    for name, tensor in state.items():
        numbers = tensor.numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": [*tensor.shape], "data_offsets": [len(body), len(body) + len(numbers)]}
        body += numbers
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def random_weights(folder: Path) -> list[Path]:
    """Write files as `DreamsimDino` reads them, of random numbers: twelve blocks of a sixth of the width."""
    width, rank = 128, 4
    patches = (SIDE_PX // PATCH_PX) ** 2
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, patches + 1, width),
        "patch_embed.proj.weight": (width, 3, PATCH_PX, PATCH_PX),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    changes: dict[str, tuple[int, ...]] = {}
    for index in range(12):
        layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        layers |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
        for layer, shape in layers.items():
            shapes |= {f"blocks.{index}.{layer}.weight": shape, f"blocks.{index}.{layer}.bias": shape[:1]}
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{index}.{norm}.{part}": (width,) for part in ("weight", "bias")}
        name = f"base_model.model.extractor_list.0.model.blocks.{index}.attn.qkv"
        changes |= {f"{name}.lora_A.weight": (rank, width), f"{name}.lora_B.weight": (3 * width, rank)}
    trunk = random_state(shapes, 1)
    trunk |= {name: tensor + 1 for name, tensor in trunk.items() if re.search(r"norm\d?\.weight$", name)}
    archive = folder / "changes.zip"
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 0.5, "lora_dropout": 0.3, "bias": "none"}
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr(f"{ADAPTER}/adapter_config.json", json.dumps(config | {"target_modules": ["qkv"]}))
        files.writestr(f"{ADAPTER}/adapter_model.safetensors", write_safetensors(random_state(changes, 2)))
    return [*save_states(folder, [trunk]), archive]


def peer_with(files: Sequence[Path]) -> Peer:
    """Return the authors' own program with the weights of such files; DINO's network is their copy of it."""
    import_torchvision()
    do_without("open_clip")
    from dreamsim import dreamsim
    from dreamsim.feature_extraction import vision_transformer

    state = load_weights(files[0])
    width = state["cls_token"].shape[2]
    norm = lambda channels: torch.nn.LayerNorm(channels, eps=1e-6)  # noqa: E731
    trunk = vision_transformer.VisionTransformer(
        patch_size=PATCH_PX, embed_dim=width, num_heads=width // 64, qkv_bias=True, norm_layer=norm
    )
    trunk.load_state_dict(state)
    with tempfile.TemporaryDirectory() as cache:
        with zipfile.ZipFile(files[1]) as archive:
            archive.extractall(cache)
        # A projection that they load beside the network, and don't use.
        unused = {f"mlp.{layer}.{part}": torch.zeros(1) for layer in (0, 2, 4) for part in ("weight", "bias")}
        unused["last_layer.weight"] = torch.zeros(1)
        student = {f"module.head.{name}": tensor for name, tensor in unused.items()}
        torch.save({"student": student}, Path(cache) / "dino_vitb16_pretrain.pth")
        with patch.object(torch, "hub", SimpleNamespace(set_dir=lambda _: None, load=lambda *_: trunk)):
            theirs, prepare = dreamsim(device="cpu", cache_dir=cache, dreamsim_type="dino_vitb16")

    def distance(candidate: U8, reference: U8) -> float:
        with torch.inference_mode():
            return float(theirs(*(prepare(Image.fromarray(pixels)) for pixels in (candidate, reference))))

    return distance


GOLDEN = Golden(
    __file__,
    peer="dreamsim 0.2.1 with peft 0.12.0",
    how='dreamsim(dreamsim_type="dino_vitb16") on preprocessed images, all weights of random numbers, a sixth as wide',
    tolerance=1e-6,
    reason="float32: the authors take the distance as 1 minus a number near 1",
)

if __name__ == "__main__":
    export_untried(DreamsimDino, GOLDEN, peer_with, random_weights, side_px=SIDE_PX, weights=2, is_sized=True)
