"""Small symmetric matrices, for ONNX knows no linear algebra: everything is unrolled and batched."""

import torch


def factorise(matrices: torch.Tensor, floor: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return lower triangular L with L Lᵀ = A, and its inverse, for positive semidefinite A (..., K, K).

    Args:
        floor: pivots are at least that, so that a singular matrix has an answer.
    """
    size = int(matrices.shape[-1])
    # Gauss's elimination turns A = M D Mᵀ, with ones on the diagonal of M, into D Mᵀ, and the unit matrix into M⁻¹.
    unit = _table(matrices, [[float(row == column) for column in range(size)] for row in range(size)])
    work, pivots = torch.cat([matrices, unit.expand_as(matrices)], dim=-1), []
    for column in range(size):
        below = _table(matrices, [[float(row > column)] for row in range(size)])
        pivots.append(work[..., column : column + 1, column : column + 1].clamp(min=floor))
        factors = below * work[..., column : column + 1] / pivots[-1]
        work = work - factors * work[..., column : column + 1, :]
    roots = torch.cat(pivots, dim=-2).sqrt()
    above = _table(matrices, [[float(row < column) for column in range(size)] for row in range(size)])
    upper = (work[..., :size] * above + unit * roots * roots) / roots
    return upper.transpose(-1, -2), work[..., size:] / roots


def squared_singular_values(matrices: torch.Tensor, sweeps: int) -> torch.Tensor:
    """Return the squares of the singular values of matrices (..., K, K), K even, in no order: (..., K).

    One-sided Jacobi rotations (Hestenes 1958), which also get the small ones right; a sweep turns each pair of columns
    once, K / 2 pairs at a time, and moves the columns round as in a tournament.
    """
    size = int(matrices.shape[-1])
    half = size // 2
    # Columns i and i + half meet; after each round all but the first move on by one place.
    order = [0, half, *range(1, half - 1), *range(half + 1, size), half - 1]
    same = _table(matrices, [[float(row == column) for column in range(size)] for row in range(size)])
    partner = _table(
        matrices, [[float(row == (column + half) % size) for column in range(size)] for row in range(size)]
    )
    stay = _table(matrices, [[float(row == column) for column in order] for row in range(size)])
    swap = _table(matrices, [[float(row == (column + half) % size) for column in order] for row in range(size)])
    for _ in range(sweeps * (size - 1)):
        gram = matrices.transpose(-1, -2) @ matrices
        first, second = (gram * same).sum(dim=-1).split(half, dim=-1)
        # Both columns of a pair turn by one angle: the two sums that are their product may differ in the last digit.
        between, _ = (gram * partner).sum(dim=-1).split(half, dim=-1)
        cosine, sine = _rotation(second - first, between)
        cosines, sines = torch.cat([cosine, cosine], dim=-1), torch.cat([sine, -sine], dim=-1)
        matrices = matrices @ (cosines[..., None] * stay + sines[..., None] * swap)
    return (matrices * matrices).sum(dim=-2)


def _table(like: torch.Tensor, values: list[float] | list[list[float]]) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype)


def _rotation(difference: torch.Tensor, between: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and sine of the turn that makes two columns orthogonal.

    Args:
        difference: the second's square less the first's.
        between: their product.
    """
    # tan(2 t) = 2 b / d; the smaller turn of the two: tan(t) = 2 b / (d + sign(d) sqrt(d² + 4 b²)).
    tiny = torch.finfo(between.dtype).tiny
    length = (difference * difference + 4 * between * between + tiny).sqrt()
    sign = torch.where(difference < 0, -1.0, 1.0)
    tangent = 2 * between / (difference + sign * length)
    cosine = 1 / (1 + tangent * tangent).sqrt()
    return cosine, cosine * tangent
