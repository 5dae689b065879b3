"""What `export.py --golden` does: ask the peer's own program, and write what it answers.

The images are those of tests/assets and, as `shared:PATH`, of the folder of reference data beside the checkout.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

U8 = NDArray[np.uint8]
REPO = Path(__file__).resolve().parents[1]
PAIRS = (
    ("landscape.png", "landscape.png"),
    ("landscape-q75.jpg", "landscape.png"),
    ("landscape-q30.jpg", "landscape.png"),
    ("still-life-blur2.png", "still-life.webp"),
    ("still-life-noise12.webp", "still-life.webp"),
    ("poster-q50.webp", "poster.png"),
    ("poster-shift1.png", "poster.png"),
    ("shared:testdata/piq/goldhill_jpeg.gif", "shared:testdata/piq/goldhill.gif"),
    ("shared:testdata/piq/i01_01_5.bmp", "shared:testdata/piq/I01.BMP"),
    ("shared:data/pristine/kodak/kodim03.webp", "shared:data/pristine/kodak/kodim05.webp"),
)
"""(candidate, reference)."""
IMAGES = (
    "landscape.png",
    "landscape-q30.jpg",
    "still-life.webp",
    "still-life-noise12.webp",
    "poster.png",
    "poster-q50.webp",
    "shared:data/pristine/kodak/kodim12.webp",
    "shared:data/pristine/kodak/kodim15.webp",
    "shared:data/pristine/cid22/validation/7552578.webp",
    "shared:data/flickr8k_sample/images/1077546505_a4f6c4daa9.jpg",
    "shared:data/simulacra_demo20/mediocre/10155_kangaroo_fight_with_conor_McGregor_in_MMA_style_8.png",
)
"""Candidates for scorers of one image; the last two are harmless, and a safety scorer takes them for unsafe."""

Peer = Callable[[U8, U8], float]
"""The authors' own program: the score of (candidate, reference), RGB of shape (H, W, 3)."""
ImagePeer = Callable[[U8], float]
"""The authors' own program for one image: the score of a candidate, RGB of shape (H, W, 3)."""


@dataclass(frozen=True)
class Golden:
    """What golden.json says of a scorer beside the numbers; the last three are for FIDELITY.

    Attributes:
        file: the scorer's export.py.
        peer: the authors' program and its version.
        how: the call that is made, for people.
        tolerance: the most that a score may differ, and `reason` why that much.
        min_side_px: pairs and images with a smaller side are left out.
        identity: the score of equal images; None is the best end of the range, exactly.
        is_symmetric: whether candidate and reference may change places.
        turns: "scene distortion" pairs (of tests/golden) where the peer too prefers more of a distortion.
    """

    file: str
    peer: str
    how: str
    tolerance: float
    reason: str
    min_side_px: int = 1
    identity: float | None = None
    is_symmetric: bool = True
    turns: tuple[str, ...] = ()


def path_of(asset: str) -> Path:
    """Return where an asset lies."""
    shared = asset.removeprefix("shared:")
    return REPO / "tests" / "assets" / asset if shared == asset else REPO.parent / "shared" / shared


def load(asset: str) -> U8:
    """Read an image as RGB, shape (H, W, 3)."""
    with Image.open(path_of(asset)) as image:
        return np.asarray(image.convert("RGB"))


def to_unit(pixels: U8) -> torch.Tensor:
    """Turn pixels into float64 of 0 to 1, shape (1, 3, H, W)."""
    return torch.from_numpy(pixels / 255).permute(2, 0, 1)[None]


def do_without(*names: str) -> None:
    """Let a peer import packages that it asks for and doesn't use on this way."""
    for name in names:
        stand_in: ModuleType = MagicMock(name=name)
        sys.modules.setdefault(name, stand_in)


def write_golden(golden: Golden, peer: Peer) -> None:
    """Write golden.json of a FIDELITY scorer: what the peer says of `PAIRS`."""
    cases = [
        {
            "candidate": candidate,
            "reference": reference,
            "expected": {"value": peer(load(candidate), load(reference))},
            "tolerance": golden.tolerance,
            "reason": golden.reason,
        }
        for candidate, reference in PAIRS
        if min(load(reference).shape[:2]) >= golden.min_side_px
    ]
    laws: dict[str, Any] = {} if golden.identity is None else {"identity": golden.identity}
    laws |= {} if golden.is_symmetric else {"is_symmetric": False}
    laws |= {"turns": list(golden.turns)} if golden.turns else {}
    _write(Path(golden.file).parent, golden.peer, golden.how, cases, laws)


def write_quality_golden(golden: Golden, peer: ImagePeer) -> None:
    """Write golden.json of a scorer of one image at native size: what the peer says of `IMAGES`."""
    cases = [
        {
            "candidate": candidate,
            "expected": {"value": peer(load(candidate))},
            "tolerance": golden.tolerance,
            "reason": golden.reason,
        }
        for candidate in IMAGES
        if min(load(candidate).shape[:2]) >= golden.min_side_px
    ]
    _write(Path(golden.file).parent, golden.peer, golden.how, cases)


def write_image_golden(
    folder: Path,
    score: Callable[[str], tuple[float, dict[str, float]]],
    *,
    peer: str,
    how: str,
    tolerance: Callable[[str], tuple[float, str]],
) -> None:
    """Write golden.json of `folder`, a scorer of one image with labels, or with preparation of its own.

    Args:
        score: the peer's score of an asset, and its labels.
        peer: its name and version.
        how: the call that was made, for people.
        tolerance: the most that the score of an asset may differ, and why that much.
    """
    cases: list[dict[str, Any]] = []
    for asset in IMAGES:
        value, labels = score(asset)
        most, reason = tolerance(asset)
        expected = {"value": value} | ({"labels": labels} if labels else {})
        cases.append({"candidate": asset, "expected": expected, "tolerance": most, "reason": reason})
    _write(folder, peer, how, cases)


def _write(folder: Path, peer: str, how: str, cases: list[dict[str, Any]], laws: dict[str, Any] | None = None) -> None:
    golden = {"peer": peer, "how": how} | ({"laws": laws} if laws else {}) | {"cases": cases}
    (folder / "golden.json").write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")
