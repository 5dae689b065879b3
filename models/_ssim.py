"""Structural similarity of windows, with the authors' Gaussian: what ms-ssim and ssim-downsampled share."""

import torch
from _window import gaussian, slide

WINDOW = gaussian(1.5, 11)
C1, C2 = 0.01**2, 0.03**2


def compare(planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compare two times three planes of -0.5 to 0.5 in luminance and in structure, wherever a window fits.

    Structure is computed as 1 - its loss, which keeps the digits of similar images. Luminance has the paper's form,
    which keeps those of unlike ones: ms-ssim takes a small power of its average.

    Args:
        planes: (N, 6, H, W), a candidate's and then a reference's; a difference of squares keeps the most digits
            around 0.

    Returns:
        Two tensors (N, 3, H - 10, W - 10) of at most 1.
    """
    x, y = planes.split(3, dim=1)
    d = x - y
    blurred = slide(torch.cat([x, y, x * x + y * y, d * d], dim=1), WINDOW, WINDOW)
    mx, my, mss, mdd = blurred.split(3, dim=1)
    md = mx - my
    lx, ly = mx + 0.5, my + 0.5
    luminance = (2 * lx * ly + C1) / (lx * lx + ly * ly + C1)
    structure = 1 - (mdd - md * md) / (mss - mx * mx - my * my + C2)
    return luminance, structure
