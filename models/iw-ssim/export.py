"""Writes the graph of iw-ssim: constants only, no weights."""

import sys
from itertools import pairwise
from pathlib import Path

import torch
from torch.nn.functional import pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bilinear import sample
from _colour import luma_pair
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _linalg import factorise, squared_singular_values
from _pyramid import double, halve
from _shrink import spread
from _window import average, gaussian, slide

WINDOW = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""Of the pyramid; short binary fractions, so that flat areas have no detail, not even of rounding."""
EXPONENTS = tuple(weight / 1.0001 for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333))
"""Of the scales, the finest first; as published they have a sum of 1.0001."""
GAUSSIAN = gaussian(1.5, 11)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
NOISE = 0.4
"""Variance of what the eye adds to either image, on levels of 0 to 255."""
NEIGHBOURS = 10
"""Coefficients that are seen as one: 3 by 3, and the parent at the next scale."""
FLAT = 2.2e-16
"""A smaller variance is none."""
FLOOR = 1e-6
"""Of the pivots of whitened covariances, far below what eight bits leave of any direction."""
SWEEPS = 4


class IwSsim(torch.nn.Module):
    """Information content weighted SSIM (Wang, Li 2011) of luma.

    Structure is compared in a Laplacian pyramid, and each place weighs as much as a source of Gaussian vectors, whose
    covariance is that of the neighbourhoods in the candidate, tells there through a noisy channel:

        Σ log(1 + ((v + (1 + g²) n) s λ + n v) / n²) over the eigenvalues λ of the covariance C, with s = yᵀ C⁻¹ y / K

    for neighbourhoods y of K coefficients, and the reference explained by the candidate with gain g and rest v.
    C is factorised twice, the second time of vectors that the first has whitened: float32 sums alone would lose the
    directions that smooth images hardly have.
    """

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 to 1; sides of at least 161 px."""
        return _score(_scales(luma_pair(candidate, reference)))

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and how much each place adds to the sum over scales of exponent times mean error."""
        lumas = luma_pair(candidate, reference)
        scales = _scales(lumas)
        maps = torch.zeros_like(lumas[:, 0])
        for level, (errors, weights) in enumerate(scales):
            share = errors * weights * (EXPONENTS[level] / _positive(average(weights)))[:, None, None, None]
            share = pad(share, [len(GAUSSIAN) // 2] * 4, mode="replicate")[:, 0]
            maps = maps + spread(share, torch.tensor(2**level), "replicate", lumas)
        return _score(scales), maps


def _scales(lumas: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return errors and weights, each (N, 1, H - 10, W - 10) and smaller, at each scale, the finest first."""
    *details, rest = _pyramid(lumas)
    parents = [_enlarge(parent[:, 0], detail) for detail, parent in pairwise(details)]
    blocks = [_neighbourhoods(detail[:, 0], parent) for detail, parent in zip(details, [*parents, None], strict=True)]
    strengths, eigenvalues = _sources(blocks)
    scales = []
    for level, detail in enumerate(details):
        count = NEIGHBOURS if level < len(parents) else NEIGHBOURS - 1
        weights = _information(detail, strengths[level] / count, eigenvalues[:, level], count)
        scales.append((_structure(detail), weights))
    errors = _dissimilarity(rest)
    return [*scales, (errors, torch.ones_like(errors))]


