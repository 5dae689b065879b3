"""The colour difference CIEDE2000 at each pixel, for the scorers that average it or take a percentile of it."""

import math

import numpy as np
import torch
from _colour import blend, to_light_planes
from numpy.typing import NDArray

XYZ_OF_RGB = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)
"""sRGB's primaries and white D65 (2°), with the digits that scikit-image uses."""
DARK = (6 / 29) ** 3
"""Below this share of white the cube root of CIELAB goes on as a straight line."""
TINY = 1e-30
"""Decides between hues that are exactly opposite, and lies far below any other product of colours."""

SQUARED_ANGLE = [2 * 2**n / (n**2 * math.comb(2 * n, n)) for n in range(1, 11)]
"""Of arccos(1 - x)² the terms in x, x², ...: enough for 2e-9 of R_T, which falls off faster than they do."""


def colour_difference(candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Compare uint8 sRGB images (N, H, W, 3) pixel by pixel: CIEDE2000 (N, H, W), 0 or more."""
    return ciede2000(to_lab(candidate), to_lab(reference))[:, 0]


def peer_map(candidate: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compare images (H, W, 3) by scikit-image, in float64: (H, W)."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    return deltaE_ciede2000(rgb2lab(candidate), rgb2lab(reference))


def to_lab(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 sRGB (N, H, W, 3) into CIELAB under D65: (N, 3, H, W), L of 0 to 100."""
    shares = [[weight / white for weight in row] for row, white in zip(XYZ_OF_RGB, WHITE, strict=True)]
    light = to_light_planes(pixels)
    share = torch.cat([blend(light, row) for row in shares], dim=1)
    # Root and line in one sum: ONNX Runtime's Where takes longer than all the rest.
    root = share.clamp(min=DARK) ** (1 / 3) + (share.clamp(max=DARK) - DARK) * (841 / 108)
    x, y, z = root.split(1, dim=1)
    return torch.cat([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def ciede2000(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compare CIELAB colours (N, 3, ...) by CIEDE2000 with kL = kC = kH = 1: (N, 1, ...).

    The paper (Sharma, Wu and Dalal 2005) writes hues as angles, with cases. Here a hue is a unit vector u, 0 for grey:

        ΔH' = sqrt(C1' C2') |u2 - u1|, with the sign of the turn from u1 to u2
        mean hue = the direction of (u1 + u2) + (u2 - u1 turned back by 90°)

    Both terms of the sum point the same way, and one of them is long wherever the other is short. The paper's one jump
    that is left out is that of R_T at a mean hue of 0°: 1e-5 of its value.
    """
    (l1, a1, b1), (l2, a2, b2) = first.split(1, dim=1), second.split(1, dim=1)
    stretch = 1.5 - 0.5 * _saturation((_norm(a1, b1) + _norm(a2, b2)) / 2)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = _norm(a1, b1), _norm(a2, b2)
    lightness, chroma = (l1 + l2) / 2 - 50, (c1 + c2) / 2

    ua1, ub1, ua2, ub2 = (
        a1 / c1.clamp(min=TINY),
        b1 / c1.clamp(min=TINY),
        a2 / c2.clamp(min=TINY),
        b2 / c2.clamp(min=TINY),
    )
    turn = torch.sign(a1 * b2 - a2 * b1 + TINY * c2 * (b1 + 1e-6 * a1))
    hue_difference = turn * (c1 * c2).sqrt() * _norm(ua2 - ua1, ub2 - ub1)
    cos, sin = ua1 + ua2 + turn * (ub2 - ub1), ub1 + ub2 - turn * (ua2 - ua1)
    length = _norm(cos, sin).clamp(min=TINY)
    hue_weight, rotation = _hue_terms(cos / length, sin / length)

    dl = (l2 - l1) / (1 + 0.015 * lightness**2 / (20 + lightness**2).sqrt())
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = hue_difference / (1 + 0.015 * chroma * hue_weight)
    total = dl * dl + dc * dc + dh * dh - 2 * _saturation(chroma) * rotation * dc * dh
    return total.clamp(min=0).sqrt()


def _norm(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x * x + y * y).sqrt()


def _saturation(chroma: torch.Tensor) -> torch.Tensor:
    power = (chroma / 25) ** 7
    return (power / (power + 1)).sqrt()


def _hue_terms(cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return T and sin(2Δθ) of the paper for a mean hue's cosine and sine."""
    cos2, sin2 = cos * cos - sin * sin, 2 * sin * cos
    weight = (
        1
        - 0.17 * _cos_after(cos, sin, -30)
        + 0.24 * cos2
        + 0.32 * _cos_after(cos * cos2 - sin * sin2, sin * cos2 + cos * sin2, 6)
        - 0.20 * _cos_after(cos2 * cos2 - sin2 * sin2, 2 * sin2 * cos2, -63)
    )
    # The square of the angle from 275°, as a series in 1 - its cosine: there is no arc cosine on CUDA.
    rise = 1 - _cos_after(cos, sin, -275)
    square = SQUARED_ANGLE[-1] * rise
    for coefficient in reversed(SQUARED_ANGLE[:-1]):
        square = (square + coefficient) * rise
    return weight, torch.sin(math.radians(60) * torch.exp(-square / math.radians(25) ** 2))


def _cos_after(cos: torch.Tensor, sin: torch.Tensor, degrees: float) -> torch.Tensor:
    """Return the cosine of an angle that is `degrees` larger."""
    return cos * math.cos(math.radians(degrees)) - sin * math.sin(math.radians(degrees))
