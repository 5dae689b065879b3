"""Shift-tolerant LPIPS (Ghildyal and Liu, ECCV 2022): trunks that blur before they skip pixels."""

import torch
from _golden import U8, Peer, do_without
from torch.nn.functional import conv2d, pad


class Halve(torch.nn.Module):
    """Blur, then keep every second row and column; 2 px of mirrored border, one more than the blur needs."""

    kernel: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (torch.outer(taps, taps) / 16).repeat(channels, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return conv2d(pad(x, (2, 2, 2, 2), mode="reflect"), self.kernel, stride=2, groups=len(self.kernel))


def peer_on(net: str) -> Peer:
    """Return the authors' own module on the trunk `net`, in float32 as they run it."""
    do_without("torchvision", "torchvision.models", "torchsummary", "IPython")
    from stlpips_pytorch import stlpips, utils

    theirs = stlpips.LPIPS(net=net, variant="shift_tolerant", verbose=False)

    def distance(candidate: U8, reference: U8) -> float:
        with torch.inference_mode():
            return float(theirs(utils.im2tensor(candidate), utils.im2tensor(reference)))

    return distance
