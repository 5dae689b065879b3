"""From images to backgrounds and priors."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from taste_making import DIGEST

from beholder.errors import BeholderError, ConfigError, InvalidSample
from beholder.inputs.image import Limits, decode
from beholder.inputs.invisible import CHANGES, CORNERS
from beholder.taste import statistics
from beholder.taste.background import Background
from beholder.taste.crowd import Pair, Rating
from beholder.taste.population import spearman
from beholder.taste.ratings import Told
from beholder.taste.statistics import MIN_IMAGES, Progress, background_of, prior_of
from beholder.types import F32, Image, RawImage

LIMITS = Limits(max_bytes=10**6, max_pixels=10**6)


class Encoder:
    """Means of the colours in a 3 x 3 grid; remembers what it was asked."""

    def __init__(self, min_side_px: int = 1) -> None:
        self.asked: list[int] = []
        self.bytes: list[int] = []
        self.min_side_px = min_side_px

    def __call__(self, images: Sequence[Image]) -> list[F32 | BeholderError]:
        self.asked.append(len(images))
        self.bytes.append(sum(one.pixels.nbytes if isinstance(one, RawImage) else 0 for one in images))
        return [self._see(image) for image in images]

    def _see(self, image: Image) -> F32 | BeholderError:
        try:
            pixels = decode(image, LIMITS, "")
        except InvalidSample as error:
            return error
        if min(pixels.shape[:2]) < self.min_side_px:
            return InvalidSample(f"candidate: want at least {self.min_side_px} px on each side")
        small = Pillow.fromarray(pixels).resize((3, 3), Pillow.Resampling.BOX)
        return (np.asarray(small, dtype=np.float32) / 255).reshape(-1)


def picture(seed: int, side_px: int = 40) -> Image:
    rng = np.random.default_rng(seed)
    coarse = Pillow.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    return RawImage(np.asarray(coarse.resize((side_px, side_px), Pillow.Resampling.BICUBIC)))


def folder_of(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{at:03d}.png" for at in range(count)]
    for at, path in enumerate(paths):
        Pillow.fromarray(picture(at).pixels).save(path)
    return paths


class Heard:
    """What was told while it went on."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps = 0

    def progress(self) -> Progress:
        def step() -> None:
            self.steps += 1

        return Progress(self.lines.append, step)


def fit(images: Sequence[Path | Image], encoder: Encoder, heard: Heard | None = None) -> Background:
    heard = heard or Heard()
    return background_of(images, encoder, LIMITS, encoder_digest=DIGEST, version=5, progress=heard.progress())


def test_a_background_is_of_the_images_their_corners_and_what_changes_do() -> None:
    encoder, heard = Encoder(), Heard()
    images = [picture(seed) for seed in range(30)]
    found = fit(images, encoder, heard)
    assert (found.version, found.encoder_digest, found.dimensions) == (5, DIGEST, 27)
    assert sum(encoder.asked) == 30 * (1 + len(CORNERS) + len(CHANGES))
    whole = np.stack([encoder._see(one) for one in images])
    parts = np.stack([encoder._see(RawImage(cut(one.pixels))) for one in images for cut in CORNERS.values()])
    assert np.allclose(found.mean, np.concatenate([whole, parts]).mean(axis=0), atol=1e-6)
    moved = [
        encoder._see(RawImage(change(one.pixels))) - encoder._see(one) for one in images for change in CHANGES.values()
    ]
    z = np.stack(moved) @ found.axes
    assert np.allclose(found.nuisance, z.T @ z / len(z), atol=1e-5)
    assert (heard.steps, heard.lines) == (30, [])


def test_of_many_images_no_corners_are_taken_and_some_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "FEW_IMAGES", 30)
    monkeypatch.setattr(statistics, "MAX_CHANGED", 4)
    encoder = Encoder()
    fit([picture(seed) for seed in range(30)], encoder)
    assert sum(encoder.asked) == 30 + 4 * len(CHANGES)


def test_of_too_many_images_some_are_taken_evenly_and_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MAX_IMAGES", 20)
    heard = Heard()
    fit([picture(seed) for seed in range(50)], Encoder(), heard)
    assert heard.lines == ["20 of 50 images are taken, evenly spaced: that is the limit"]
    assert heard.steps == 20


def test_few_pixels_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder()
    fit([picture(seed) for seed in range(12)], encoder)
    assert max(encoder.asked) == 16
    monkeypatch.setattr(statistics, "_BATCH_BYTES", 12_000)
    fit([picture(seed) for seed in range(12)], encoder)
    assert max(encoder.bytes[-20:]) < 12_000 + 40 * 40 * 3


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    paths, heard = folder_of(tmp_path, 14), Heard()
    paths[3].write_bytes(b"no image")
    paths[4].unlink()
    paths[5].write_bytes(b"")
    fit(paths, Encoder(), heard)
    assert heard.steps == 14
    assert [line.partition(": ")[0] for line in heard.lines] == [str(path) for path in paths[3:6]]
    assert "can't be read: No such file" in heard.lines[1]


