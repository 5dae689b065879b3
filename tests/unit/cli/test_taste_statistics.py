"""`beholder taste background fit` and `prior fit`, with an encoder that is a function."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
from PIL import Image as Pillow

from beholder.cli import taste_statistics
from beholder.cli.main import COMPLETE_VAR, PROGRAM
from beholder.cli.taste_statistics import MAX_TOLD, background, prior
from beholder.config import Config
from beholder.errors import BeholderError, ConfigError, InvalidSample
from beholder.inputs.image import Limits, decode
from beholder.scoring.catalog import Catalog
from beholder.scoring.image import ImageSpec
from beholder.scoring.spec import EncoderSpec, GraphFile, GraphSpec
from beholder.taste.background import read_background
from beholder.taste.prior import read_prior
from beholder.taste.statistics import Embed
from beholder.types import F32, Image

DIGEST = "ab" * 32


def embed(images: Sequence[Image]) -> list[F32 | BeholderError]:
    return [_embed(image) for image in images]


def _embed(image: Image) -> F32 | BeholderError:
    try:
        small = Pillow.fromarray(decode(image, Limits(10**6, 10**6), "")).resize((3, 3))
    except InvalidSample as error:
        return error
    return np.asarray(small, dtype=np.float32).reshape(-1) / 255


class Shop:
    """A folder with an encoder and one with images, and a command line over them."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.images, self._capsys = root, root / "images", capsys
        (root / "eye").mkdir()
        (root / "eye" / "model.onnx").touch()
        self.images.mkdir()
        for at in range(24):
            self.picture(f"{at:02d}.png", at)

    def picture(self, name: str, seed: int) -> None:
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
        Pillow.fromarray(coarse).resize((24, 24)).save(self.images / name)

    def catalog(self, digest: str = DIGEST) -> Catalog:
        file = GraphFile(self.root / "eye" / "model.onnx", digest)
        graph = GraphSpec(file, {}, {"cpu": 1, "cuda": 1}, {"cpu": {}, "cuda": {}})
        spec = EncoderSpec("eye", 1, "", "MIT", self.root / "eye", True, graph, ImageSpec((), 1, None), ())
        return Catalog({}, {"eye": spec}, {})

    def run(self, group: click.Group, *argv: str | Path) -> SimpleNamespace:
        environ: Mapping[str, str] = {}
        words = ["fit", *map(str, argv)]
        code = group.main(words, PROGRAM, complete_var=COMPLETE_VAR, standalone_mode=False, obj=environ)
        said = self._capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err.splitlines())

    def background(self, *argv: str | Path) -> SimpleNamespace:
        return self.run(background, "--encoder", "eye", "--images", self.images, "--output", *argv)

    def prior(self, *argv: str | Path) -> SimpleNamespace:
        return self.run(prior, "--encoder", "eye", "--images", self.images, "--output", *argv)

    def ratings(self, more: str = "") -> Path:
        lines = [f"{at:02d}.png,{at % 5},{person}" for at in range(24) for person in ("ann", "bob")]
        path = self.root / "ratings.csv"
        path.write_text("\n".join(["image,rating,person", *lines, more]), encoding="utf-8")
        return path


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path, capsys)

    @contextmanager
    def embedding(config: Config, spec: EncoderSpec) -> Iterator[Embed]:
        assert spec.name == "eye"
        yield embed

    monkeypatch.setattr(taste_statistics, "_embedding", embedding)
    monkeypatch.setattr(taste_statistics, "_catalog", lambda config: shop.catalog())
    return shop


def test_a_background_is_fitted_to_a_folder(shop: Shop) -> None:
    output = shop.root / "own.npz"
    said = shop.background(output)
    found = read_background(output)
    assert (found.version, found.encoder_digest, found.mean.shape) == (1, DIGEST, (27,))
    assert said.out == f"{output}: version 1, {found.dimensions} directions, digest {found.digest}\n"
    assert (said.code, said.err) == (0, [])


def test_what_cannot_be_read_is_told_and_the_others_count(shop: Shop) -> None:
    for at in range(4):
        (shop.images / f"{at:02d}.png").write_bytes(b"no image")
    (shop.images / "two\nlines.png").write_bytes(b"")
    said = shop.background(shop.root / "own.npz")
    assert said.code == 1
    assert len(said.err) == 5
    assert said.err[0].startswith(f"beholder: {shop.images / '00.png'}: image ")
    assert any(r"two\nlines.png: image is empty" in line for line in said.err)
    assert read_background(shop.root / "own.npz").version == 1


