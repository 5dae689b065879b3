"""BRISQUE, NIQE and PIQE: what their authors' MATLAB said, what their formulas say, and images without contrast."""

import functools
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import correlate
from scipy.special import gamma

from beholder.types import U8, RawImage
from golden.test_golden import Find, finder, run

torch = pytest.importorskip("torch", reason="torch is not installed: beholder[export]")

MODELS = Path(__file__).resolve().parents[2] / "models"
NAMES = ("brisque", "niqe", "piqe")
F64 = NDArray[np.float64]


@pytest.fixture(scope="session")
def on_cpu() -> Find:
    """Return a function that loads a scorer by name."""
    return finder("cpu")


@pytest.fixture
def nss(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the maths that the three share."""
    monkeypatch.setattr(sys, "path", [str(MODELS), *sys.path])
    return importlib.import_module("_nss")


@functools.cache
def photograph(path: Path) -> U8:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def ask(find: Find, name: str, candidate: U8) -> float:
    [score] = run(find(name), [(RawImage(candidate), None)])
    return score.value


def painting(height: int, width: int) -> U8:
    rng = np.random.default_rng(8)
    rows, columns = np.mgrid[:height, :width]
    waves = 128 + 60 * np.sin(rows / 9) * np.cos(columns / 7) + rng.normal(0, 9, (height, width))
    return np.clip(np.rint(waves), 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def planes(image: F64) -> "torch.Tensor":
    return torch.from_numpy(image.astype(np.float32))[None, None]


def test_niqe_of_the_baboon_is_what_matlab_says(on_cpu: Find, shared: Path) -> None:
    baboon = photograph(shared / "testdata" / "basicsr" / "baboon.png")
    assert ask(on_cpu, "niqe", baboon) == pytest.approx(5.72957338, abs=1e-4)


@pytest.mark.parametrize(("image", "expected"), [("goldhill.gif", 8.425548118925917), ("I01.BMP", 10.259409019043119)])
def test_brisque_is_what_matlab_says(on_cpu: Find, shared: Path, image: str, expected: float) -> None:
    candidate = photograph(shared / "testdata" / "piq" / image)
    assert ask(on_cpu, "brisque", candidate) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("border", ["zeros", "replicate"])
@pytest.mark.parametrize("shape", [(7, 9), (31, 40)])
def test_samples_are_differences_from_the_local_mean_in_local_deviations(
    nss: ModuleType, shape: tuple[int, int], border: str
) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.float64)
    window = np.exp(-((np.arange(7) - 3) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(window, window) / window.sum() ** 2
    mode = {"zeros": "constant", "replicate": "nearest"}[border]
    mean, square = (correlate(plane, window, mode=mode) for plane in (image, image**2))
    expected = (image - mean) / (1 + np.sqrt(square - mean**2))
    assert nss.normalise(planes(image), border)[0, 0].numpy() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("level", [1, 77, 254])
def test_a_pixel_as_bright_as_its_neighbourhood_is_exactly_zero(nss: ModuleType, level: int) -> None:
    rows = np.arange(20)[:, None].repeat(30, axis=1)
    slope = level + np.where(rows < 10, 0, (rows - 9) * 3.0)
    assert not nss.normalise(planes(0 * slope + level), "replicate").any()
    inside = nss.normalise(planes(slope), "replicate")[0, 0].numpy()
    assert not inside[:6].any()  # even
    assert not inside[13:17].any()  # a slope
    assert inside[7:12].all()  # where it begins


@pytest.mark.parametrize("is_gaussian", [False, True])
def test_shapes_are_those_of_the_nearest_ratio(nss: ModuleType, is_gaussian: bool) -> None:
    steps = np.arange(0.2, 10.001, 0.001)
    table = gamma(2 / steps) ** 2 / (gamma(1 / steps) * gamma(3 / steps))
    ratios = np.array([2 / np.pi]) if is_gaussian else np.random.default_rng(2).uniform(0, 0.76, 500)
    nearest = np.abs(table - ratios[:, None]).argmin(axis=1)
    shapes, skews, widths = (values.numpy() for values in nss.Shapes()(torch.from_numpy(ratios.astype(np.float32))))
    found = np.rint((shapes - 0.2) * 1000).astype(int)
    assert (np.abs(found - nearest) <= (steps[nearest] > 8)).all()  # there a float32 tells few neighbours apart
    assert skews == pytest.approx(np.sqrt(table[found]), rel=1e-6)
    assert widths == pytest.approx(np.sqrt(gamma(1 / steps) / gamma(3 / steps))[found], rel=1e-6)
    assert not is_gaussian or shapes == pytest.approx(2)


def test_even_sides_are_halved_by_eight_weights_on_a_mirror(nss: ModuleType) -> None:
    image = np.random.default_rng(3).integers(0, 256, (12, 18)).astype(np.float64)
    weights = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    mirrored = np.pad(image, 3, mode="symmetric")
    down = np.stack([weights @ mirrored[row : row + 8] for row in range(0, 12, 2)])
    expected = np.stack([down[:, column : column + 8] @ weights for column in range(0, 18, 2)], axis=1)
    assert (nss.halve(planes(image))[0, 0].numpy() == expected).all()


@pytest.mark.parametrize("shape", [(13, 18), (24, 31), (61, 47)])
def test_odd_sides_are_halved_as_piq_does(nss: ModuleType, shape: tuple[int, int]) -> None:
    if importlib.util.find_spec("piq") is None:
        pytest.skip("piq is not installed: beholder[peers]")
    importlib.import_module("_golden").do_without("torchvision", "torchvision.models", "torchvision.transforms")
    image = planes(np.random.default_rng(4).integers(0, 256, shape).astype(np.float64))
    expected = importlib.import_module("piq.functional").imresize(image, sizes=(shape[0] // 2, shape[1] // 2))
    assert nss.halve(image).numpy() == pytest.approx(expected.numpy(), abs=2e-3)


@pytest.mark.parametrize("shape", [(17, 18), (20, 33)])
def test_an_even_plane_stays_even_when_an_odd_side_is_halved(nss: ModuleType, shape: tuple[int, int]) -> None:
    halved = nss.halve(planes(np.full(shape, 201.0)))
    assert halved.shape[2:] == (shape[0] // 2, shape[1] // 2)
    assert (halved == 201).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0, 77, 255])
def test_an_image_without_contrast_has_a_score_that_says_so(on_cpu: Find, name: str, level: int) -> None:
    flat = np.full((192, 200, 3), level, np.uint8)
    at_least = {"brisque": 100, "niqe": 30, "piqe": 100}[name]
    assert ask(on_cpu, name, flat) >= at_least


def test_niqe_takes_all_even_images_for_the_same(on_cpu: Find) -> None:
    scores = {ask(on_cpu, "niqe", np.full((96, 192, 3), level, np.uint8)) for level in (0, 1, 128, 255)}
    assert len(scores) == 1


def test_niqe_looks_at_whole_blocks_only(on_cpu: Find) -> None:
    image = painting(250, 301)
    assert ask(on_cpu, "niqe", image) == ask(on_cpu, "niqe", np.ascontiguousarray(image[:192, :288]))


def test_niqe_of_a_single_block_has_no_covariance_and_a_score(on_cpu: Find) -> None:
    one = painting(96, 96)
    assert 0 < ask(on_cpu, "niqe", one) < 1000
    twice = np.concatenate([one, one], axis=1)
    assert ask(on_cpu, "niqe", twice) == pytest.approx(ask(on_cpu, "niqe", one), rel=0.2)


def test_piqe_repeats_the_last_pixels_to_whole_blocks(on_cpu: Find) -> None:
    image = painting(90, 101)
    whole = np.pad(image, ((0, 6), (0, 11), (0, 0)), mode="edge")
    assert ask(on_cpu, "piqe", image) == ask(on_cpu, "piqe", whole)


def test_piqe_finds_blocks_that_are_noisy_and_blocks_that_are_cut_off(on_cpu: Find) -> None:
    rng = np.random.default_rng(5)
    noise = np.rint(128 + rng.normal(0, 40, (96, 96))).clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    framed = noise.copy()
    framed[::16], framed[15::16] = 128, 128
    assert 50 < ask(on_cpu, "piqe", noise) < ask(on_cpu, "piqe", framed)
