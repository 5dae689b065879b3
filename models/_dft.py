"""The discrete Fourier transform as two matrix products, of planes of any size.

A plane X of real numbers becomes B X Bᵀ in the orthonormal basis of cosines and sines along its columns and rows, and
Bᵀ Z B brings it back. A filter G(u, v), real in the frequency plane, answers an image with complex numbers; both their
parts come from the four planes of Z (cosines or sines along either axis) by products at each pair of frequencies.
"""

import math

import torch


def basis(size: torch.Tensor) -> torch.Tensor:
    """Return the real Fourier basis of `size` places: (2 F, size), with F = size // 2 + 1 cosines and as many sines.

    The rows are orthonormal, but for the sines of frequency 0 and of half the size, which are 0.
    """
    count = size // 2 + 1
    places, frequencies = torch.arange(size), torch.arange(count)
    # Products of whole numbers modulo the size are exact, so that each entry is as good as float32 can be.
    turns = (frequencies[:, None].to(torch.int32) * places.to(torch.int32)) % size.to(torch.int32)
    cosines, sines = _circle(places, size)
    has_partner = (2 * frequencies % size != 0).to(torch.float32)
    scale = ((1 + has_partner) / size).sqrt()[:, None]
    return torch.cat([cosines[turns] * scale, sines[turns] * (scale * has_partner[:, None])])


def _circle(places: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and sine of 2 π places / size, from angles of at most π / 4, whose rounding is small."""
    eighths = 8 * places
    quarter = (eighths + size) // (2 * size)
    angle = (eighths - 2 * size * quarter).to(torch.float32) * (math.pi / 4) / size
    cosine, sine = angle.cos(), angle.sin()
    quarter = quarter % 4
    is_odd, is_back, is_left = quarter % 2 == 1, quarter >= 2, (quarter == 1) | (quarter == 2)
    across, up = torch.where(is_odd, sine, cosine), torch.where(is_odd, cosine, sine)
    return torch.where(is_left, -across, across), torch.where(is_back, -up, up)
