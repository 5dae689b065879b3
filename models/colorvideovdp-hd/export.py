"""Writes the graph of colorvideovdp-hd: published constants, no weights."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _cvvdp import ColorVideoVdp
from _cvvdp_display import STANDARD_FHD
from _cvvdp_peer import peer_on
from _export import export_pair
from _golden import Golden, Peer


def peer() -> Peer:
    """Return the authors' own metric on this display."""
    return peer_on(STANDARD_FHD)


GOLDEN = Golden(
    __file__,
    peer="cvvdp 0.5.7",
    how='cvvdp(display_name="standard_fhd").predict(candidate, reference, dim_order="HWC")',
    tolerance=2e-5,
    reason="float32 rounding on both sides",
    min_side_px=2,
    is_symmetric=False,
)

if __name__ == "__main__":
    export_pair(partial(ColorVideoVdp, STANDARD_FHD), GOLDEN, peer, side_px=32)
