"""Drawings without faults: what photographs never show, even areas, smooth shading, clean outlines and letters."""

import string

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Rng = np.random.Generator
SIDE_PX, SMOOTHING = 512, 2
"""Of a drawing, and how many times larger it is drawn, so that outlines come out smooth."""


def draw(rng: Rng) -> Image.Image:
    """Draw a scene of shapes, one over the other, on a ground."""
    side = SIDE_PX * SMOOTHING
    canvas = paint(side, rng)
    for _ in range(rng.integers(4, 28)):
        shape = shapes(side, rng)
        colours = paint(side, rng)
        canvas = np.where(shape[..., None], colours, canvas)
    large = Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))
    return large.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX)


def paint(side: int, rng: Rng) -> F32:
    """Return colours: even, running from one to another along a line or around a place, or in stripes."""
    first, second = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1, 2)
    along = x * np.cos(angle) + y * np.sin(angle)
    kind = rng.integers(4)
    if kind == 0:
        share = np.zeros_like(along)
    elif kind == 1:
        share = (along - along.min()) / np.ptp(along)
    elif kind == 2:
        share = np.clip(np.hypot(y - centre[0], x - centre[1]) / rng.uniform(0.1, 1), 0, 1)
    else:
        share = (np.floor(along * rng.uniform(4, 60)) % 2).astype(np.float32)
    return (first + (second - first) * share[..., None]).astype(np.float32)


def shapes(side: int, rng: Rng) -> NDArray[np.bool_]:
    """Return where an ellipse, a polygon, a line or a line of letters covers the canvas."""
    mask = Image.new("1", (side, side))
    pen = ImageDraw.Draw(mask)
    centre, size = rng.uniform(0, side, 2), rng.uniform(0.02, 0.4) * side
    kind = rng.integers(4)
    if kind == 0:
        reach = size * rng.uniform(0.3, 1, 2)
        pen.ellipse([*(centre - reach), *(centre + reach)], fill=1)
    elif kind == 1:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        corners = centre + size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        pen.polygon([tuple(corner) for corner in corners], fill=1)
    elif kind == 2:
        ends = [tuple(point) for point in centre + rng.normal(0, size, (rng.integers(2, 6), 2))]
        pen.line(ends, fill=1, width=int(rng.integers(1, 30)), joint="curve")
    else:
        letters = "".join(rng.choice([*string.ascii_letters, *string.digits, " "], rng.integers(4, 24)))
        pen.text(tuple(centre - size), letters, fill=1, font=ImageFont.load_default(float(rng.uniform(16, 140))))
    return np.asarray(mask)
