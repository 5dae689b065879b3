"""What Butteraugli takes an eye to make of one image: opponent colours, and bands of detail from coarse to finest.

Constants and formulas are those of libjxl 0.11.2 (lib/jxl/butteraugli/butteraugli.cc, BSD-3-Clause).
"""

import math
from typing import NamedTuple

import torch
from _colour import mix
from _polyphase import Polyphase
from torch.nn.functional import conv2d

NITS = 80.0
"""Light of white, in cd/m²."""
ABSORBANCE = (
    (0.29956550340058319, 0.63373087833825936, 0.077705617820981968),
    (0.22158691104574774, 0.69391388044116142, 0.0987313588422),
    (0.02, 0.02, 0.20480129041026129),
)
"""How much of R, G and B each of three receptors takes up."""
ABSORBED_IN_THE_DARK = (1.7557483643287353, 1.7557483643287353, 12.226454707163354)
LOG_GAIN, LOG_BIAS, LOG_OFFSET = 19.245013259874995, 9.9710635769299145, -23.16046239805755
SIGMA_ADAPTATION, SIGMA_LOW, SIGMA_MIDDLE, SIGMA_HIGH = 1.2, 7.15593339443, 3.22489901262, 1.56416327805
SIGMAS = 2.25
"""Where a blur's window ends, in sigmas."""
SUPPRESSED_HALF, LEFT = 46.0, 0.653020556257
MIDDLE_X_REMOVED, MIDDLE_Y_AMPLIFIED = 0.29, 0.1
HIGH_X_REMOVED, HIGH_Y_AMPLIFIED, HIGH_Y_GAIN, HIGH_Y_MOST = 1.5, 0.132, 2.155, 28.4691806922
FINEST_X_REMOVED, FINEST_Y_GAIN, FINEST_Y_MOST = 0.04, 2.69313763794, 5.19175294647
BEYOND_MOST = 0.724216145665
MIRRORED = (slice(1, 2), slice(0, 1), slice(None), slice(-1, None), slice(-2, -1))
"""Lines with two more at both ends, as a mirror there shows them."""


class Bands(NamedTuple):
    """One image: `low` (N, 3, H, W) in X, Y and B; every other plane (N, 1, H, W)."""

    low: torch.Tensor
    middle_x: torch.Tensor
    middle_y: torch.Tensor
    middle_b: torch.Tensor
    high_x: torch.Tensor
    high_y: torch.Tensor
    finest_x: torch.Tensor
    finest_y: torch.Tensor


def window_of(sigma: float) -> list[float]:
    """Return the weights of a Gaussian that ends at 2.25 sigma, with a sum of 1."""
    reach = int(SIGMAS * sigma)
    weights = [math.exp(-(tap**2) / (2 * sigma**2)) for tap in range(-reach, reach + 1)]
    return [weight / math.fsum(weights) for weight in weights]


class Blur(torch.nn.Module):
    """Average by a Gaussian window; at a border, over the part of the window that lies inside."""

    window: torch.Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        window = window_of(sigma)
        self.reach = len(window) // 2
        self.slide = Polyphase(window, zeros=self.reach)
        self.register_buffer("window", torch.tensor(window)[None, None, None])

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Blur (N, C, H, W), which keeps its size."""
        ones = torch.ones_like(planes.narrow(0, 0, 1).narrow(1, 0, 1))
        along = conv2d(ones.narrow(2, 0, 1), self.window, padding=(0, self.reach))
        down = conv2d(ones.narrow(3, 0, 1), self.window.transpose(2, 3), padding=(self.reach, 0))
        return self.slide(planes).view_as(planes) / (along * down)


class MirrorBlur(torch.nn.Module):
    """Average by a Gaussian window of five taps; at a border, over the mirrored plane."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.slide = Polyphase(window_of(sigma), zeros=0)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Blur (N, C, H, W), which keeps its size; the outermost pixel stands on both sides of the mirror."""
        rows = torch.cat([planes[:, :, line] for line in MIRRORED], dim=2)
        mirrored = torch.cat([rows[..., line] for line in MIRRORED], dim=3)
        return self.slide(mirrored).view_as(planes)


class Eye(torch.nn.Module):
    """Split an image into bands, with the small values of some taken away, doubled or held down."""

    def __init__(self) -> None:
        super().__init__()
        self.adaptation = MirrorBlur(SIGMA_ADAPTATION)
        self.low, self.middle, self.high = Blur(SIGMA_LOW), Blur(SIGMA_MIDDLE), Blur(SIGMA_HIGH)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> Bands:
        """Split the light of two images, (N, 3, H, W) in R, G and B of 0 to 1, and stack what is seen: 2 N rows."""
        # Not stacked before the logarithm: its last digit may depend on where in memory a number lies.
        colours = torch.cat([self._opponent(first), self._opponent(second)])
        low = self.low(colours)
        rest = colours - low
        middle = self.middle(rest)
        middle_x, middle_y, middle_b = middle.split(1, dim=1)
        fine_x, fine_y, _ = (rest - middle).split(1, dim=1)
        fine_x = fine_x * (LEFT + (1 - LEFT) * SUPPRESSED_HALF / (fine_y * fine_y + SUPPRESSED_HALF))
        high_x, high_y = self.high(torch.cat([fine_x, fine_y], dim=1)).split(1, dim=1)
        high_y = _hold(high_y, HIGH_Y_MOST)
        return Bands(
            low,
            _remove(middle_x, MIDDLE_X_REMOVED),
            _amplify(middle_y, MIDDLE_Y_AMPLIFIED),
            middle_b,
            _remove(high_x, HIGH_X_REMOVED),
            _amplify(high_y * HIGH_Y_GAIN, HIGH_Y_AMPLIFIED),
            _remove(fine_x - high_x, FINEST_X_REMOVED),
            _hold(fine_y - high_y, FINEST_Y_MOST) * FINEST_Y_GAIN,
        )

    def _opponent(self, light: torch.Tensor) -> torch.Tensor:
        """Turn light into X (red against green), Y and B, by receptors whose gain falls with the light around them."""
        dark = torch.tensor(ABSORBED_IN_THE_DARK)[:, None, None]
        around = _absorb(self.adaptation(light)) + dark
        gain = (torch.log(around + LOG_BIAS) * LOG_GAIN + LOG_OFFSET) / around
        long, middle, short = torch.maximum((_absorb(light) + dark) * gain, dark).split(1, dim=1)
        return torch.cat([long - middle, long + middle, short], dim=1)


def _absorb(light: torch.Tensor) -> torch.Tensor:
    """Mix light, of 0 to 1, into what three receptors take up: (N, 3, H, W)."""
    return mix(light, [[share * NITS for share in receptor] for receptor in ABSORBANCE])


def _remove(plane: torch.Tensor, most: float) -> torch.Tensor:
    """Take away values up to `most`, and that much from larger ones."""
    return plane - plane.clamp(-most, most)


def _amplify(plane: torch.Tensor, most: float) -> torch.Tensor:
    """Double values up to `most`, and add that much to larger ones."""
    return plane + plane.clamp(-most, most)


def _hold(plane: torch.Tensor, most: float) -> torch.Tensor:
    """Let values beyond `most` grow more slowly."""
    held = plane.clamp(-most, most)
    return held + (plane - held) * BEYOND_MOST