def test_what_the_encoder_refuses_is_named_and_its_parts_do_not_count() -> None:
    heard, encoder = Heard(), Encoder(min_side_px=30)
    images = [picture(seed, 29 if seed in (2, 9) else 40) for seed in range(16)]
    found = fit(images, encoder, heard)
    assert heard.lines[:2] == [f"images[{at}]: candidate: want at least 30 px on each side" for at in (2, 9)]
    refused = 14 * (len(CORNERS) + 2)
    assert heard.lines[2].startswith(f"{refused} parts or changed copies of images are left out: candidate: want")
    assert len(heard.lines) == 3
    whole = [encoder._see(one) for at, one in enumerate(images) if at not in (2, 9)]
    assert np.allclose(found.mean, np.mean(whole, axis=0), atol=1e-6)


def test_too_few_images_are_no_background() -> None:
    with pytest.raises(ConfigError, match=f"at least {MIN_IMAGES} images, got {MIN_IMAGES - 1} that can be read"):
        fit([picture(seed) for seed in range(MIN_IMAGES - 1)], Encoder())
    with pytest.raises(ConfigError, match="got 0"):
        fit([], Encoder())


def test_what_is_no_embedding_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no background can be fitted: .*finite"):
        background_of(
            [picture(seed) for seed in range(12)],
            lambda images: [np.full(4, np.nan, np.float32) for _ in images],
            LIMITS,
            encoder_digest=DIGEST,
        )


def test_an_encoder_that_is_out_of_order_stops_it() -> None:
    def broken(images: Sequence[Image]) -> list[F32 | BeholderError]:
        raise BeholderError("the queue is full")

    with pytest.raises(BeholderError, match="queue is full"):
        background_of([picture(seed) for seed in range(12)], broken, LIMITS, encoder_digest=DIGEST)


def test_parts_of_an_image_are_held_out_with_it() -> None:
    """Were they not, an image's length would be that of one whose neighbours were fitted: shorter."""
    images = [picture(seed) for seed in range(12)]
    rows = [Encoder()._see(one) for one in images]
    rows += [Encoder()._see(RawImage(cut(one.pixels))) for one in images for cut in CORNERS.values()]
    apart = statistics.fit_background(np.stack(rows), np.zeros((0, 27)), encoder_digest=DIGEST)
    assert apart.far < fit(images, Encoder()).far


def opinions(paths: Sequence[Path], people: int = 3) -> Told:
    """Return ratings by how red an image is."""
    rng, told = np.random.default_rng(0), Told()
    for path in paths:
        red = float(np.asarray(Pillow.open(path))[..., 0].mean())
        for person in range(people):
            told.ratings.append(Rating(path.name, red + 10 * rng.normal(), f"p{person}"))
    return told


def test_a_prior_is_what_people_said_of_the_images_in_a_folder(tmp_path: Path) -> None:
    paths, heard, encoder = folder_of(tmp_path / "images", 60), Heard(), Encoder()
    background = fit([picture(seed) for seed in range(200, 240)], Encoder())
    prior = prior_of(opinions(paths), tmp_path / "images", encoder, background, version=2, progress=heard.progress())
    assert (heard.steps, heard.lines, prior.version) == (60, [], 2)
    assert sum(encoder.asked) == 60
    fresh = [picture(seed) for seed in range(500, 560)]
    z = background.project(np.stack([encoder._see(one) for one in fresh]))
    assert spearman(z @ prior.weights, np.array([one.pixels[..., 0].mean() for one in fresh])) > 0.9
    prior.check_fits(background)


def test_opinions_of_images_that_cannot_be_read_do_not_count(tmp_path: Path) -> None:
    paths, heard = folder_of(tmp_path, 20), Heard()
    told = opinions(paths)
    told.pairs.extend([Pair("000.png", "001.png"), Pair("004.png", "005.png")])
    paths[0].write_bytes(b"no image")
    paths[1].unlink()
    background = fit([picture(seed) for seed in range(200, 240)], Encoder())
    prior = prior_of(told, tmp_path, Encoder(), background, progress=heard.progress())
    assert "54 ratings and 1 pairs (0 ties) of 18 images by 3 people" in prior.card
    assert sorted(line.partition(": ")[0] for line in heard.lines) == ["000.png", "001.png"]
    assert heard.steps == 20
    for path in paths[2:]:
        path.unlink()
    with pytest.raises(ConfigError, match="no prior can be fitted: no opinion tells"):
        prior_of(told, tmp_path, Encoder(), background)


def test_a_jpeg_is_embedded_as_the_file_that_it_is(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def embed(images: Sequence[Image]) -> list[F32 | BeholderError]:
        seen.extend(one.data for one in images)
        return [Encoder()._see(one) for one in images]

    paths = folder_of(tmp_path, 12)
    file = io.BytesIO()
    Pillow.open(paths[0]).save(file, "JPEG")
    paths[0].write_bytes(file.getvalue())
    background = fit([picture(seed) for seed in range(200, 240)], Encoder())
    prior_of(opinions(paths), tmp_path, embed, background)
    assert file.getvalue() in seen
