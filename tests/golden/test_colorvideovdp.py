"""colorvideovdp where size decides: how deep its pyramid goes, where it ends, and what is blurred there.

Expected numbers are those of the authors' program, cvvdp 0.5.7, on the screen that the scorer's card names.
"""

import functools
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device, Session

REPO = Path(__file__).resolve().parents[2]
SCREENS = ("colorvideovdp", "colorvideovdp-hd")
BY_SIZE = {
    (2, 2): (9.334279, 9.334279),
    (3, 5): (9.382101, 9.382101),
    (4, 7): (9.413915, 9.413915),
    (8, 9): (9.539416, 9.539409),
    (9, 8): (9.598138, 9.598137),
    (6, 300): (9.570934, 9.570934),
    (31, 32): (9.798285, 9.470537),
    (32, 33): (9.788163, 9.483544),
    (63, 64): (9.710295, 9.369692),
    (65, 64): (9.717277, 9.412035),
    (127, 130): (9.427771, 8.872140),
    (144, 192): (9.421916, 8.754026),
    (255, 256): (9.383375, 8.702244),
    (257, 256): (9.398358, 8.716964),
    (511, 512): (9.357554, 8.683390),
    (515, 514): (9.362728, 8.688300),
    (600, 900): (9.405221, 8.759647),
}
"""Height and width -> score on either screen: each depth of the pyramid, and each mix of odd and even sides."""
HEATMAPS = {
    "colorvideovdp": (0.033616, {(0, 0): 0.023132, (70, 96): 0.016098, (129, 138): 0.345459, (140, 191): 0.168335}),
    "colorvideovdp-hd": (0.081214, {(0, 0): 0.042206, (70, 96): 0.029068, (129, 138): 0.903320, (140, 191): 0.284424}),
}
"""Of the landscape's first 141 rows: mean of the authors' "raw" heatmap, and pixels of it. They keep it in float16."""
FLAT = {"colorvideovdp": (10, 5.832518, -7.412226), "colorvideovdp-hd": (10, 5.547333, -7.413214)}
"""Black for white, black for red, red for blue."""
JPEG = {(90, "4:4:4"): 9.992, (90, "4:2:0"): 9.976, (75, "4:2:0"): 9.937, (30, "4:2:0"): 9.632}
"""(quality, subsampling) -> score of TID2013's I01 on a 4K screen."""

Pixels = NDArray[np.uint8]


@functools.cache
def session(name: str, graph: str = "model") -> Session:
    return open_session(name, (REPO / "models" / name / f"{graph}.onnx").read_bytes(), Device("cpu", 0, 1), {})


def score(name: str, candidate: Pixels, reference: Pixels) -> float:
    return float(session(name).run({"candidate": candidate[None], "reference": reference[None]})["score"][0])


def draw(name: str, candidate: Pixels, reference: Pixels) -> NDArray[np.float32]:
    return session(name, "map").run({"candidate": candidate[None], "reference": reference[None]})["map"][0]


def landscape(height: int, width: int) -> tuple[Pixels, Pixels]:
    """Return a JPEG and its original, mirrored until they are large enough, and cut."""
    pair = []
    for file in ("landscape-q30.jpg", "landscape.png"):
        with Image.open(REPO / "tests" / "assets" / file) as image:
            pixels = np.asarray(image.convert("RGB"))
        missing = [(0, max(0, want - side)) for want, side in zip((height, width), pixels.shape, strict=False)]
        pair.append(np.pad(pixels, [*missing, (0, 0)], mode="symmetric")[:height, :width])
    return pair[0], pair[1]


@pytest.mark.parametrize("size", BY_SIZE, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_each_size_scores_as_in_the_authors_program(name: str, size: tuple[int, int]) -> None:
    assert score(name, *landscape(*size)) == pytest.approx(BY_SIZE[size][SCREENS.index(name)], abs=2e-5)


@pytest.mark.parametrize("name", SCREENS)
def test_the_map_is_the_authors_heatmap(name: str) -> None:
    mean, pixels = HEATMAPS[name]
    heatmap = draw(name, *landscape(141, 192))
    assert heatmap.shape == (141, 192)
    assert heatmap.mean() == pytest.approx(mean, rel=1e-3)
    assert [heatmap[place] for place in pixels] == pytest.approx([*pixels.values()], rel=1e-3)
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (129, 138)


@pytest.mark.parametrize("size", [(2, 2), (5, 64), (513, 512)])
@pytest.mark.parametrize("name", SCREENS)
def test_the_map_of_equal_images_is_black(name: str, size: tuple[int, int]) -> None:
    _, reference = landscape(*size)
    assert not draw(name, reference, reference).any()


@pytest.mark.parametrize("name", SCREENS)
def test_flat_images_differ_by_colour_and_not_by_brightness(name: str) -> None:
    """Each image is seen relative to its own light: the authors' program too gives black on white 10."""
    black, white, red, blue = (
        np.full((37, 64, 3), colour, np.uint8) for colour in [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255)]
    )
    scores = score(name, black, white), score(name, black, red), score(name, red, blue)
    assert scores == pytest.approx(FLAT[name], abs=2e-5)
    assert all(np.isfinite(draw(name, image, reference)).all() for image in (black, red) for reference in (white, blue))


def test_the_jpegs_of_a_photograph_score_as_published(shared: Path) -> None:
    with Image.open(shared / "testdata" / "piq" / "I01.BMP") as image:
        original = image.convert("RGB")
    scores = {}
    for quality, subsampling in JPEG:
        data = io.BytesIO()
        original.save(data, "JPEG", quality=quality, subsampling=subsampling)
        with Image.open(data) as image:
            scores[quality, subsampling] = score("colorvideovdp", np.asarray(image), np.asarray(original))
    assert scores == pytest.approx(JPEG, abs=6e-4)
