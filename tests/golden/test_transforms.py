"""The Fourier transforms, pyramids and small matrices inside the graphs, against NumPy and torch in float64."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import convolve2d

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from model_code import Load

torch = pytest.importorskip("torch", reason="torch is not installed: beholder[export]")

MODELS = Path(__file__).resolve().parents[2] / "models"
SIZES = [(2, 2), (3, 2), (15, 21), (16, 16), (17, 24), (24, 17)]
F64 = NDArray[np.float64]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: its threads spin while they wait, and these tensors are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def noise(*shape: int) -> F64:
    return np.random.default_rng(sum(shape)).normal(size=shape)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 15, 256, 383])
def test_the_real_fourier_basis_is_orthonormal_and_numpys(load: Load, size: int) -> None:
    basis, line = load("_dft.py").basis(torch.tensor(size)).double().numpy(), noise(size)
    assert basis.T @ basis == pytest.approx(np.eye(size), abs=5e-7)
    expected = np.fft.rfft(line)
    scale = np.where(2 * np.arange(size // 2 + 1) % size == 0, 1, 2) / size
    cosines, sines = (basis @ line).reshape(2, -1)
    assert cosines == pytest.approx(expected.real * np.sqrt(scale), abs=2e-6)
    assert sines == pytest.approx(-expected.imag * np.sqrt(scale), abs=2e-6)


def log_gabor(size: tuple[int, int], wavelength: float, orientation: float) -> F64:
    """Write one of FSIM's filters out on the whole frequency plane, as the paper and Kovesi's code have it."""
    places = [np.fft.ifftshift(np.arange(n) - n // 2) for n in size]
    u, v = np.meshgrid(*(place / (n - n % 2) for place, n in zip(places, size, strict=True)), indexing="ij")
    radius, angle = np.hypot(u, v), np.arctan2(-v, u)
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1
    radial = np.exp(-(np.log(radius * wavelength) ** 2) / (2 * np.log(0.55) ** 2)) * low_pass
    radial[0, 0] = 0
    distance = np.abs(np.angle(np.exp(1j * (angle - orientation))))
    return radial * np.exp(-(distance**2) / (2 * (np.pi / 4 / 1.2) ** 2))


@pytest.mark.parametrize("size", SIZES)
def test_filters_answer_as_by_fourier_transform(load: Load, size: tuple[int, int]) -> None:
    fsim, plane = load("fsim-c/export.py"), noise(*size)
    height, width = (torch.tensor(side) for side in size)
    columns, rows = (fsim.basis(side).double() for side in (height, width))
    coefficients = columns @ torch.from_numpy(plane)[None, None] @ rows.T
    planes = fsim._partners(coefficients, height // 2 + 1, width // 2 + 1)
    for turn, filters in enumerate(fsim._filters(height, width)):
        parts = (filters.even, planes[:2]), (filters.odd, planes[2:])
        even, odd = (columns.T @ (a * x + b * y) @ rows for (a, b), (x, y) in parts)
        kernels = [log_gabor(size, length, turn * np.pi / 4) for length in fsim.WAVELENGTHS]
        answers = np.stack([np.fft.ifft2(np.fft.fft2(plane) * kernel) for kernel in kernels])
        assert even[0].numpy() == pytest.approx(answers.real, abs=2e-6)
        assert odd[0].numpy() == pytest.approx(answers.imag, abs=2e-6)
        impulses = np.fft.ifft2(sum(kernels)).real
        strength = (impulses**2).sum() * plane.size / (kernels[0] ** 2).sum()
        assert float(filters.noise) == pytest.approx(fsim.NOISE * np.sqrt(strength / np.log(2)), rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 1000])
def test_the_median_is_the_lower_one(load: Load, count: int) -> None:
    values = torch.from_numpy(noise(3, 1, count))
    assert torch.equal(load("fsim-c/export.py")._median(values).flatten(), values.flatten(1).median(dim=1).values)


@pytest.mark.parametrize("sizes", [(7, 256), (300, 256), (256, 31), (5, 9), (1, 4)])
def test_places_are_interpolated_as_torch_does(load: Load, sizes: tuple[int, int]) -> None:
    sample, (size, wanted) = load("_bilinear.py").sample, sizes
    planes, places = torch.from_numpy(noise(1, 1, size, 3)), torch.arange(wanted)
    for is_by_corners in (False, True):
        resized = torch.nn.functional.interpolate(planes, (wanted, 3), mode="bilinear", align_corners=is_by_corners)
        by_corners = places * (size - 1), max(wanted - 1, 1)
        by_centres = (2 * places + 1) * size - wanted, 2 * wanted
        ours = sample(planes, 2, *(by_corners if is_by_corners else by_centres))
        assert ours.numpy() == pytest.approx(resized.numpy(), abs=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (5, 8), (7, 5)])
def test_pyramids_go_down_and_up_as_convolutions_do(load: Load, size: tuple[int, int]) -> None:
    pyramid, window = load("_pyramid.py"), np.array([0.05, 0.25, 0.4, 0.25, 0.05])
    kernel, plane = np.outer(window, window), noise(*size)
    padded = np.pad(plane, 2, mode="symmetric")
    low = pyramid.halve(torch.from_numpy(padded)[None, None], window.tolist())
    assert low[0, 0].numpy() == pytest.approx(convolve2d(padded, kernel, mode="valid")[::2, ::2])
    beyond = np.pad(low[0, 0].numpy(), 1, mode="edge")
    spaced = np.zeros([2 * side for side in beyond.shape])
    spaced[::2, ::2] = 4 * beyond
    expected = convolve2d(spaced, kernel, mode="same")[2:, 2:][: size[0], : size[1]]
    up = pyramid.double(torch.from_numpy(beyond)[None, None], window.tolist(), torch.from_numpy(plane)[None, None])
    assert up[0, 0].numpy() == pytest.approx(expected)


@pytest.mark.parametrize("decades", [0, 2, 6])
def test_small_matrices_are_factorised_and_their_eigenvalues_found(load: Load, decades: int) -> None:
    linalg = load("_linalg.py")
    turn = np.linalg.qr(noise(6, 10, 10))[0]
    matrices = (turn * np.logspace(0, -decades, 10)) @ turn.transpose(0, 2, 1)
    lower, inverse = linalg.factorise(torch.from_numpy(matrices), 0)
    assert lower.numpy() == pytest.approx(np.linalg.cholesky(matrices), abs=1e-9)
    assert (inverse @ lower).numpy() == pytest.approx(np.broadcast_to(np.eye(10), (6, 10, 10)), abs=1e-6)
    values = linalg.squared_singular_values(lower.float(), 5).sort(dim=1, descending=True).values
    assert values.numpy() == pytest.approx(np.broadcast_to(np.logspace(0, -decades, 10), (6, 10)), rel=1e-5)


def test_a_singular_matrix_has_a_factor_too(load: Load) -> None:
    for matrix in (torch.zeros(1, 4, 4), torch.ones(1, 4, 4)):
        lower, inverse = load("_linalg.py").factorise(matrix, 1e-6)
        assert (lower @ lower.transpose(1, 2)).numpy() == pytest.approx(matrix.numpy(), abs=2e-6)
        assert np.isfinite(inverse.numpy()).all()


@pytest.mark.parametrize("size", [(161, 170), (385, 384)])
@pytest.mark.parametrize(
    ("name", "code"), [("vsi", "Vsi"), ("fsim-c", "FsimC"), ("iw-ssim", "IwSsim"), ("nlpd", "Nlpd")]
)
def test_a_graph_does_at_other_sizes_what_its_torch_code_does(
    load: Load, name: str, code: str, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(9)
    reference = np.cumsum(rng.integers(-9, 10, (1, *size, 3)), axis=2).astype(np.uint8)
    candidate = (reference // 2 + rng.integers(0, 99, reference.shape)).astype(np.uint8)
    session = open_session(name, (MODELS / name / "map.onnx").read_bytes(), Device("cpu", 0, 1), {})
    graph = session.run({"candidate": candidate, "reference": reference})
    module = getattr(load(f"{name}/export.py"), code)()
    with torch.inference_mode():
        score, drawn = module.map(torch.from_numpy(candidate), torch.from_numpy(reference))
    assert graph["map"].shape == (1, *size)
    assert graph["score"] == pytest.approx(score.numpy(), abs=1e-6)
    assert graph["map"] == pytest.approx(drawn.numpy(), rel=1e-3, abs=1e-3)


def flat(level: int) -> NDArray[np.uint8]:
    return np.full((1, 170, 163, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vsi", 1.0),  # no saliency, no weight, as in piq
        ("iw-ssim", (6.5025 / (16 * 255) ** 2) ** 0.1333),  # the luminance of the rest, 16 times as strong as the image
    ],
)
def test_black_against_white_has_a_score_that_can_be_told(name: str, expected: float) -> None:
    """A similarity of 4e-7 is left of 1 less the dissimilarity, and its first digit only."""
    session = open_session(name, (MODELS / name / "model.onnx").read_bytes(), Device("cpu", 0, 1), {})
    for candidate, reference in ((flat(0), flat(255)), (flat(255), flat(0))):
        score = session.run({"candidate": candidate, "reference": reference})["score"]
        assert score == pytest.approx(expected, abs=2e-3)
