"""Scorers against what the authors' MATLAB programs answered, as piq's tests have it (testdata/piq/expected.csv)."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from beholder.runtime.ort import open_session
from beholder.runtime.session import Device

MODELS = Path(__file__).resolve().parents[2] / "models"
CASES = {
    ("ssim", "gray gaussian11 sigma1.5 valid"): "ssim-downsampled",
    ("ssim", "rgb channel-mean"): "ssim-downsampled",
    ("vif_p", "gray"): "vif-p",
    ("vif_p", "rgb"): "vif-p",
    ("gmsd", "gray"): "gmsd",
    ("gmsd", "rgb->Y"): "gmsd",
    ("haarpsi", "rgb"): "haarpsi",
    ("mdsi", "sum gray"): "mdsi",
    ("mdsi", "sum rgb"): "mdsi",
    ("iw_ssim", "gray"): "iw-ssim",
    ("iw_ssim", "rgb"): "iw-ssim",
    ("vsi", "rgb"): "vsi",
    ("fsim", "gray"): "fsim-c",  # grey has no chroma to differ in
    ("fsimc", "chromatic"): "fsim-c",
}
"""(metric, variant) of a line in expected.csv -> the scorer that must give its value."""
SWAPPED = {("iw_ssim", "gray")}
"""Lines whose images changed places between MATLAB's other answers and this one: piq's tests give x and y that way."""
LAST_DIGIT = 1e-7
"""How far float32 may carry a score of about 1.

gmsd of rgb needs it: MATLAB's luma has other last digits, and piq in float64 is 6e-9 beyond what its test allows.
"""


def read_row(folder: Path, metric: str, variant: str) -> dict[str, str]:
    """Find one line of expected.csv."""
    with (folder / "expected.csv").open(encoding="utf-8", newline="") as file:
        [row] = [row for row in csv.DictReader(file) if (row["metric"], row["variant"]) == (metric, variant)]
    return row


def tolerance_of(row: dict[str, str]) -> float:
    """Return what a line allows: "atol X", or torch's `isclose` and `allclose` without arguments."""
    word, *amount = row["tolerance"].split()
    if word == "atol":
        return float(amount[0])
    assert word in ("isclose", "allclose"), row
    return 1e-8 + 1e-5 * abs(float(row["expected"]))


def read(path: Path) -> NDArray[np.uint8]:
    """Read an image, as a batch of one; the palettes here are greys."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))[None]


@pytest.mark.parametrize(("metric", "variant"), CASES)
def test_a_score_equals_matlabs(shared: Path, metric: str, variant: str) -> None:
    folder, name = shared / "testdata" / "piq", CASES[metric, variant]
    row = read_row(folder, metric, variant)
    session = open_session(name, (MODELS / name / "model.onnx").read_bytes(), Device("cpu", 0, 1), {})
    roles = ("reference", "candidate") if (metric, variant) in SWAPPED else ("candidate", "reference")
    pair = {role: read(folder / row[file]) for role, file in zip(roles, ("distorted", "reference"), strict=True)}
    ours = float(session.run(pair)["score"][0])
    assert ours == pytest.approx(float(row["expected"]), abs=tolerance_of(row) + LAST_DIGIT, rel=0)