def test_many_problems_are_counted(shop: Shop) -> None:
    for at in range(MAX_TOLD + 7):
        (shop.images / f"bad {at}.png").write_bytes(b"")
    said = shop.background(shop.root / "own.npz")
    assert len(said.err) == MAX_TOLD + 1
    assert said.err[-1] == "beholder: and 7 more problems"


def test_a_file_that_is_there_gets_the_next_version(shop: Shop) -> None:
    output = shop.root / "own.npz"
    for _ in range(2):
        shop.background(output)
    assert read_background(output).version == 2
    shop.background(output, "--version", "9")
    assert read_background(output).version == 9


def test_no_other_file_is_written_over(shop: Shop) -> None:
    photo = shop.images / "00.png"
    before = photo.read_bytes()
    for version in ([], ["--version", "3"]):
        with pytest.raises(ConfigError, match=r"00\.png: can't be read as a background"):
            shop.background(photo, *version)
    own = shop.root / "own.npz"
    shop.background(own)
    with pytest.raises(ConfigError, match=r"own\.npz: can't be read as a prior"):
        shop.prior(own, "--ratings", shop.ratings(), "--background", own)
    assert photo.read_bytes() == before
    assert read_background(own).version == 1


def test_a_prior_is_fitted_to_ratings_and_shown(shop: Shop) -> None:
    shop.background(shop.root / "own.npz")
    output = shop.root / "prior.npz"
    said = shop.prior(output, "--ratings", shop.ratings(), "--background", shop.root / "own.npz")
    found = read_prior(output)
    found.check_fits(read_background(shop.root / "own.npz"))
    assert said.out == f"{found.card}\n{output}: version 1\n"
    assert "48 ratings and 0 pairs (0 ties) of 24 images by 2 people" in said.out
    assert (said.code, said.err) == (0, [])


def test_wrong_lines_of_ratings_are_told_and_the_others_count(shop: Shop) -> None:
    shop.background(shop.root / "eye" / "background.npz")
    (shop.images / "03.png").write_bytes(b"no image")
    path = shop.ratings("gone.png,3,ann\n01.png,much,bob\n../eye/model.onnx,1,bob")
    said = shop.prior(shop.root / "prior.npz", "--ratings", path)
    assert said.code == 1
    assert said.err[:3] == [
        f"beholder: {path}: line 50: no image 'gone.png' in the folder",
        f"beholder: {path}: line 51: rating: want a number from -1e+09 to 1e+09, got 'much'",
        f"beholder: {path}: line 52: want an image in the folder, '../eye/model.onnx' leads out of it",
    ]
    assert said.err[3].startswith("beholder: 03.png: image ")
    assert "46 ratings and 0 pairs (0 ties) of 23 images" in said.out


def test_an_encoder_without_background_says_how_to_make_one(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="eye has no background: make one with `beholder taste background fit --enc"):
        shop.prior(shop.root / "prior.npz", "--ratings", shop.ratings())


def test_the_background_of_another_encoder_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.background(shop.root / "own.npz")
    monkeypatch.setattr(taste_statistics, "_catalog", lambda config: shop.catalog("cd" * 32))
    with pytest.raises(ConfigError, match=f"digest {DIGEST}, that of eye is {'cd' * 32}; fit it again"):
        shop.prior(shop.root / "prior.npz", "--ratings", shop.ratings(), "--background", shop.root / "own.npz")


def test_another_encoder_is_answered_with_those_that_are_there(shop: Shop) -> None:
    with pytest.raises(click.UsageError, match="--encoder: no encoder 'eya'; did you mean eye"):
        shop.run(background, "--encoder", "eya", "--images", shop.images, "--output", shop.root / "own.npz")


def test_an_encoder_that_was_never_exported_says_what_to_do(shop: Shop) -> None:
    (shop.root / "eye" / "model.onnx").unlink()
    with pytest.raises(ConfigError, match="eye was never exported: run `beholder export eye`"):
        shop.background(shop.root / "own.npz")


@pytest.mark.parametrize("group", [background, prior])
def test_help_shows_what_to_type(group: click.Group, shop: Shop) -> None:
    said = shop.run(group, "--help").out
    assert f"beholder taste {group.name} fit" in said
    assert max(map(len, said.splitlines())) <= 80
