"""Measures the constants of taste-eye: python models/taste-eye/measure.py --photographs DIR --weights FILE.

Writes standard.npz: how strongly the channels of the middle levels answer to images in general, and how differently.
The same images, packages and processor give the same bytes; a minute at most.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from network import SIDE_PX, STANDARD, Standard, Trunk

RATIO = 0.875
"""Of the shorter side, as scorer.toml's steps have it."""
FLOOR = 0.1
"""Of a level's mean deviation, added to each: a channel that hardly ever answers doesn't shout when it does."""


def prepared(path: Path) -> Tensor:
    """Read an image and prepare it as scorer.toml says: uint8 (1, 224, 224, 3)."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    side = max(1, int(RATIO * min(picture.size)))
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return torch.from_numpy(np.asarray(square.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)).copy())[None]


@torch.inference_mode()
def measure(paths: list[Path], weights: Path) -> Standard:
    """Return means and deviations of all channels over images."""
    torch.set_num_threads(1)
    trunk = Trunk(weights)
    rows = [trunk(prepared(path))[1] for path in paths]
    levels = [torch.cat(level).double() for level in zip(*rows, strict=True)]
    deviations = [level.std(dim=0, correction=0) for level in levels]
    floored = [deviation + FLOOR * deviation.mean() for deviation in deviations]
    return Standard(torch.cat([level.mean(dim=0) for level in levels]).float(), torch.cat(floored).float())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photographs",
        type=Path,
        action="append",
        required=True,
        help="a folder of PNG or WebP files; may be given again",
    )
    parser.add_argument("--weights", type=Path, required=True, help="EfficientNet-Lite0, as scorer.toml names it")
    parser.add_argument("--output", type=Path, default=STANDARD)
    arguments = parser.parse_args()
    files = [path for folder in arguments.photographs for path in folder.rglob("*") if path.suffix in {".png", ".webp"}]
    if not files:
        parser.error("--photographs: no PNG or WebP file there")
    measure(sorted(files, key=lambda path: path.name), arguments.weights).save(arguments.output)
    print(f"{len(files)} images")


if __name__ == "__main__":
    main()
