"""PSNR-HVS and PSNR-HVS-M: errors of 8 by 8 blocks of luma, as the eye weighs and masks them (Ponomarenko et al.)."""

import math
from collections.abc import Callable

import torch
from _colour import blend, mix, to_level_planes
from _export import export_pair, parse_arguments, trace
from _golden import U8, Golden, Peer
from torch.nn.functional import avg_pool2d, conv2d

SIDE = 8
"""Of a block, in pixels; blocks lie side by side."""
QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""JPEG's for luma (ITU-T T.81, table K.1): the authors' weights are its inverse, to six digits after the point."""
SENSITIVITY = [round(25.73509 / step, 6) for row in QUANTISATION for step in row]
"""CSFCof in their psnrhvsm.m: a mean square of 1."""
MASKING = [round((10 / step) ** 2, 6) for row in QUANTISATION for step in row]
"""MaskCof in their psnrhvsm.m, and in equation 1 of the paper of 2007."""
WAVES = [
    [
        [
            math.cos(math.pi * down * (2 * y + 1) / 16) * math.cos(math.pi * along * (2 * x + 1) / 16) / norm
            for x in range(SIDE)
        ]
        for y in range(SIDE)
    ]
    for down in range(SIDE)
    for along in range(SIDE)
    for norm in [4 * math.sqrt(2) ** ((down == 0) + (along == 0))]
]
"""The 64 waves of the orthonormal DCT, row by row."""
CAP_DB = 100.0


def to_luma(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 RGB (N, H, W, 3) into BT.601's luma, whole numbers of 16 to 235, less 126: (N, 1, H, W).

    As whole numbers of 85000ths around middle grey the sums stay exact in float32.
    """
    whole = blend(to_level_planes(pixels) - 128, (21827, 42851, 8322))
    return torch.round((whole - 6000) / 85000)


def visible_errors(candidate: torch.Tensor, reference: torch.Tensor, *, is_masked: bool) -> torch.Tensor:
    """Return the mean squared error that is seen in each 8 by 8 block of uint8 images (N, H, W, 3): (N, 1, H/8, W/8).

    In squared levels of luma. Rows and columns that fill no block are left out.

    Args:
        is_masked: take away what the contrast of the same block hides, in the image of the two where it hides more.
    """
    first, second = to_luma(candidate), to_luma(reference)
    errors = _transform(first - second).abs()
    if is_masked:
        # The mean of a block hides nothing and is not hidden.
        reach = torch.tensor([0.0, *(1 / weight for weight in MASKING[1:])])[:, None, None]
        errors = (errors - torch.maximum(_masking(first), _masking(second)) * reach).clamp(min=0)
    return mix(errors * errors, [[weight**2 / SIDE**2 for weight in SENSITIVITY]])


def to_decibels(errors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn mean squared errors (N,) into decibels below 255²: (N,) at most 100 and beyond that, up to 168.

    The second is for images that are scored in strips: one may be beyond the cap and the whole below it.
    """
    uncapped = -10 * torch.log10(errors.clamp(min=1e-12) / 255**2)
    return uncapped.clamp(max=CAP_DB), uncapped


def _masking(luma: torch.Tensor) -> torch.Tensor:
    """Return the strength that hides errors in each block: the effective contrast energy's root (equation 2)."""
    energy = mix(_transform(luma) ** 2, [[0.0, *MASKING[1:]]])
    # Detail all over a block hides more than one edge through it: variance inside its quarters, as a share.
    inside, whole = 4 * avg_pool2d(_deviation(luma, SIDE // 2), 2), _deviation(luma, SIDE)
    share = (16 / 15 * inside) / (64 / 63 * whole).clamp(min=1e-6)
    return (energy * share).sqrt() / 32


def _transform(luma: torch.Tensor) -> torch.Tensor:
    """Return the orthonormal DCT of each block: (N, 1, H, W) to (N, 64, H/8, W/8), row by row."""
    return conv2d(luma, torch.tensor(WAVES)[:, None], stride=SIDE)


def _deviation(luma: torch.Tensor, side: int) -> torch.Tensor:
    """Sum up squared differences from a block's mean, exactly 0 where flat: (N, 1, H, W) to (N, 1, H/side, W/side)."""
    places = range(side**2)
    kernels = torch.tensor([[float(place == other) - 1 / side**2 for other in places] for place in places])
    return (conv2d(luma, kernels.view(side**2, 1, side, side), stride=side) ** 2).sum(dim=1, keepdim=True)


def export(make: Callable[[], torch.nn.Module], golden: Golden, peer: Callable[[], Peer]) -> None:
    """Do what the arguments say, as `export_pair` does, for a graph that has both of `to_decibels`."""
    arguments = parse_arguments()
    if arguments.golden or arguments.map:
        export_pair(make, golden, peer, side_px=4 * SIDE)
        return
    example = torch.zeros(1, 4 * SIDE, 4 * SIDE, 3, dtype=torch.uint8)
    images, scores = {0: "batch", 1: "height", 2: "width"}, {0: "batch"}
    dynamic = {"candidate": images, "reference": images, "score": scores, "uncapped": scores}
    trace(make(), {"candidate": example, "reference": example}, ["score", "uncapped"], dynamic, arguments.output)


def ask_peer(candidate: U8, reference: U8) -> tuple[float, float]:
    """Return PSNR-HVS and PSNR-HVS-M by the package psnr_hvsm, after its own 8-bit luma and without partial blocks."""
    from psnr_hvsm import bt601ycbcr, psnr_hvs_hvsm

    height, width = (side - side % SIDE for side in reference.shape[:2])
    first, second = (bt601ycbcr(image[:height, :width])[0] for image in (reference, candidate))
    plain, masked = psnr_hvs_hvsm(first, second)
    return min(float(plain), CAP_DB), min(float(masked), CAP_DB)
