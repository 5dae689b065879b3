"""Writes the graph of flip: constants only, no weights."""

import math
import sys
from pathlib import Path

import torch
from torch.nn.functional import conv2d, pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import mix, to_light_planes
from _export import export_pair
from _golden import U8, Golden, Peer
from _window import average, gaussian

PIXELS_PER_DEGREE = 3840 * math.pi / 180
"""FLIP's default of 67.02: a display of 3840 px by 0.7 m, seen from 0.7 m."""
XYZ_OF_RGB = (
    tuple(part / 24577794 for part in (10135552, 8788810, 4435075)),
    tuple(part / 12288897 for part in (2613072, 8788810, 887015)),
    tuple(part / 73733382 for part in (1425312, 8788810, 70074185)),
)
RGB_OF_XYZ = (
    (3.241003275, -1.537398934, -0.498615861),
    (-0.969224334, 1.875930071, 0.041554224),
    (0.055639423, -0.204011202, 1.057148933),
)
WHITE = tuple(map(math.fsum, XYZ_OF_RGB))
SHARES_OF_RGB = tuple(tuple(part / white for part in row) for row, white in zip(XYZ_OF_RGB, WHITE, strict=True))
"""To X, Y and Z as shares of white."""
DARK = (6 / 29) ** 3
"""Below this share of white the cube root of CIELAB goes on as a straight line."""
LIGHT, RED_GREEN, BLUE_YELLOW = ((1, 0.0047),), ((1, 0.0053),), ((34.1, 0.04), (13.5, 0.025))
"""Contrast sensitivities: sums of Gaussians of (weight, b), b in squared degrees (the paper's Table 1)."""
RADIUS = math.ceil(3 * math.sqrt(0.04 / (2 * math.pi**2)) * PIXELS_PER_DEGREE)
FEATURE_SIGMA = 0.082 / 2 * PIXELS_PER_DEGREE
"""In pixels, of the edges and points that are looked for."""
COLOUR_POWER, KNEE_IN, KNEE_OUT, FEATURE_POWER = 0.7, 0.4, 0.95, 0.5
"""q_c, p_c, p_t and q_f of the paper."""


def sensitivity(parts: tuple[tuple[float, float], ...]) -> list[tuple[float, list[float]]]:
    """Return (weight, window) for each Gaussian of a contrast sensitivity; the weights' sum is 1."""
    sigmas = [math.sqrt(b / (2 * math.pi**2)) * PIXELS_PER_DEGREE for _, b in parts]
    weights = [
        weight * math.sqrt(math.pi / b) / gaussian(sigma, 2 * RADIUS + 1)[RADIUS] ** 2
        for (weight, b), sigma in zip(parts, sigmas, strict=True)
    ]
    return [(w / math.fsum(weights), gaussian(s, 2 * RADIUS + 1)) for w, s in zip(weights, sigmas, strict=True)]


def feature_windows() -> tuple[list[float], list[float], list[float]]:
    """Return a Gaussian, and its first and second derivatives scaled to 1 on each side of zero."""
    reach = math.ceil(3 * FEATURE_SIGMA)
    places = range(-RADIUS, RADIUS + 1)
    bell = [math.exp(-(x**2) / (2 * FEATURE_SIGMA**2)) if abs(x) <= reach else 0 for x in places]
    edge = [-x * y for x, y in zip(places, bell, strict=True)]
    point = [((x / FEATURE_SIGMA) ** 2 - 1) * y for x, y in zip(places, bell, strict=True)]
    return [y / math.fsum(bell) for y in bell], _balanced(edge), _balanced(point)


def _balanced(window: list[float]) -> list[float]:
    rise, fall = (math.fsum(y for y in window if sign * y > 0) for sign in (1, -1))
    return [y / rise if y > 0 else -y / fall for y in window]


