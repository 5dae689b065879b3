"""Butteraugli where borders, sizes and flat colours decide: the numbers are those of libjxl 0.11.2."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device, Session

REPO = Path(__file__).resolve().parents[2]
NAMES = ("butteraugli", "butteraugli-3norm")
CORNER_PX = 60
"""Where the crops begin, down and right."""
CROPS = {
    (8, 8): (13.8851051331, 11.366545),
    (8, 40): (15.1786165237, 9.894312),
    (9, 13): (15.0237789154, 10.059751),
    (14, 40): (16.6647491455, 11.145296),
    (15, 14): (16.3811893463, 11.308038),
    (15, 15): (18.902677536, 13.105332),
    (16, 31): (18.6121730804, 12.861547),
    (33, 64): (21.9582958221, 13.367879),
    (101, 77): (21.9469223022, 12.028731),
}
"""(height, width) of poster-shift1.png against poster.png -> largest distance, 3-norm."""
TURNED = {(15, 15): (19.7534561157, 13.231904), (101, 77): (22.4041748047, 11.989852)}
"""The same with candidate and reference changed."""
FLAT = {
    ((0, 0, 0), (255, 255, 255)): (427.1622314453, 427.159261),
    ((255, 255, 255), (0, 0, 0)): (427.1563110352, 427.14715),
    ((128, 128, 128), (129, 129, 129)): (2.1478002071, 2.147633),
    ((0, 0, 0), (1, 1, 1)): (0.4958900809, 0.495711),
    ((255, 255, 255), (254, 254, 254)): (1.4043102264, 1.404132),
    ((128, 128, 128), (136, 128, 128)): (9.2114048004, 9.211176),
    ((128, 128, 128), (128, 136, 128)): (14.7411642075, 14.740759),
    ((128, 128, 128), (128, 128, 136)): (4.3464174271, 4.346282),
}
"""Colours of reference and candidate, 40 by 48 px -> largest distance, 3-norm."""
FLAT_TOLERANCE = 3e-4
"""What the few digits of libjxl's logarithm come to where a step of one level is all there is."""

Pixels = NDArray[np.uint8]


@cache
def session(name: str, graph: str = "model.onnx", threads: int = 1) -> Session:
    """Open a committed graph."""
    return open_session(name, (REPO / "models" / name / graph).read_bytes(), Device("cpu", 0, threads), {})


def ask(candidate: Pixels, reference: Pixels) -> list[float]:
    """Return the largest distance and the 3-norm."""
    pair = {"candidate": candidate[None], "reference": reference[None]}
    return [float(session(name).run(pair)["score"][0]) for name in NAMES]


def crop(name: str, size: tuple[int, int]) -> Pixels:
    """Cut `size`, (height, width), out of a picture."""
    with Image.open(REPO / "tests" / "assets" / name) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels[CORNER_PX : CORNER_PX + size[0], CORNER_PX : CORNER_PX + size[1]]


@pytest.mark.parametrize("size", CROPS)
def test_any_size_has_libjxls_distance(size: tuple[int, int]) -> None:
    assert ask(crop("poster-shift1.png", size), crop("poster.png", size)) == pytest.approx(CROPS[size], rel=2e-5)


@pytest.mark.parametrize("size", TURNED)
def test_the_other_order_has_libjxls_other_distance(size: tuple[int, int]) -> None:
    assert ask(crop("poster.png", size), crop("poster-shift1.png", size)) == pytest.approx(TURNED[size], rel=2e-5)


@pytest.mark.parametrize("colours", FLAT)
def test_flat_colours_have_libjxls_distance(colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> None:
    reference, candidate = (np.full((40, 48, 3), colour, np.uint8) for colour in colours)
    assert ask(candidate, reference) == pytest.approx(FLAT[colours], rel=FLAT_TOLERANCE)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_image_twice_is_at_no_distance_whatever_its_size(name: str, threads: int) -> None:
    rng = np.random.default_rng(8)
    for height, width in ((8, 8), (14, 15), (17, 33), (61, 127), (130, 129)):
        noise = rng.integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        answer = session(name, "map.onnx", threads).run({"candidate": noise, "reference": noise})
        assert answer["score"][0] == 0
        assert not answer["map"].any()


def test_the_scores_are_the_largest_and_the_3_norm_of_the_map() -> None:
    size = (61, 77)
    pair = {"candidate": crop("poster-shift1.png", size)[None], "reference": crop("poster.png", size)[None]}
    largest, norm = (session(name, "map.onnx").run(pair) for name in NAMES)
    distances = largest["map"][0].astype(np.float64)
    assert distances.shape == size
    assert np.array_equal(largest["map"], norm["map"])
    assert largest["score"][0] == distances.max()
    norms = [(distances**power).mean() ** (1 / power) for power in (3, 6, 12)]
    assert norm["score"][0] == pytest.approx(np.mean(norms), rel=1e-6)
