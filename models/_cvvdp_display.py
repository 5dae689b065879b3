"""What ColorVideoVDP knows of a screen: how large its pixels are seen, and the light that its colours give."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from _colour import linearise

XYZ_OF_RGB = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
LMS_OF_XYZ = (
    (0.187596268556126, 0.585168649077728, -0.026384263306304),
    (-0.133397430663221, 0.405505777260049, 0.034502127690364),
    (0.000244379021663, -0.000542995890619, 0.019406849066323),
)
"""Cone responses (CIE 2006)."""
DKL_OF_LMS = ((1.0, 1.0, 0.0), (1.0, -2.311130179947035, 0.0), (-1.0, -1.0, 50.977571328718781))
"""Luminance, red-green and yellow-violet; greys of D65 have none of these colours."""
CONTRAST = 1000
REFLECTED = 0.005

SECOND_BAND = 0.3228
"""The peak of the second band of a pyramid, in half the pixels per degree, where the first has its own."""
LOWEST_CPD = 0.2
"""The last band is the first that does not reach above this."""


@dataclass(frozen=True)
class Display:
    """A screen and who sits before it.

    Attributes:
        name: in the authors' list.
        size_px: width and height.
        peak: luminance of white, in cd/m².
        ambient_lux: light in the room.
    """

    name: str
    size_px: tuple[int, int]
    diagonal_inches: float
    distance_m: float
    peak: float = 200.0
    ambient_lux: float = 250.0

    def black(self) -> float:
        """Return the luminance of black: what shines through and what is reflected, in cd/m²."""
        return self.peak / CONTRAST + self.ambient_lux * REFLECTED / math.pi

    def pixels_per_degree(self) -> float:
        """Return how many pixels a degree of sight holds in the middle of the screen."""
        pixel_m = self.diagonal_inches * 0.0254 / math.hypot(*self.size_px)
        return 1 / math.degrees(2 * math.atan(pixel_m / 2 / self.distance_m))

    def bands_cpd(self) -> list[float]:
        """Return the peak of each band, in cycles per degree."""
        finest = self.pixels_per_degree() / 2
        peaks = [finest]
        while peaks[-1] > LOWEST_CPD:
            peaks.append(finest * SECOND_BAND / 2 ** (len(peaks) - 1))
        return peaks


STANDARD_4K = Display("standard_4k", (3840, 2160), diagonal_inches=30, distance_m=0.7472)
STANDARD_FHD = Display("standard_fhd", (1920, 1080), diagonal_inches=24, distance_m=0.6)


class Emit(torch.nn.Module):
    """Shows sRGB bytes (N, H, W, 3): luminance in cd/m² and two colours, (N, 3, H, W)."""

    light: torch.Tensor
    matrix: torch.Tensor

    def __init__(self, display: Display) -> None:
        super().__init__()
        light = linearise(torch.arange(256, dtype=torch.float64) / 255) * display.peak * (1 - 1 / CONTRAST)
        matrix = np.array(DKL_OF_LMS) @ np.array(LMS_OF_XYZ) @ np.array(XYZ_OF_RGB)
        self.register_buffer("light", (light + display.black()).to(torch.float32))
        self.register_buffer("matrix", torch.tensor(matrix, dtype=torch.float32))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        planes = pixels.permute(0, 3, 1, 2)
        # ONNX Runtime is four times as fast here as with index_select, and with matmul as with a convolution.
        light = self.light.gather(0, planes.reshape(-1).to(torch.int32))
        return torch.matmul(self.matrix, light.reshape(-1, 3, planes.shape[2] * planes.shape[3])).reshape(planes.shape)
