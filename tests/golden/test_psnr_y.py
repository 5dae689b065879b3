"""psnr-y of grey pictures is the PSNR of their luma, as video people measure it."""

import importlib.util
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from model_code import Load

MODEL = Path(__file__).resolve().parents[2] / "models" / "psnr-y"
FRAMES, HEIGHT, WIDTH = 3, 324, 576
PUBLISHED = 32.57143
"""VMAF's own tests on the mean PSNR-Y of these frames, peak 1023."""


def luma(path: Path) -> NDArray[np.uint16]:
    """Read the luma of a clip of 10-bit 4:2:0: (FRAMES, HEIGHT, WIDTH)."""
    frames = np.fromfile(path, "<u2").reshape(FRAMES, -1)
    return frames[:, : HEIGHT * WIDTH].reshape(FRAMES, HEIGHT, WIDTH)


@pytest.fixture
def clips(shared: Path) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return the luma of (candidate, reference)."""
    folder = shared / "data" / "video"
    candidate, reference = (luma(folder / f"src01_{name}_576x324.yuv420p10le.yuv") for name in ("hrc01", "hrc00"))
    return candidate, reference


def grey(planes: NDArray[np.generic]) -> NDArray[np.generic]:
    """Make pictures of equal R, G and B."""
    return planes[..., None].repeat(3, axis=-1)


def plain(candidate: NDArray[np.generic], reference: NDArray[np.generic], peak: float) -> NDArray[np.float64]:
    """Return 10 log10(peak² / mse) of each frame, with the floor that the scorer adds to the error."""
    error = ((candidate.astype(np.float64) - reference) ** 2).mean(axis=(1, 2)) / peak**2
    return np.asarray(-10 * np.log10(error + 1e-8))


def ask(candidate: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run the committed graph on grey frames."""
    session = open_session("psnr-y", (MODEL / "model.onnx").read_bytes(), Device("cpu", 0, 1), {})
    return session.run({"candidate": grey(candidate), "reference": grey(reference)})["score"]


def test_psnr_y_of_grey_frames_is_the_psnr_of_their_luma(clips: tuple[NDArray[np.uint16], ...]) -> None:
    candidate, reference = ((clip >> 2).astype(np.uint8) for clip in clips)
    assert ask(candidate, reference) == pytest.approx(plain(candidate, reference, 255), abs=1e-5)


def test_psnr_y_equals_ffmpegs_to_its_last_digit(clips: tuple[NDArray[np.uint16], ...], tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="ffmpeg is not installed: beholder[peers]").get_ffmpeg_exe()
    candidate, reference = ((clip >> 2).astype(np.uint8) for clip in clips)
    command = [ffmpeg, "-hide_banner", "-loglevel", "error"]
    for name, clip in (("candidate", candidate), ("reference", reference)):
        (tmp_path / name).write_bytes(clip.tobytes())
        command += ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-i", str(tmp_path / name)]
    subprocess.run([*command, "-lavfi", "psnr=stats_file=log", "-f", "null", "-"], check=True, cwd=tmp_path)
    theirs = [float(value) for value in re.findall(r"psnr_y:(\S+)", (tmp_path / "log").read_text())]
    # ffmpeg adds no floor: 1e-8 takes up to 1.3e-4 dB here.
    assert ask(candidate, reference) == pytest.approx(theirs, abs=0.005 + 2e-4)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed: beholder[export]")
def test_the_torch_code_of_psnr_y_gives_vmafs_number_for_ten_bits(
    clips: tuple[NDArray[np.uint16], ...], load: Load
) -> None:
    import torch

    export = load("psnr-y/export.py")
    candidate, reference = (torch.from_numpy(grey(clip.astype(np.float32) / 1023 * 255)) for clip in clips)
    with torch.inference_mode():
        ours = export.PsnrY()(candidate, reference).numpy().astype(np.float64)
    floor = 10 ** (-ours / 10) - 1e-8
    assert (-10 * np.log10(floor)).mean() == pytest.approx(PUBLISHED, abs=5e-5)
