"""Descriptions of scorers, as a server gives them."""

from beholder.client import ScorerInfo
from beholder.types import Direction, Kind

PLAIN = ScorerInfo(
    name="quality",
    version=1,
    kind=Kind.QUALITY,
    direction=Direction.HIGHER_IS_BETTER,
    range_=(0.0, 1.0),
    summary="",
    needs_reference=False,
    needs_prompt=False,
    min_side_px=1,
    max_side_px=None,
    labels=(),
    licence="",
    digest="",
    encoder="",
    draws=False,
    ready=True,
    not_ready_reason="",
)
"""A scorer of one image that is ready."""
