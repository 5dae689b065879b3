"""Writes the graph of vif-p: constants only, no weights."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import LUMA, mix_levels
from _export import export_pair
from _golden import Golden, Peer, do_without, to_unit
from _window import gaussian, slide

SIDES = (17, 9, 5, 3)
"""Of the window on each scale; its sigma is a fifth."""
NOISE = 2.0
"""Variance of the noise that the paper gives to the eye, in squared levels."""
FLAT = 0.004
"""A variance below this is 0: float32 cannot tell it from rounding. The peer, in float64, has 1e-8."""
FLOOR = 1e-8


class VifP(torch.nn.Module):
    """Visual information fidelity (Sheikh, Bovik 2006) of luma, in the pixel domain.

    The candidate is worked with as the reference y plus d, so that nothing is lost between similar images:
        gain              g = sxy / syy        =  1 + sdy / syy
        added variance    sxx - g sxy          =  sdd - sdy² / syy
    """

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 or more; sides of at least 41 px."""
        y = mix_levels(reference, [LUMA])
        d = mix_levels(candidate, [LUMA]) - y
        y = y - 128  # variances keep the most digits around 0
        seen, there = _information(y, d, SIDES[0])
        for side in SIDES[1:]:
            window = gaussian(side / 5, side)
            y, d = slide(torch.cat([y, d], dim=1), window, window)[:, :, ::2, ::2].split(1, dim=1)
            more_seen, more_there = _information(y, d, side)
            seen, there = seen + more_seen, there + more_there
        return (seen + FLOOR) / (there + FLOOR)


def _information(y: torch.Tensor, d: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum what an eye learns of the reference y from the candidate y + d, and from itself: (N, 1, H, W) to (N,)."""
    window = gaussian(side / 5, side)
    my, md, yy, dd, dy = slide(torch.cat([y, d, y * y, d * d, d * y], dim=1), window, window).split(1, dim=1)
    yy, dd, dy = yy - my * my, dd - md * md, dy - md * my
    has_detail = yy > FLAT
    divisor = torch.where(has_detail, yy, torch.ones_like(yy))
    gain = (1 + dy / divisor).clamp(min=0)
    # What remains of a negative gain is all added, but then no information is seen at all.
    added = (dd - dy * dy / divisor).clamp(min=0)
    yy = torch.where(has_detail, yy, torch.zeros_like(yy))
    seen, there = torch.log(1 + gain * gain * yy / (added + NOISE)), torch.log(1 + yy / NOISE)
    return seen.sum(dim=3).sum(dim=(1, 2)), there.sum(dim=3).sum(dim=(1, 2))


def peer() -> Peer:
    """Return piq's, in float64."""
    do_without("torchvision", "torchvision.models", "torchvision.models.utils")
    import piq

    return lambda candidate, reference: float(piq.vif_p(to_unit(candidate), to_unit(reference)))


GOLDEN = Golden(
    __file__,
    peer="piq 0.8.0",
    how="piq.vif_p(candidate, reference, data_range=1.0) in float64",
    tolerance=3e-6,
    reason="float32 rounding of variances, against float64",
    min_side_px=41,
    identity=1.0,
    is_symmetric=False,
)

if __name__ == "__main__":
    export_pair(VifP, GOLDEN, peer, side_px=64)
