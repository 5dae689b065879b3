"""Images that people judged, as they lie in the folder of reference data beside the checkout."""

import csv
from dataclasses import dataclass
from pathlib import Path

BUCKETS = ("bad", "mediocre", "good", "great")
AVT = (
    "Stills of H.265 streams of 144 to 864 lines (AVT, Ilmenau): opinions of 21 people who saw them enlarged to fill a "
    "screen of 2160 lines."
)


@dataclass(frozen=True)
class Item:
    """An image and what people said of it: higher is better.

    Attributes:
        reference: the undistorted image, where the set has one.
        content: what it shows; images of one content are resampled together.
    """

    name: str
    candidate: Path
    reference: Path | None
    content: str
    opinion: float


@dataclass(frozen=True)
class OpinionSet:
    """Images that the same people judged in the same way.

    Attributes:
        about: for people.
        lines: the height that the images are enlarged to before they are scored; 0 leaves them as they are.
    """

    name: str
    about: str
    items: tuple[Item, ...]
    lines: int = 0

    @property
    def contents(self) -> int:
        """How many contents there are."""
        return len({item.content for item in self.items})

    @property
    def has_references(self) -> bool:
        """Whether all images have their reference."""
        return all(item.reference for item in self.items)


def opinion_sets(data: Path) -> list[OpinionSet]:
    """Return the sets in `data`; the one of streams comes as coded and as enlarged for the screen.

    Raises:
        FileNotFoundError: a set is not there.
    """
    streams = _avt(data / "avt_image_quality")
    return [
        OpinionSet(
            "sr4k_iqa",
            "Photographs enlarged to 4K by several methods, 2 to 8 times (SR4KIQA): mean opinions of whole pictures; "
            "scored on crops of 1024x768 at native size.",
            _sr4k(data / "sr4k_iqa"),
        ),
        OpinionSet("avt_image_quality", f"{AVT} Scored as coded, at their own size.", streams),
        OpinionSet("avt_image_quality_1080", f"{AVT} Scored after bicubic enlargement to 1080 lines.", streams, 1080),
        OpinionSet("avt_image_quality_2160", f"{AVT} Scored after bicubic enlargement to 2160 lines.", streams, 2160),
        OpinionSet(
            "simulacra_demo20",
            "Twenty images by generators, sorted by hand into bad, mediocre, good and great: mostly a matter of taste.",
            _simulacra(data / "simulacra_demo20"),
        ),
        OpinionSet(
            "imagereward_4",
            "Four paintings by generators with the scores that ImageReward's authors published: an anecdote.",
            _imagereward(data / "imagereward_4"),
        ),
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _sr4k(folder: Path) -> tuple[Item, ...]:
    return tuple(
        Item(row["file"], folder / row["file"], folder / row["reference"], row["scene"], float(row["mos_1_5"]))
        for row in _rows(folder / "mos.csv")
    )


def _avt(folder: Path) -> tuple[Item, ...]:
    return tuple(
        Item(
            row["file"],
            folder / row["file"],
            None,
            Path(row["file"]).name.split("_1frame")[0],
            float(row["lab_mos_1_5"]),
        )
        for row in _rows(folder / "images_index.csv")
    )


def _simulacra(folder: Path) -> tuple[Item, ...]:
    return tuple(
        Item(path.name, path, None, path.name, float(place))
        for place, bucket in enumerate(BUCKETS)
        for path in sorted((folder / bucket).glob("*.png"))
    )


def _imagereward(folder: Path) -> tuple[Item, ...]:
    published = {"1.webp": 0.5812, "2.webp": 0.2745, "3.webp": -1.4132, "4.webp": -2.0296}
    return tuple(Item(name, folder / name, None, name, value) for name, value in published.items())
