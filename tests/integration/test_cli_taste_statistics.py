"""`beholder taste background fit` and `prior fit` with the encoder that is shipped."""

from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from beholder.cli.taste_statistics import background, prior
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.taste.background import read_background
from beholder.taste.prior import read_prior

ENCODER = "efficientnet-lite0"


def run(group: click.Group, *argv: str | Path) -> int:
    words = ["fit", "--encoder", ENCODER, *map(str, argv)]
    return int(group.main(words, "beholder", standalone_mode=False, obj={"BEHOLDER_DEVICE": "cpu"}))


def test_an_operators_images_and_ratings_become_a_background_and_a_prior(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_catalog([shipped_models()]).encoders[ENCODER]
    if not spec.is_exported("cpu"):
        pytest.skip(f"run `beholder export {ENCODER}`")
    folder, lines = tmp_path / "images", ["image,rating,person"]
    folder.mkdir()
    for at in range(12):
        coarse = np.random.default_rng(at).integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(coarse).resize((64, 64)).save(folder / f"{at}.png")
        lines += [f"{at}.png,{coarse[..., 0].mean()},{person}" for person in ("ann", "bob")]
    (folder / "broken.png").write_bytes(b"no image")
    (tmp_path / "ratings.csv").write_text("\n".join(lines), encoding="utf-8")
    assert run(background, "--images", folder, "--output", tmp_path / "background.npz") == 1
    said = capsys.readouterr()
    assert "broken.png: image is not a JPEG, PNG or WebP file" in said.err
    found = read_background(tmp_path / "background.npz")
    assert (found.encoder_digest, found.mean.shape) == (spec.graph.file.sha256, (1280,))
    assert 0 < found.wobble(np.eye(found.dimensions)[0]) < found.spread(np.eye(found.dimensions)[0])
    told = ["--ratings", tmp_path / "ratings.csv", "--background", tmp_path / "background.npz"]
    assert run(prior, "--images", folder, "--output", tmp_path / "prior.npz", *told) == 0
    learned = read_prior(tmp_path / "prior.npz")
    learned.check_fits(found)
    assert "24 ratings and 0 pairs (0 ties) of 12 images by 2 people" in capsys.readouterr().out
    assert np.abs(learned.weights).max() > 0
