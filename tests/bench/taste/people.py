"""People and what they said of pictures, as they lie in the folder of reference data; and people made up."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.taste.eye import other_eye

F64 = NDArray[np.float64]
MADE_UP = 30
_AXES = 20
"""Of how many directions a made-up taste is a mix."""


@dataclass(frozen=True)
class People:
    """Pictures and who judged them.

    Attributes:
        about: what and who they are, for readers.
        paths: of the N pictures.
        contents: (N,), what each shows; pictures of one content are on one side of a split.
        opinions: by person, (N,), higher is better.
        scale: lowest and highest of the ratings; None where they have no scale of their own.
        chosen_on: who the learner's settings were chosen on.
        splits: how often examples are drawn for each person and count.
    """

    name: str
    about: str
    paths: Sequence[Path]
    contents: NDArray[np.int64]
    opinions: dict[str, F64]
    scale: tuple[float, float] | None = None
    chosen_on: tuple[str, ...] = ()
    splits: int = 10

    @property
    def has_series(self) -> bool:
        """Whether a content has several pictures."""
        return len(np.unique(self.contents)) < len(self.contents)


def all_people(shared: Path) -> list[People]:
    """Return the sets of people that are at hand."""
    data = shared / "data"
    return [
        _paintings(data / "cubist_liking"),
        _streams(data / "avt_image_quality"),
        _viper(shared / "testdata" / "viper"),
        _made_up(data),
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _paintings(folder: Path) -> People:
    paths = sorted((folder / "images").iterdir())
    place = {path.name: index for index, path in enumerate(paths)}
    opinions: dict[str, F64] = {}
    for row in _rows(folder / "likings.csv"):
        if row["question"] == "ratingScaleLike":
            liking = opinions.setdefault(row["participant"], np.zeros(len(paths)))
            liking[place[Path(row["image"]).name]] = float(row["response"])
    about = (
        "liking from 1 to 7. The only set of taste proper, and four people are few: no interval, each person is told."
    )
    return People(
        "paintings", f"{len(paths)} cubist paintings, {about}", paths, _own(paths), opinions, (1, 7), ("1", "2"), 40
    )


def _streams(folder: Path) -> People:
    paths = sorted((folder / "images").iterdir())
    rows = {row["image_name"]: row for row in _rows(folder / "per_user.csv")}
    said = [rows[path.stem] for path in paths]
    users = [key for key in said[0] if key.startswith("user")]
    shown = [path.name.split("_1frame")[0] for path in paths]
    names, contents = np.unique(shown, return_inverse=True)
    opinions = {user: np.array([float(row[user]) for row in said]) for user in users}
    about = (
        f"{len(paths)} stills of {len(names)} scenes, coded and made smaller; quality from 1 to 5 in a laboratory. "
        "Not taste: what is good here people largely agree on, so that another person's opinion is nearly as good."
    )
    return People("streams", about, paths, contents.astype(np.int64), opinions, (1, 5), tuple(users[:10]))


def _viper(folder: Path) -> People:
    paths = [path for side in ("disliked", "liked") for path in sorted((folder / side).glob("*.jpg"))]
    liked = np.array([float(path.parent.name == "liked") for path in paths])
    prompts = np.array([int(path.stem) for path in paths])
    about = (
        "the example user of ViPer: eight prompts, for each an image liked (pastel) and one disliked (dark). "
        "One person and an easy one: it shows that it works, not how well."
    )
    return People("viper", about, paths, prompts, {"example": liked}, (0, 1), splits=100)


def _made_up(data: Path) -> People:
    """Return people who judge by a network that the learner doesn't see, each by another mix of what varies most."""
    paths = sorted((data / "flickr8k_sample" / "images").glob("*.*"))
    paths += sorted((data / "cubist_liking" / "images").iterdir())
    features = other_eye().see("mixed", paths)
    left, sizes, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    axes = left[:, :_AXES] * np.sqrt(sizes[:_AXES])
    rng = np.random.default_rng(11)
    opinions = {f"made up {index}": axes @ rng.normal(size=axes.shape[1]) for index in range(MADE_UP)}
    about = (
        f"{len(paths)} photographs and paintings, judged by programs: each is a random mix of {_AXES} directions of "
        "a network that no taste is learned from. They have nothing in common by construction."
    )
    return People("made up", about, paths, _own(paths), opinions)


def _own(paths: Sequence[Path]) -> NDArray[np.int64]:
    return np.arange(len(paths), dtype=np.int64)