class Flip(torch.nn.Module):
    """LDR-FLIP (Andersson et al. 2020), the difference seen when two images are flipped, at 67 pixels per degree."""

    def __init__(self) -> None:
        super().__init__()
        (_, light), (_, red_green) = sensitivity(LIGHT)[0], sensitivity(RED_GREEN)[0]
        (self.wide_share, wide), (self.narrow_share, narrow) = sensitivity(BLUE_YELLOW)
        bell, edge, point = feature_windows()
        # Of planes (Y, Y, Y, Y, Y, red-green, blue-yellow, blue-yellow), candidate's and then reference's.
        self.register_buffer("along", torch.tensor([light, edge, bell, point, bell, red_green, wide, narrow] * 2))
        self.register_buffer("down", torch.tensor([light, bell, edge, bell, point, red_green, wide, narrow] * 2))
        green, blue = (_hunt(torch.tensor(SHARES_OF_RGB)[None, :, channel, None, None]) for channel in (1, 2))
        self.most = float(_hyab(green, blue)) ** COLOUR_POWER

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 to 1."""
        return self.map(candidate, reference)[0]

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and the error at each pixel."""
        planes = torch.cat([_opponents(candidate), _opponents(reference)], dim=1)
        planes = pad(planes, [RADIUS] * 4, mode="replicate")
        planes = torch.index_select(planes, 1, torch.tensor([0, 0, 0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 3, 4, 5, 5]))
        planes = conv2d(planes, self.along[:, None, None, :], groups=16)
        planes = conv2d(planes, self.down[:, None, :, None], groups=16)
        first, second = planes.split(8, dim=1)
        error = self._colour_error(first, second) ** (1 - _feature_error(first, second))
        return average(error), error[:, 0]

    def _colour_error(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        distance = _hyab(self._seen(first), self._seen(second)) ** COLOUR_POWER
        knee = KNEE_IN * self.most
        slope, slope_above = KNEE_OUT / knee, (1 - KNEE_OUT) / (self.most - knee)
        return distance.clamp(max=knee) * slope + (distance - knee).clamp(min=0) * slope_above

    def _seen(self, planes: torch.Tensor) -> torch.Tensor:
        """Turn filtered planes into the colours that the eye is left with: CIELAB after Hunt, (N, 3, H, W)."""
        y, red_green = planes[:, 0:1], planes[:, 5:6]
        blue_yellow = self.wide_share * planes[:, 6:7] + self.narrow_share * planes[:, 7:8]
        shares = torch.cat([y + red_green, y, y - blue_yellow], dim=1)
        to_rgb = [[part * white for part, white in zip(row, WHITE, strict=True)] for row in RGB_OF_XYZ]
        return _hunt(mix(mix(shares, to_rgb).clamp(0, 1), SHARES_OF_RGB))


def _opponents(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 sRGB (N, H, W, 3) into YCxCz without its scale and offset: Y, X - Y and Y - Z, shares of white."""
    x, y, z = SHARES_OF_RGB
    differences = [[p - q for p, q in zip(*rows, strict=True)] for rows in ((x, y), (y, z))]
    return mix(to_light_planes(pixels), [y, *differences])


def _hunt(shares: torch.Tensor) -> torch.Tensor:
    """Turn X, Y and Z as shares of white into CIELAB with a and b times L/100, (N, 3, H, W)."""
    # Root and line in one sum: ONNX Runtime's Where takes longer than all the rest.
    root = shares.clamp(min=DARK) ** (1 / 3) + (shares.clamp(max=DARK) - DARK) * (841 / 108)
    x, y, z = root.split(1, dim=1)
    lightness = 116 * y - 16
    return torch.cat([lightness, 5 * lightness * (x - y), 2 * lightness * (y - z)], dim=1)


def _hyab(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the distance of (N, 3, H, W) colours, in steps along L and straight in a and b: (N, 1, H, W)."""
    lightness, a, b = (first - second).split(1, dim=1)
    return lightness.abs() + (a * a + b * b).sqrt()


def _feature_error(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compare how much of an edge or a point there is at each pixel: (N, 1, H, W), 0 to 1."""
    (edge1, point1), (edge2, point2) = (
        ((p[:, 1:2] ** 2 + p[:, 2:3] ** 2).sqrt(), (p[:, 3:4] ** 2 + p[:, 4:5] ** 2).sqrt()) for p in (first, second)
    )
    return (torch.maximum((edge1 - edge2).abs(), (point1 - point2).abs()) / math.sqrt(2)) ** FEATURE_POWER


def peer() -> Peer:
    """Return the mean of the authors' error map, summed up in float64."""
    import flip_evaluator
    import numpy as np

    def score(candidate: U8, reference: U8) -> float:
        first, second = (image.astype(np.float32) / 255 for image in (reference, candidate))
        error, _, _ = flip_evaluator.evaluate(first, second, "LDR", applyMagma=False)
        return float(error.mean(dtype=np.float64))

    return score


GOLDEN = Golden(
    __file__,
    peer="flip-evaluator 1.7",
    how='evaluate(reference / 255, candidate / 255, "LDR", applyMagma=False)[0].mean() in float64',
    tolerance=1e-6,
    reason="float32 rounding, on both sides",
)

if __name__ == "__main__":
    export_pair(Flip, GOLDEN, peer, side_px=32)
