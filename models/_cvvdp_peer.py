"""ColorVideoVDP by its authors' own program."""

import sys
from typing import Any

import torch
from _cvvdp_display import Display
from _golden import Peer, do_without
from torch.nn.functional import conv2d, pad


def peer_on(display: Display) -> Peer:
    """Return the `cvvdp` package's prediction on a display, in JOD."""
    program = program_on(display)
    return lambda candidate, reference: float(program.predict(candidate, reference, dim_order="HWC")[0])


def program_on(display: Display, heatmap: str | None = None) -> Any:
    """Return the `cvvdp` package's metric for a display; torchvision need not be there."""
    do_without("ffmpeg", "tqdm", "torchvision", "torchvision.transforms", "pycvvdp.cvvdp_ml_metric")
    sys.modules["tqdm"].tqdm = lambda steps, **_: steps  # type: ignore[attr-defined]
    sys.modules["torchvision.transforms"].GaussianBlur = GaussianBlur  # type: ignore[attr-defined]
    from pycvvdp import cvvdp

    torch.set_grad_enabled(False)
    return cvvdp(display_name=display.name, heatmap=heatmap, device=torch.device("cpu"), quiet=True)


class GaussianBlur(torch.nn.Module):
    """Does to one channel what torchvision's does: a window with a sum of 1, and a mirror before it."""

    def __init__(self, taps: int, sigma: float) -> None:
        super().__init__()
        self.radius = taps // 2
        window = torch.exp(-0.5 * (torch.linspace(-self.radius, self.radius, taps) / sigma) ** 2)
        window /= window.sum()
        self.window = (window[:, None] * window)[None, None]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return conv2d(pad(image, [self.radius] * 4, mode="reflect"), self.window)
