"""What callers say of images, in all its forms, as one list."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beholder.client import ImageId
from beholder.client.opinions import NewOpinion, opinions_of, taste_images_of
from beholder.errors import InvalidSample

ID = ImageId("0f" * 32)
PIXELS = np.zeros((2, 2, 3), np.uint8)


def said(**words: Any) -> list[NewOpinion]:
    nothing: dict[str, Any] = {"likes": (), "dislikes": (), "ratings": (), "scale": None, "choices": (), "ties": ()}
    return opinions_of(**nothing | words)


@pytest.mark.parametrize("text", ["", "0F" * 32, "0f" * 31, "0f" * 33, "photo.jpg", "0f" * 32 + "\n"])
def test_an_id_is_64_hex_digits(text: str) -> None:
    with pytest.raises(InvalidSample, match="want an image's id, 64 hex digits"):
        ImageId(text)


def test_an_id_is_equal_to_the_same_id_and_reads_as_its_digits() -> None:
    assert ImageId("0f" * 32) == ID
    assert f"{ID}" == "0f" * 32


@pytest.mark.parametrize("one", ["a.png", Path("a.png"), b"file", PIXELS, ID])
def test_a_lone_image_is_the_only_one(one: Any) -> None:
    assert taste_images_of(one) == [one] or taste_images_of(one)[0] is one


def test_many_images_may_be_of_many_forms() -> None:
    assert taste_images_of(iter(["a.png", ID])) == ["a.png", ID]


def test_opinions_are_in_the_order_of_their_kinds_and_know_their_places() -> None:
    words = {"ties": [("g", "h")], "choices": [("e", "f")], "ratings": {"d": 4.0}, "dislikes": "c", "likes": ["a", "b"]}
    assert [(one.field, one.kind, one.images) for one in said(scale=(1, 5), **words)] == [
        ("likes[0]", "like", ("a",)),
        ("likes[1]", "like", ("b",)),
        ("dislikes[0]", "dislike", ("c",)),
        ("ratings[0]", "rating", ("d",)),
        ("choices[0]", "choice", ("e", "f")),
        ("ties[0]", "tie", ("g", "h")),
    ]


def test_ratings_are_a_dict_or_pairs() -> None:
    (by_key,) = said(ratings={ID: 4.0}, scale=(1, 5))
    (pair,) = said(ratings=[(PIXELS, 4.0)], scale=(1, 5))
    assert by_key.rating == pair.rating == (4.0, 1, 5)
    assert (by_key.images, pair.images[0] is PIXELS) == ((ID,), True)


@pytest.mark.parametrize(
    ("words", "field", "message"),
    [
        ({"ratings": {"a": 4.0}}, "scale", "ratings need the worst and the best"),
        ({"choices": ("a.png", "b.png")}, "choices[0]", r"want \(better, worse\), got str"),
        ({"choices": [("a", "b"), ("a", "b", "c")]}, "choices[1]", r"want \(better, worse\), got tuple"),
        ({"ties": ["ab"]}, "ties[0]", "want two images, got str"),
        ({"ratings": ["ab"], "scale": (0, 1)}, "ratings[0]", r"want \(image, number\)"),
    ],
)
def test_what_is_no_pair_is_told(words: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(InvalidSample, match=message) as caught:
        said(**words)
    assert caught.value.field == field
