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
    # From the products of columns to the second's square less the first's, and twice their product, of each pair.
    places = [(row, column) for row in range(size) for column in range(size)]
    ask = [
        [float(row == column == pair + half) - float(row == column == pair) for pair in range(half)]
        + [2.0 * ((row, column) == (pair, pair + half)) for pair in range(half)]
        for row, column in places
    ]
    # From the cosines and sines of all pairs to the matrix that turns and moves the columns.
    turn = [[float(row % half == pair and order[column] == row) for row, column in places] for pair in range(half)] + [
        [
            (row % half == pair and order[column] == (row + half) % size) * (1.0 if row < half else -1.0)
            for row, column in places
        ]
        for pair in range(half)
    ]
    asking, turning = _table(matrices, ask), _table(matrices, turn)
    batch, matrices = matrices.shape[:-2], matrices.flatten(0, -3)
    for _ in range(sweeps * (size - 1)):
        gram = (matrices.transpose(1, 2) @ matrices).reshape(-1, size * size)
        turns = _turns((gram @ asking).reshape(-1, 2, half)).reshape(-1, size)
        matrices = matrices @ (turns @ turning).reshape(-1, size, size)
    return (matrices * matrices).sum(dim=1).reshape(*batch, size)


def _table(like: torch.Tensor, values: list[float] | list[list[float]]) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype)


def _turns(pairs: torch.Tensor) -> torch.Tensor:
    """Return the cosine and the sine of the turn that makes two columns orthogonal, for each pair: (N, 2, P).

    Args:
        pairs: the second's square less the first's, and twice their product.
    """
    # tan(2 t) = b / d; the smaller turn of the two, or half a turn more: tan(t) = b / (d + sign(d) sqrt(d² + b²)).
    length = pairs.norm(dim=1, keepdim=True).clamp(min=torch.finfo(pairs.dtype).tiny ** 0.5)
    signed = torch.where(pairs[:, :1] < 0, -length, length)
    ahead = pairs + signed * _table(pairs, [[1.0], [0.0]])
    return ahead / ahead.norm(dim=1, keepdim=True)
