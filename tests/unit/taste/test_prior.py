"""A prior's file, and to which background it belongs."""

import dataclasses
import io
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from taste_making import DIGEST, background, images, nuisances

from beholder.errors import ConfigError
from beholder.taste.background import Background, fit_background, read_background
from beholder.taste.npz import read_npz
from beholder.taste.prior import MAX_CARD_CHARACTERS, Prior, read_prior


def prior(over: Background | None = None) -> Prior:
    over = over or background()
    weights = np.random.default_rng(0).normal(size=over.dimensions)
    return Prior(weights, -0.25, 3, over.encoder_digest, over.digest, "learned from 5 ratings\nof 3 people: ä\n")


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    prior().write(tmp_path / "prior.npz")
    again = read_prior(tmp_path / "prior.npz")
    for field in dataclasses.fields(again):
        assert np.array_equal(getattr(again, field.name), getattr(prior(), field.name)), field.name
    again.check_fits(background())


def test_the_same_prior_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "other"):
        prior().write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "prior.npz"
    prior().write(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"nowhere.prior\.npz: can't be written: No such file"):
        prior().write(tmp_path / "nowhere" / "prior.npz")
    (tmp_path / ".prior.npz.part").mkdir()
    with pytest.raises(ConfigError, match=r"prior\.npz: can't be written"):
        prior().write(path)
    assert path.read_bytes() == before


def test_a_prior_of_another_encoder_names_both_and_says_what_to_do() -> None:
    other = fit_background(images(50), nuisances(), encoder_digest="cd" * 32)
    with pytest.raises(ConfigError, match=f"p.npz: .*encoder {'cd' * 32}.* {DIGEST}; .*beholder taste prior fit"):
        prior(other).check_fits(background(), "p.npz")


def test_a_prior_of_another_background_names_both_and_says_what_to_do() -> None:
    other = fit_background(images(50), nuisances(), encoder_digest=DIGEST)
    with pytest.raises(ConfigError, match=f"background {other.digest}.* {background().digest}; .*taste prior fit"):
        prior(other).check_fits(background())
    with pytest.raises(ConfigError, match="the encoder unknown"):
        Prior(prior().weights).check_fits(background())
    with pytest.raises(ConfigError, match=r"weights has the shape \(3,\)"):
        dataclasses.replace(prior(), weights=np.zeros(3)).check_fits(background())


def test_a_background_is_known_by_all_of_its_content(tmp_path: Path) -> None:
    background().write(tmp_path / "background.npz")
    assert read_background(tmp_path / "background.npz").digest == background().digest
    others = [
        dataclasses.replace(background(), version=2),
        dataclasses.replace(background(), encoder_digest="cd" * 32),
        *(
            dataclasses.replace(background(), **{name: getattr(background(), name) * 1.001})
            for name in ("mean", "axes", "variance", "nuisance", "norms")
        ),
    ]
    assert len({one.digest for one in [background(), *others]}) == 8


def test_a_file_that_is_no_prior_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "prior.npz"
    with pytest.raises(ConfigError, match=r"prior\.npz: can't be read as a prior: No such file"):
        read_prior(path)
    with pytest.raises(ConfigError, match=r"can't be read as a prior"):
        read_prior(tmp_path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    for content in (b"", b"no zip", b"PK\x03\x04", path.with_suffix(".npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"prior\.npz: can't be read as a prior"):
            read_prior(path)
    background().write(path)
    with pytest.raises(ConfigError, match=r"prior\.npz: can't be read as a prior"):
        read_prior(path)
    np.savez(path, format=np.int64(7))
    with pytest.raises(ConfigError, match="a prior of format 7; this server reads 1"):
        read_prior(path)
    np.savez(path, format=np.array([object()]))
    with pytest.raises(ConfigError, match="can't be read as a prior"):
        read_prior(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", np.array(["a"])),
        ("weights", np.zeros((2, 3))),
        ("weights", np.zeros(0)),
        ("weights", np.array([1.0, np.nan])),
        ("bias", np.inf),
        ("bias", np.zeros(2)),
        ("version", np.zeros(2)),
        ("version", np.inf),
        ("card", "x" * (MAX_CARD_CHARACTERS + 1)),
    ],
)
def test_a_part_that_is_not_what_it_should_be_is_refused(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "prior.npz"
    dataclasses.replace(prior(), **{name: value}).write(path)
    with pytest.raises(ConfigError, match=r"prior\.npz: "):
        read_prior(path)


def test_a_damaged_file_is_refused_or_harmless(tmp_path: Path) -> None:
    path, rng = tmp_path / "prior.npz", random.Random(1)
    prior().write(path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(400):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(broken[: rng.choice([len(broken), len(broken), rng.randrange(len(broken))])])
        try:
            read_prior(path)
        except ConfigError:
            refused += 1
    assert refused > 200


def test_a_file_that_claims_more_than_memory_is_refused(tmp_path: Path) -> None:
    path, header = tmp_path / "large.npz", io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (4 * 10**15,)}
    np.lib.format.write_array_header_1_0(header, claim)
    np.savez(path, format=np.int64(1))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("weights.npy", header.getvalue() + bytes(32))
    with pytest.raises(ConfigError, match=r"large\.npz: can't be read as a thing: Unable to allocate"):
        read_npz(path, "a thing", 1)