def _score(scales: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Multiply the scales' weighted mean similarities, each to its power: (N,)."""
    means = [1 - average(errors * weights) / _positive(average(weights)) for errors, weights in scales]
    return (torch.stack(means, dim=1).abs() ** torch.tensor(EXPONENTS)).prod(dim=1)


def _positive(values: torch.Tensor) -> torch.Tensor:
    return values.clamp(min=1e-30)


def _pyramid(lumas: torch.Tensor) -> list[torch.Tensor]:
    """Return four scales of detail, the finest first, and the rest, each twice as strong as the scale before.

    Planes are split in two, so that nothing is rounded: where JPEG leaves next to nothing, the weights depend on it.
    """
    whole = (lumas * 1000).round()
    coarse, fine = _split(whole, torch.zeros_like(whole))
    levels = []
    for level in range(len(EXPONENTS) - 1):
        (coarse, coarse_detail), (fine, fine_detail) = _step(coarse), _step(fine)
        levels.append((coarse_detail + fine_detail) * (2**level / 1000))
        coarse, fine = _split(coarse, fine)
    return [*levels, (coarse + fine) * (2 ** len(levels) / 1000)]


def _step(planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the next level of a pyramid, and what it lacks."""
    low = halve(pad(planes, [2] * 4, mode="reflect"), WINDOW)
    beyond = pad(pad(low, [1, 0, 1, 0], mode="reflect"), [0, 1, 0, 1], mode="replicate")
    return low, planes - double(beyond, WINDOW, planes)


def _split(coarse: torch.Tensor, fine: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Split a sum of planes into multiples of 1024 and the rest."""
    multiples = ((coarse + fine) / 1024).round() * 1024
    return multiples, (coarse - multiples) + fine


def _enlarge(plane: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Interpolate a parent (N, h, w) at its children: (N, H, W), the size of `like`.

    The authors enlarge it to 4 h - 3 px by bilinear interpolation between centres of pixels, carry the slope on by one
    pixel at each border, where there is none, and take every second.
    """
    for axis in (1, 2):
        length, size = (torch._shape_as_tensor(planes)[planes.dim() - 3 + axis] for planes in (plane, like))
        plane = sample(plane, axis, (4 * torch.arange(size) - 1) * length - (4 * length - 3), 2 * (4 * length - 3))
    return plane


def _neighbourhoods(plane: torch.Tensor, parent: torch.Tensor | None) -> torch.Tensor:
    """Return each pixel's 3 by 3 neighbours and its parent or a zero: (N, H, W) to (N, H - 2, 10, W - 2)."""
    places = [slice(start, start - 2 or None) for start in range(3)]
    lines = [plane[:, rows, None] for rows in places]
    blocks = [line[..., columns] for line in lines for columns in places]
    last = torch.zeros_like(blocks[4]) if parent is None else parent[:, 1:-1, None, 1:-1]
    return torch.cat([*blocks, last], dim=2)


def _sources(scales: list[torch.Tensor]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return yᵀ C⁻¹ y of neighbourhoods at each scale, (N, H - 2, W - 2), and the eigenvalues of all C, (N, 4, 10)."""
    covariances = torch.stack([_covariance(blocks) for blocks in scales], dim=1)
    unit = torch.tensor([[float(row == column) for column in range(NEIGHBOURS)] for row in range(NEIGHBOURS)])
    trace = (covariances * unit).sum(dim=(2, 3), keepdim=True)
    lower, inverse = factorise(covariances + (1e-7 * trace + 1e-12) * unit, 1e-14)
    white = [inverse[:, level, None] @ blocks for level, blocks in enumerate(scales)]
    rest, inverse = factorise(torch.stack([_covariance(blocks) for blocks in white], dim=1), FLOOR)
    strengths = [(inverse[:, level, None] @ blocks).square().sum(dim=2) for level, blocks in enumerate(white)]
    return strengths, squared_singular_values(lower @ rest, SWEEPS)


def _covariance(blocks: torch.Tensor) -> torch.Tensor:
    """Average the products of (N, H, K, W) over rows and columns: (N, K, K)."""
    return (blocks @ blocks.transpose(2, 3) / blocks.shape[3]).mean(dim=1)


def _information(detail: torch.Tensor, strength: torch.Tensor, eigenvalues: torch.Tensor, count: int) -> torch.Tensor:
    """Return the weight of each place but for the outer five pixels, in natural units: (N, 1, H - 10, W - 10)."""
    y, x = detail[:, :1], detail[:, 1:]
    d = x - y
    planes = torch.cat([y, x, y * y, x * x, d * d, y * d], dim=1)
    means = slide(planes, [1 / 3] * 3, [1 / 3] * 3)[:, :, 4:-4, 4:-4]
    my, mx, syy, sxx, sdd, syd = (means[:, channel : channel + 1] for channel in range(6))
    md = mx - my
    syy, sxx, sdd, syd = syy - my * my, sxx - mx * mx, sdd - md * md, syd - my * md
    # With d = x - y: the gain sxy / syy is 1 + syd / syy, and sxx - sxy² / syy is sdd - syd² / syy.
    extra = torch.where(syy < FLAT, 0.0, syd / syy.clamp(min=FLAT))
    gain = torch.where((sxx < FLAT) | (syy < FLAT), 0.0, 1 + extra)
    rest = torch.where(sxx < FLAT, 0.0, torch.where(syy < FLAT, sdd, sdd - extra * syd)).clamp(min=0)
    still = 1 + rest / NOISE
    ratio = (rest + (1 + gain * gain) * NOISE) * strength[:, None, 4:-4, 4:-4] / (NOISE * NOISE * still)
    # Two by two: (1 + r a) (1 + r b) = 1 + r (a + b + r a b).
    one, other = eigenvalues[:, :, None, None].split(NEIGHBOURS // 2, dim=1)
    pairs = zip((one + other).split(1, dim=1), (one * other).split(1, dim=1), strict=True)
    return sum(((1 + ratio * (both + ratio * product)).log() for both, product in pairs), count * still.log())


def _structure(detail: torch.Tensor) -> torch.Tensor:
    """Return 1 - structure of SSIM where the window fits, of planes with a mean of about 0."""
    d = detail[:, 1:] - detail[:, :1]
    squares = torch.cat([(detail * detail).sum(dim=1, keepdim=True), d * d], dim=1)
    # Two and two: ONNX Runtime would fill four planes up to sixteen.
    means, squares = slide(detail, GAUSSIAN, GAUSSIAN), slide(squares, GAUSSIAN, GAUSSIAN)
    md = means[:, 1:] - means[:, :1]
    own = squares[:, :1] - (means * means).sum(dim=1, keepdim=True)
    return (squares[:, 1:] - md * md).clamp(min=0) / (own.clamp(min=0) + C2)


def _dissimilarity(rest: torch.Tensor) -> torch.Tensor:
    """Return 1 - SSIM where the window fits.

    The rest is bright, and a mean of squares less the square of a mean would lose the digits of flat areas.
    """
    means = torch.cat([rest, rest[:, 1:] - rest[:, :1]], dim=1)
    variances = torch.zeros_like(means)
    weights = torch.tensor(GAUSSIAN).view(-1, 1, 1)
    for axis in (2, 3):
        lines, inner = (_taps(planes[:, :, None], axis + 1) for planes in (means, variances))
        means = (lines * weights).sum(dim=2)
        variances = ((inner + (lines - means[:, :, None]).square()) * weights).sum(dim=2)
    luminance = means[:, 2:].square() / (means[:, :2].square().sum(dim=1, keepdim=True) + C1)
    structure = variances[:, 2:] / (variances[:, :2].sum(dim=1, keepdim=True) + C2)
    return luminance + structure - luminance * structure


def _taps(planes: torch.Tensor, axis: int) -> torch.Tensor:
    """Return what lies under each weight of the window, for all places along an axis, as dim 2 of (N, C, 1, H, W)."""
    last = len(GAUSSIAN) - 1
    places = [slice(tap, tap - last or None) for tap in range(last + 1)]
    return torch.cat([planes[:, :, :, place] if axis == 3 else planes[..., place] for place in places], dim=2)


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.information_weighted_ssim(to_unit(reference), to_unit(candidate)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.information_weighted_ssim(reference, candidate, data_range=1.0) in float64",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    min_side_px=161,
    is_symmetric=False,
)

if __name__ == "__main__":
    export_pair(IwSsim, GOLDEN, peer, side_px=161)
