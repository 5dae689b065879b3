"""Measures the constants of taste-eye: python models/taste-eye/measure.py --photographs DIR --weights FILE.

Writes standard.npz: how strongly the channels of the middle levels answer to images in general, how differently, and
along which axes the images and their corners differ most. The same images, packages and processor give the same bytes;
two minutes at most.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from network import DIMENSIONS, SIDE_PX, STANDARD, Sight, Standard, Trunk

RATIO = 0.875
"""Of the shorter side, as scorer.toml's steps have it."""
CORNER = 0.6
"""Of width and height."""
DIGITS = 12
FLOOR = 0.1
"""Of a level's mean deviation, added to each: a channel that hardly ever answers doesn't shout when it does."""


def pictures(path: Path) -> list[Image.Image]:
    """Read an image, and cut out its four corners: 121 images span fewer directions than are kept."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    width, height = round(CORNER * picture.width), round(CORNER * picture.height)
    places = [(left, top) for top in (0, picture.height - height) for left in (0, picture.width - width)]
    return [picture, *(picture.crop((left, top, left + width, top + height)) for left, top in places)]


def prepared(picture: Image.Image) -> Tensor:
    """Prepare an image as scorer.toml says: uint8 (1, 224, 224, 3)."""
    side = max(1, int(RATIO * min(picture.size)))
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return torch.from_numpy(np.asarray(square.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)).copy())[None]


@torch.inference_mode()
def measure(paths: list[Path], weights: Path) -> Standard:
    """Return what the network says of images in general."""
    torch.set_num_threads(1)
    views = [[prepared(picture) for picture in pictures(path)] for path in paths]
    trunk = Trunk(weights)
    rows = [trunk(whole)[1] for whole, *_ in views]
    levels = [torch.cat(level).double() for level in zip(*rows, strict=True)]
    deviations = [level.std(dim=0, correction=0) for level in levels]
    floored = [deviation + FLOOR * deviation.mean() for deviation in deviations]
    mean, deviation = torch.cat([level.mean(dim=0) for level in levels]).float(), torch.cat(floored).float()
    sight = Sight(weights, mean, deviation)
    seen = torch.cat([sight(view) for image in views for view in image]).double()
    centre = seen.mean(dim=0)
    axes = torch.linalg.svd(seen - centre, full_matrices=False).Vh[:DIMENSIONS].T
    axes = axes * torch.where(axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)) < 0, -1.0, 1.0)
    return Standard(mean, deviation, centre.float(), short(axes).float())


def short(values: Tensor) -> Tensor:
    """Round to `DIGITS` binary digits, at any scale: a file of them is half as large."""
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp((mantissa * 2**DIGITS).round(), exponent - DIGITS)


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
