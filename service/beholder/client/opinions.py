"""What a caller says of images, before any file is read; each opinion knows its place in the caller's lists."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from beholder.client.samples import ImageLike, is_image
from beholder.errors import InvalidSample

ID_FORM = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageId:
    """An image that a taste holds, or that a server scored before and still remembers, by its id.

    Attributes:
        hex: SHA-256 of the file as it was sent, 64 hex digits in lowercase; `sha256sum photo.jpg` tells it.

    Raises:
        InvalidSample: anything else.
    """

    hex: str

    def __post_init__(self) -> None:
        if not ID_FORM.fullmatch(self.hex):
            raise InvalidSample(f"want an image's id, 64 hex digits in lowercase, got {self.hex[:80]!r}")

    def __str__(self) -> str:
        return self.hex


TasteImage = ImageLike | ImageId
"""An image in any form that a caller holds, or an `ImageId`; a str is the path of a file."""
TasteImages = TasteImage | Iterable[TasteImage]
Ratings = Mapping[Any, float] | Iterable[tuple[TasteImage, float]]
"""Image -> number, or (image, number) where an image can't be the key of a dict, as arrays can't."""
Pairs = Iterable[tuple[TasteImage, TasteImage]]


@dataclass(frozen=True, slots=True, eq=False)
class NewOpinion:
    """One thing that somebody says.

    Attributes:
        field: its place in the caller's lists, such as `likes[3]`.
        kind: like, dislike, rating, choice or tie.
        images: one, or two: the better and the worse.
        rating: (number, lowest, highest), of a rating.
    """

    field: str
    kind: str
    images: tuple[TasteImage, ...]
    rating: tuple[float, float, float] = (0.0, 0.0, 0.0)


def opinions_of(
    likes: TasteImages,
    dislikes: TasteImages,
    ratings: Ratings,
    scale: tuple[float, float] | None,
    choices: Pairs,
    ties: Pairs,
) -> list[NewOpinion]:
    """Return what was said as one list: likes, dislikes, ratings, choices, ties.

    Raises:
        InvalidSample: ratings without a scale, or what should be a pair and is none.
    """
    said = [NewOpinion(f"likes[{place}]", "like", (image,)) for place, image in enumerate(taste_images_of(likes))]
    for place, image in enumerate(taste_images_of(dislikes)):
        said.append(NewOpinion(f"dislikes[{place}]", "dislike", (image,)))
    for place, pair in enumerate(ratings.items() if isinstance(ratings, Mapping) else ratings):
        if scale is None:
            raise InvalidSample("scale: ratings need the worst and the best that could be given", "scale")
        image, value = _pair(pair, f"ratings[{place}]", "(image, number)")
        said.append(NewOpinion(f"ratings[{place}]", "rating", (image,), (value, *scale)))
    for place, pair in enumerate(choices):
        said.append(NewOpinion(f"choices[{place}]", "choice", _pair(pair, f"choices[{place}]", "(better, worse)")))
    for place, pair in enumerate(ties):
        said.append(NewOpinion(f"ties[{place}]", "tie", _pair(pair, f"ties[{place}]", "two images")))
    return said


def taste_images_of(images: TasteImages) -> list[TasteImage]:
    """Return images as a list; a lone one is the only one in it."""
    is_one = isinstance(images, ImageId) or is_image(images)
    return [images] if is_one else list(images)  # type: ignore[list-item, arg-type]  # not an image: many


def _pair(pair: object, field: str, wanted: str) -> tuple[Any, Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InvalidSample(f"{field}: want {wanted}, got {type(pair).__name__}", field)
    return pair[0], pair[1]
