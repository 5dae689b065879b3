"""People and what they said of pictures, as they lie in the folder of reference data; and people made up."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from taste_images import Eye, embed, look_otherwise

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """Pictures and who judged them.

    Attributes:
        embeddings: (N, D), and `bare`: (N, 1280) of the encoder alone.
        contents: (N,), what it shows; pictures of one content are on one side of a split.
        opinions: by person, (N,), higher is better.
        chosen_on: who the settings were chosen on.
    """

    name: str
    embeddings: F32
    bare: F32
    contents: NDArray[np.int64]
    opinions: dict[str, F64]
    chosen_on: tuple[str, ...] = ()


def background_paths(data: Path) -> list[Path]:
    """Return 101 photographs and 20 images by generators."""
    return sorted((data / "pristine").rglob("*.webp")) + sorted((data / "simulacra_demo20").glob("*/*.png"))


def all_people(shared: Path, eye: Eye, background: F32) -> list[People]:
    """Return the sets of people that are at hand."""
    data = shared / "data"
    return [
        _paintings(data / "cubist_liking", eye, background),
        _streams(data / "avt_image_quality", eye, background),
        _viper(shared / "testdata" / "viper", eye, background),
        _made_up(data, eye, background),
    ]


def _people(name: str, raw: F32, background: F32, contents: F64, opinions: dict[str, F64], *chosen_on: str) -> People:
    return People(name, embed(raw, background), raw[:, :1280], contents.astype(np.int64), opinions, chosen_on)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _paintings(folder: Path, eye: Eye, background: F32) -> People:
    paths = sorted((folder / "images").iterdir())
    place = {path.name: index for index, path in enumerate(paths)}
    opinions: dict[str, F64] = {}
    for row in _rows(folder / "likings.csv"):
        if row["question"] == "ratingScaleLike":
            liking = opinions.setdefault(row["participant"], np.zeros(len(paths)))
            liking[place[Path(row["image"]).name]] = float(row["response"])
    return _people(
        "paintings", eye.look("cubist", paths), background, np.arange(len(paths), dtype=np.float64), opinions, "1", "2"
    )


def _streams(folder: Path, eye: Eye, background: F32) -> People:
    paths = sorted((folder / "images").iterdir())
    rows = {row["image_name"]: row for row in _rows(folder / "per_user.csv")}
    said = [rows[path.stem] for path in paths]
    users = [key for key in said[0] if key.startswith("user")]
    shown = [path.name.split("_1frame")[0] for path in paths]
    contents = np.unique(shown, return_inverse=True)[1].astype(np.float64)
    opinions = {user: np.array([float(row[user]) for row in said]) for user in users}
    return _people("streams", eye.look("avt", paths), background, contents, opinions, *users[:10])


def _viper(folder: Path, eye: Eye, background: F32) -> People:
    paths = sorted(folder.rglob("*.jpg"))
    raw = eye.look("viper", paths)
    known = [index for index, path in enumerate(paths) if path.parent.name in ("liked", "disliked")]
    liked = np.array([float(paths[index].parent.name == "liked") for index in known])
    prompts = np.array([float(paths[index].stem) for index in known])
    return _people("viper", raw[known], background, prompts, {"example": liked})


def _made_up(data: Path, eye: Eye, background: F32, count: int = 30) -> People:
    """Return people who judge by a network that the learner doesn't see, each by another mix of what varies most."""
    paths = sorted((data / "flickr8k_sample" / "images").glob("*.*")) + sorted(
        (data / "cubist_liking" / "images").iterdir()
    )
    features = look_otherwise("mixed", paths)
    left, sizes, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    axes = left[:, :20] * np.sqrt(sizes[:20])
    rng = np.random.default_rng(11)
    opinions = {f"made up {index}": axes @ rng.normal(size=axes.shape[1]) for index in range(count)}
    return _people("made up", eye.look("mixed", paths), background, np.arange(len(paths), dtype=np.float64), opinions)
