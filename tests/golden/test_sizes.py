"""What depends on an image's size is the same in the graph, in torch, and written out in NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from model_code import Load

torch = pytest.importorskip("torch", reason="torch is not installed: beholder[export]")

MODELS = Path(__file__).resolve().parents[2] / "models"
BEFORE = {"zeros": lambda side: (side - 1) // 2, "replicate": lambda side: side // 2, "cut": lambda _: 0}
"""Border -> how far the first block stands out of the image."""
PADDED = {"zeros": "constant", "replicate": "edge"}


def average_blocks(plane: NDArray[np.float64], side: int, border: str) -> NDArray[np.float64]:
    """Average each block of one plane, one by one."""
    if border in PADDED:
        before = BEFORE[border](side)
        plane = np.pad(plane, (before, side - 1 - before), mode=PADDED[border])
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    blocks = [[plane[i * side :, j * side :][:side, :side].mean() for j in range(columns)] for i in range(rows)]
    return np.array(blocks)


@pytest.mark.parametrize(
    ("shorter", "side"), [(1, 1), (255, 1), (383, 1), (384, 2), (639, 2), (640, 2), (641, 3), (895, 3), (896, 4)]
)
def test_a_half_is_rounded_to_the_even_side(load: Load, shorter: int, side: int) -> None:
    shrink = load("_shrink.py")
    assert int(shrink.block_side(torch.zeros(1, 1, shorter, 2000))) == side
    assert int(shrink.block_side(torch.zeros(1, 1, 2000, shorter))) == side


@pytest.mark.parametrize("border", BEFORE)
@pytest.mark.parametrize("side", [1, 2, 3, 4, 7])
def test_shrink_averages_each_block_and_spread_gives_it_back(load: Load, border: str, side: int) -> None:
    shrink = load("_shrink.py")
    plane = np.random.default_rng(side).random((29, 38))
    planes, tensor_side = torch.from_numpy(plane)[None, None], torch.tensor(side)
    small = shrink.shrink(planes, tensor_side, border)
    assert small[0, 0].numpy() == pytest.approx(average_blocks(plane, side, border), abs=1e-12)
    spread = shrink.spread(small[:, 0], tensor_side, border, planes)[0].numpy()
    rows, columns = (
        np.minimum((np.arange(length) + BEFORE[border](side)) // side, last - 1)
        for length, last in zip(plane.shape, small.shape[2:], strict=True)
    )
    assert np.array_equal(spread, small[0, 0].numpy()[rows][:, columns])


def compare(module: Any, name: str, file: str, size: tuple[int, int]) -> None:
    """Ask a graph and its torch code about the same pair of `size`."""
    rng = np.random.default_rng(9)
    reference = rng.integers(0, 256, (1, *size, 3), dtype=np.uint8)
    candidate = (reference // 2 + rng.integers(0, 99, reference.shape)).astype(np.uint8)
    session = open_session(name, (MODELS / name / file).read_bytes(), Device("cpu", 0, 2), {})
    graph = session.run({"candidate": candidate, "reference": reference})
    pair = torch.from_numpy(candidate), torch.from_numpy(reference)
    with torch.inference_mode():
        answer = module.map(*pair) if "map" in graph else [module(*pair)]
    for ours, theirs in zip([graph[key] for key in ("score", "map") if key in graph], answer, strict=True):
        assert ours.shape == theirs.shape
        assert ours == pytest.approx(theirs.numpy(), abs=2e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 301), (383, 390), (385, 384), (640, 647), (641, 700), (900, 897)])
def test_the_graph_of_mdsi_shrinks_as_its_torch_code(load: Load, size: tuple[int, int]) -> None:
    compare(load("mdsi/export.py").Mdsi(), "mdsi", "map.onnx", size)


def test_the_graph_of_ssim_downsampled_leaves_out_what_its_torch_code_does(load: Load) -> None:
    compare(load("ssim-downsampled/export.py").SsimDownsampled(), "ssim-downsampled", "map.onnx", (645, 650))


@pytest.mark.parametrize("size", [(161, 161), (162, 163), (165, 162), (164, 168), (203, 176)])
@pytest.mark.parametrize(
    ("name", "file", "code"),
    [
        ("psnr-y", "model.onnx", "PsnrY"),
        ("ms-ssim", "model.onnx", "MsSsim"),
        ("vif-p", "model.onnx", "VifP"),
        ("gmsd", "map.onnx", "Gmsd"),
        ("ms-gmsd-c", "model.onnx", "MsGmsdC"),
        ("haarpsi", "map.onnx", "HaarPsi"),
        ("ssim-downsampled", "map.onnx", "SsimDownsampled"),
    ],
)
def test_a_graph_halves_odd_sides_as_its_torch_code(
    load: Load, name: str, file: str, code: str, size: tuple[int, int]
) -> None:
    compare(getattr(load(f"{name}/export.py"), code)(), name, file, size)
