"""Writes taste-eye as an encoder: uint8 pixels in, an embedding for tastes out."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _export import parse_arguments, trace
from network import SIDE_PX, TasteEye, load_standard

if __name__ == "__main__":
    arguments = parse_arguments(weights=1)
    example = {"candidate": torch.zeros(1, SIDE_PX, SIDE_PX, 3, dtype=torch.uint8)}
    dynamic = {"candidate": {0: "batch"}, "embedding": {0: "batch"}}
    trace(TasteEye(*arguments.weights, load_standard()), example, ["embedding"], dynamic, arguments.output)
