"""ssimulacra2 against the scores that its authors' program gave, and against the definition in double precision.

The authors blur by a recursion whose float32 rounding gathers along every row and column; the graph sums the nine taps
that the recursion amounts to. So the graph equals the definition closely, and the program only to what it rounds.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from model_code import Load

FOLDER = Path(__file__).resolve().parents[2] / "models" / "ssimulacra2"
SIDES = ((8, 8), (14, 40), (15, 15), (29, 28), (56, 61), (113, 57), (113, 114), (131, 200))
"""Each number of scales, at the least side that has it and at the largest that has not; odd sides too."""
LEVELS = np.arange(256) / 255
LIGHT = np.where(LEVELS <= 0.04045, LEVELS / 12.92, ((LEVELS + 0.055) / 1.055) ** 2.4)
"""Of an sRGB level."""

Pixels = NDArray[np.uint8]
Planes = NDArray[np.floating[Any]]


@pytest.fixture
def weights(load: Load) -> Planes:
    """Return the 108 weights of export.py: the published scores check them, and they are written down once."""
    pytest.importorskip("torch", reason="torch is not installed: beholder[export]")
    return np.array(load("ssimulacra2/export.py").WEIGHTS).ravel()


def ask(candidate: Pixels, reference: Pixels, graph: str = "model") -> dict[str, Any]:
    """Run a committed graph on one pair."""
    session = open_session("ssimulacra2", (FOLDER / f"{graph}.onnx").read_bytes(), Device("cpu", 0, 1), {})
    return session.run({"candidate": candidate[None], "reference": reference[None]})


def score(candidate: Pixels, reference: Pixels) -> float:
    return float(ask(candidate, reference)["score"][0])


def read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def ladder(shared: Path) -> list[tuple[Pixels, Pixels, float]]:
    """Return (candidate, reference, the program's score) of one photograph in four qualities of JPEG."""
    folder = shared / "testdata" / "ssimulacra2" / "jpeg_quality"
    with (folder / "expected.csv").open() as file:
        rows = [(row["file"], float(row["expected_ssimulacra2_cpp"])) for row in csv.DictReader(file)]
    return [(read(folder / name), read(folder / "source.png"), expected) for name, expected in rows]


def synthetic(shared: Path) -> dict[str, float]:
    """Return how far the graph is from the program, by the name of a synthetic pair that is not two equal images."""
    folder = shared / "testdata" / "ssimulacra2" / "synthetic"
    with (folder / "expected.csv").open() as file:
        expected = {row["name"]: float(row["expected_score"]) for row in csv.DictReader(file)}
    names = sorted(path.name.removesuffix(".ref.png") for path in folder.glob("*.ref.png"))
    pairs = {name: (read(folder / f"{name}.dist.png"), read(folder / f"{name}.ref.png")) for name in names}
    return {name: score(*pair) - expected[name] for name, pair in pairs.items()}


def recurse(planes: Planes, dtype: DTypeLike) -> Planes:
    """Blur along the first axis as the authors do, by three resonators that each step feeds with two samples."""
    radius, sigma = 5, 1.5
    waves = np.array([1, 3, 5]) * np.pi / (2 * radius)
    p = np.array([1, -1, 1]) / np.tan(waves / 2)
    r = np.array([1, -1, 1]) * p**2 / np.sin(waves)
    gaussian = np.exp(-0.5 * (sigma * waves) ** 2) / radius
    across = np.cross(p, r)
    amplitudes = np.linalg.solve([p, r, across], [1, radius**2 - sigma**2, across @ gaussian])
    feed = (-amplitudes * np.cos(waves * (radius + 1))).astype(dtype)
    back = (2 * np.cos(waves)).astype(dtype)
    length = len(planes)
    padded = np.pad(planes.astype(dtype), [(2 * radius, radius), *[(0, 0)] * (planes.ndim - 1)])
    before = last = np.zeros((3, *planes.shape[1:]), dtype)
    blurred = []
    for step in range(1 - radius, length):
        pair = padded[step + radius - 1] + padded[step + 3 * radius - 1]
        here = np.multiply.outer(feed, pair) + back.reshape(3, *[1] * pair.ndim) * last - before
        before, last = last, here
        blurred.append(here[0] + (here[1] + here[2]))
    return np.stack(blurred[radius - 1 :])


def to_xyb(light: Planes) -> Planes:
    """Turn light (h, w, 3) into XYB as libjxl defines it, moved to about 0 to 1."""
    bias = 0.0037930732552754493
    cones = np.array([[0.3, 0.622, 0.078], [0.23, 0.692, 0.078], [0.24342268924547819, 0.20476744424496821, 0]])
    cones[2, 2] = 1 - cones[2].sum()
    a, b, c = np.moveaxis(np.cbrt(light @ cones.T + bias) - np.cbrt(bias), -1, 0)
    x, y = (a - b) / 2, (a + b) / 2
    return np.stack([14 * x + 0.42, y + 0.01, c - y + 0.55], axis=-1)


def errors_of(x: Planes, y: Planes, dtype: DTypeLike) -> Planes:
    """Return structure, ringing and blurring of each channel (h, w, 3 channels, 3 errors), with the words of SSIM."""
    stack = np.stack([x, y, x * x, y * y, x * y], axis=-1).astype(dtype)
    blurred = recurse(np.swapaxes(recurse(np.swapaxes(stack, 0, 1), dtype), 0, 1), dtype)
    mx, my, xx, yy, xy = np.moveaxis(blurred, -1, 0)
    similarity = (1 - (mx - my) ** 2) * (2 * (xy - mx * my) + 0.0009) / ((xx - mx * mx) + (yy - my * my) + 0.0009)
    edges = (1 + abs(y - my)) / (1 + abs(x - mx)) - 1
    return np.stack([1 - similarity, edges, -edges], axis=-1).clip(min=0).astype(np.float64)


def define(candidate: Pixels, reference: Pixels, weights: Planes, dtype: DTypeLike = np.float64) -> float:
    """Score a pair by the definition; `dtype` is what the blurs compute with."""
    x, y = LIGHT[reference], LIGHT[candidate]
    norms: list[Planes] = []
    for _ in range(6):
        errors = errors_of(to_xyb(x), to_xyb(y), dtype)
        norms.append(np.stack([errors.mean((0, 1)), (errors**4).mean((0, 1)) ** 0.25], axis=1))
        if min(x.shape[:2]) < 8:
            break
        x, y = halve(x), halve(y)
    flat = np.stack(norms, axis=1).ravel()
    return bend(flat @ weights[: flat.size])


def halve(light: Planes) -> Planes:
    """Average 2 by 2 pixels; an odd last row or column stands for two."""
    light = np.pad(light, [(0, side % 2) for side in light.shape[:2]] + [(0, 0)], mode="edge")
    return (light[::2, ::2] + light[1::2, ::2] + light[::2, 1::2] + light[1::2, 1::2]) / 4


def bend(error: float) -> float:
    """Turn a weighted error into a score."""
    error *= 0.9562382616834844
    bent = 2.326765642916932 * error - 0.020884521182843837 * error**2 + 6.248496625763138e-05 * error**3
    return float(100 - 10 * bent**0.6276336467831387)


def test_the_jpeg_ladder_is_as_near_as_the_program_rounds(shared: Path) -> None:
    for candidate, reference, expected in ladder(shared):
        assert score(candidate, reference) == pytest.approx(expected, abs=0.25)


def test_synthetic_pairs_differ_only_where_all_is_flat(shared: Path) -> None:
    differences = synthetic(shared)
    assert len(differences) == 26
    shifts = [difference for name, difference in differences.items() if name.startswith("uniform_shift")]
    smooth = [difference for name, difference in differences.items() if name.startswith("gradient_vs")]
    others = [differences[name] for name in ("noise_vs_uniform_64x64", "noise_vs_sharpen_64x64")]
    assert max(map(abs, shifts)) < 2
    assert max(map(abs, smooth)) < 0.6
    assert max(map(abs, others)) < 0.002


def test_the_graph_equals_the_definition_of_the_ladder(shared: Path, weights: Planes) -> None:
    for candidate, reference, _ in ladder(shared):
        assert score(candidate, reference) == pytest.approx(define(candidate, reference, weights), abs=1e-3)


def test_float32_in_the_blur_alone_loses_what_the_program_loses(shared: Path, weights: Planes) -> None:
    """Each order of rounding loses another amount, so that the program's own cannot be had from sums."""
    candidate, reference, expected = ladder(shared)[-1]
    exact = define(candidate, reference, weights)
    assert 0.1 < exact - expected < 0.25
    assert 0.1 < exact - define(candidate, reference, weights, np.float32) < 1


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_each_number_of_scales_equals_the_definition(sides: tuple[int, int], weights: Planes) -> None:
    rng = np.random.default_rng(11)
    rows, columns = np.mgrid[: sides[0], : sides[1]]
    waves = [90 + 60 * np.sin(rows / (5 + c) + columns / (9 - c)) for c in range(3)]
    reference = np.stack(waves, axis=2).astype(np.uint8)
    candidate = np.clip(reference + rng.normal(0, 6, reference.shape), 0, 255).astype(np.uint8)
    assert score(candidate, reference) == pytest.approx(define(candidate, reference, weights), abs=1e-3)


def test_the_map_is_white_where_the_damage_is_and_black_far_away() -> None:
    reference = np.random.default_rng(12).integers(60, 200, (256, 320, 3), dtype=np.uint8)
    candidate = reference.copy()
    candidate[40:72, 240:272] = 128
    answer = ask(candidate, reference, "map")
    drawn = answer["map"][0]
    assert drawn.shape == reference.shape[:2]
    assert answer["score"][0] == pytest.approx(score(candidate, reference), abs=1e-4)
    assert drawn[48:64, 248:264].min() > 50
    assert drawn[128:, :80].max() < 1e-4


def test_the_map_of_an_even_change_is_what_an_image_of_it_would_lose(weights: Planes) -> None:
    """Away from the border nothing but the means differs, by the same amount at each scale."""
    grey, brighter = (to_xyb(np.full(3, LIGHT[level])) for level in (128, 148))
    of_structure = weights.reshape(3, 6, 2, 3)[..., 0].sum((1, 2))
    reference = np.full((512, 512, 3), 128, np.uint8)
    drawn = ask(reference + np.uint8(20), reference, "map")["map"][0]
    assert drawn[256, 256] == pytest.approx(100 - bend(of_structure @ (brighter - grey) ** 2), abs=1e-3)
