"""Windows that slide over planes: the sums and blurs that most scorers are made of."""

import math
from collections.abc import Sequence

import torch
from torch.nn.functional import conv2d, pad


def gaussian(sigma: float, taps: int) -> list[float]:
    """Return `taps` weights of a Gaussian, centred, with a sum of 1."""
    weights = [math.exp(-((tap - (taps - 1) / 2) ** 2) / (2 * sigma**2)) for tap in range(taps)]
    return [weight / math.fsum(weights) for weight in weights]


def slide(planes: torch.Tensor, rows: Sequence[float], columns: Sequence[float], border: str = "none") -> torch.Tensor:
    """Correlate each plane with the outer product of two windows: down its columns with `rows`, along with `columns`.

    Args:
        border: "none" keeps where the windows fit; "zeros", "reflect" and "replicate" keep the size (odd windows).
    """
    channels = int(planes.shape[1])  # a constant in the graph, unlike the sides
    down = torch.tensor(rows, dtype=planes.dtype).view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
    along = torch.tensor(columns, dtype=planes.dtype).view(1, 1, 1, -1).repeat(channels, 1, 1, 1)
    if border != "none":
        edges = [len(columns) // 2] * 2 + [len(rows) // 2] * 2
        planes = pad(planes, edges) if border == "zeros" else pad(planes, edges, mode=border)
    return conv2d(conv2d(planes, down, groups=channels), along, groups=channels)


def average(planes: torch.Tensor) -> torch.Tensor:
    """Average (N, C, H, W) over C, H and W: (N,).

    Axis by axis: a float32 sum over a whole image would lose digits as it grows.
    """
    return planes.mean(dim=3).mean(dim=2).mean(dim=1)
