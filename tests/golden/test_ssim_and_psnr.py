"""The scorers made of published constants against scikit-image, and against what MATLAB answered."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from model_code import Load

REPO = Path(__file__).resolve().parents[2]
HALVED = {
    ("goldhill.gif", "goldhill_jpeg.gif", "L"): (0.8202, 1e-4),
    ("I01.BMP", "i01_01_5.bmp", "RGB"): (0.7820, 1e-4),
}
"""(reference, candidate, channels) -> MATLAB's answer after ssim.m has averaged 2 by 2 pixels, and its last digit."""

Pixels = NDArray[np.uint8]


def ask(name: str, candidate: Pixels, reference: Pixels) -> float:
    """Run a committed graph on one pair."""
    graph = (REPO / "models" / name / "model.onnx").read_bytes()
    session = open_session(name, graph, Device("cpu", 0, 1), {})
    return float(session.run({"candidate": candidate[None], "reference": reference[None]})["score"][0])


def ask_scikit_image(candidate: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Average scikit-image's SSIM where the whole window lies inside the image, as the paper does."""
    _, scores = structural_similarity(
        candidate,
        reference,
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(scores[5:-5, 5:-5].mean())


def pairs() -> list[tuple[Pixels, Pixels]]:
    """Return (candidate, reference): smooth, rough, equal, unrelated, nearly equal in white (hard to round)."""
    rng = np.random.default_rng(7)
    rough = rng.integers(0, 256, (40, 57, 3), dtype=np.uint8)
    smooth = np.indices((96, 64)).sum(axis=0).astype(np.uint8)[..., None].repeat(3, axis=2)
    white = np.full((64, 96, 3), 255, np.uint8)
    nearly = white - (rng.random(white.shape) < 0.01).astype(np.uint8)
    return [
        (smooth // 2 + 20, smooth),
        (rough // 2 + 60, rough),
        (rough, rough),
        (rough, np.roll(rough, 9, axis=1)),
        (nearly, white),
    ]


def compressed(photograph: Image.Image) -> Image.Image:
    """Send a photograph through a poor JPEG."""
    data = io.BytesIO()
    photograph.save(data, "JPEG", quality=40)
    return Image.open(data)


def halve(path: Path, mode: str) -> NDArray[np.float64]:
    """Average 2 by 2 pixels, without rounding."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert(mode).convert("RGB"), np.float64)
    return (pixels[::2, ::2] + pixels[1::2, ::2] + pixels[::2, 1::2] + pixels[1::2, 1::2]) / 4


def test_ssim_equals_scikit_image() -> None:
    for candidate, reference in pairs():
        expected = ask_scikit_image(candidate.astype(np.float64), reference.astype(np.float64))
        assert ask("ssim", candidate, reference) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_photographs_equals_scikit_image(shared: Path) -> None:
    for path in sorted((shared / "data" / "pristine" / "kodak").glob("*.webp"))[:3]:
        photograph = Image.open(path).convert("RGB")
        candidate, reference = np.asarray(compressed(photograph)), np.asarray(photograph)
        expected = ask_scikit_image(candidate.astype(np.float64), reference.astype(np.float64))
        assert ask("ssim", candidate, reference) == pytest.approx(expected, abs=1e-6)


def test_psnr_equals_scikit_image_but_for_its_floor() -> None:
    """The floor of 1e-8 that keeps equal images finite takes 0.0004 dB at 40 dB, and 3 dB at 80."""
    for candidate, reference in pairs():
        error = np.mean((candidate / 255 - reference / 255) ** 2)
        expected = peak_signal_noise_ratio(reference, candidate, data_range=255) if error else np.inf
        floor = 10 * np.log10(1 + 1e-8 / error) if error else np.inf
        ours = ask("psnr", candidate, reference)
        assert ours == (pytest.approx(expected - floor, abs=2e-5) if error else 80)


@pytest.mark.parametrize("files", HALVED, ids=lambda files: files[0])
def test_ssim_of_halved_images_equals_matlab(shared: Path, files: tuple[str, str, str]) -> None:
    """Rounded to eight bits the halves are up to 3e-4 off; the unrounded ones are asked for in the next test."""
    reference, candidate = (np.rint(halve(shared / "testdata" / "piq" / file, files[2])) for file in files[:2])
    ours = ask("ssim", candidate.astype(np.uint8), reference.astype(np.uint8))
    assert ours == pytest.approx(HALVED[files][0], abs=5e-4)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed: beholder[export]")
@pytest.mark.parametrize("files", HALVED, ids=lambda files: files[0])
def test_the_torch_code_of_ssim_equals_matlab(shared: Path, files: tuple[str, str, str], load: Load) -> None:
    import torch

    export = load("ssim/export.py")
    reference, candidate = (
        torch.from_numpy(halve(shared / "testdata" / "piq" / file, files[2]))[None] for file in files[:2]
    )
    expected, digit = HALVED[files]
    with torch.inference_mode():
        assert float(export.Ssim()(candidate, reference)) == pytest.approx(expected, abs=digit)
