"""What is typed about tastes, and how tastes are written, before any server is asked."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from beholder.cli.rank import weights_in
from beholder.cli.taste_images import ask_without_broken, readable, taste_images
from beholder.cli.taste_report import details_object, details_rows, opinion_text
from beholder.cli.taste_tell import read_ratings, read_scale
from beholder.client import Certainty, Choice, ImageId, LeftOut, Taste, TasteDetails, Verdict
from beholder.errors import InvalidSample
from beholder.types import EncodedImage

ID, OTHER_ID = "0f" * 32, "a0" * 32
MADE = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
ANN = Taste("ann", "1" * 32, 3, "eye", "2" * 64, 2, 1, 1, MADE, MADE, "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that one is in, of three images."""
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ratings(*words: str) -> list[tuple[str, float]]:
    return [(named.shown, value) for named, value in read_ratings(words)]


def test_images_are_files_folders_globs_or_ids_each_once(folder: Path) -> None:
    named = taste_images(["b.png", "*.png", ID, ID])
    assert [one.shown for one in named] == ["b.png", "a.png", "c.png", ID]
    assert [one.image for one in named] == [Path("b.png"), Path("a.png"), Path("c.png"), ImageId(ID)]


def test_a_file_that_is_called_like_an_id_is_that_file(folder: Path) -> None:
    (folder / ID).write_bytes(b"image")
    assert [one.image for one in taste_images([ID])] == [Path(ID)]


def test_images_after_a_number_have_it_until_the_next_number(folder: Path) -> None:
    assert ratings("5=a.png", "b.png", "2.5=c.png") == [("a.png", 5.0), ("b.png", 5.0), ("c.png", 2.5)]
    assert ratings("-1=*.png") == [("a.png", -1.0), ("b.png", -1.0), ("c.png", -1.0)]
    assert ratings(f"1={ID}") == [(ID, 1.0)]


def test_a_file_whose_name_looks_like_a_number_is_that_file_after_a_number(folder: Path) -> None:
    (folder / "3=d.png").touch()
    assert ratings("1=a.png", "3=d.png") == [("a.png", 1.0), ("3=d.png", 1.0)]


@pytest.mark.parametrize("word", ["a.png", "=a.png", "five=a.png", "5=", "nan=a.png", "1e9=a.png"])
def test_a_rating_without_a_number_is_a_mistake(folder: Path, word: str) -> None:
    with pytest.raises(click.UsageError, match="--rate: want NUMBER=IMAGE"):
        read_ratings([word])


@pytest.mark.parametrize(("text", "scale"), [("1:5", (1, 5)), ("-1:1", (-1, 1)), ("0:.5", (0, 0.5))])
def test_a_scale_is_its_worst_and_its_best(text: str, scale: tuple[float, float]) -> None:
    assert read_scale(text) == scale


@pytest.mark.parametrize("text", ["", "5", "5:1", "1:1", "a:b", "1:5:9"])
def test_a_scale_that_is_none_is_a_mistake(text: str) -> None:
    with pytest.raises(click.UsageError, match="--scale: want LOW:HIGH"):
        read_scale(text)


def test_a_taste_is_weighed_as_a_scorer() -> None:
    assert weights_in("", ["ann"]) == {"taste/ann": 1.0}
    assert weights_in("ssim=2", ["ann=0.5", "bob"]) == {"ssim": 2.0, "taste/ann": 0.5, "taste/bob": 1.0}


@pytest.mark.parametrize(
    ("tastes", "message"),
    [([], "want --scorers or --taste"), (["ann=0"], "--taste: ann: want a finite"), (["ann", "ann"], "named twice")],
)
def test_a_taste_that_cannot_be_weighed_is_a_mistake(tastes: list[str], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        weights_in("", tastes)


def test_files_that_cannot_be_read_are_named_and_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = readable(taste_images(["a.png", "gone.png", ID]))
    assert [one.shown for one in read] == ["a.png", ID]
    assert isinstance(read[0].image, EncodedImage)
    assert capsys.readouterr().err.startswith("beholder: gone.png: INVALID_ARGUMENT: ")


def test_candidates_that_a_server_refuses_are_named_and_the_others_asked_about(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(images: list[Any]) -> int:
        for place, image in enumerate(images):
            if image.data != b"b.png":
                raise InvalidSample("image is broken", f"candidates[{place}]")
        return len(images)

    left, answer = ask_without_broken(taste_images(["*.png"]), ask)
    assert ([one.shown for one in left], answer) == (["b.png"], 1)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "beholder: a.png: INVALID_ARGUMENT: image is broken"
    assert second.startswith("beholder: c.png: ")


@pytest.mark.parametrize("field", ["candidates", "", "candidates[9]", "groups"])
def test_what_is_wrong_with_no_image_is_not_blamed_on_one(folder: Path, field: str) -> None:
    def ask(_: list[Any]) -> None:
        raise InvalidSample("want at least 2", field)

    with pytest.raises(InvalidSample, match="want at least 2"):
        ask_without_broken(taste_images(["*.png"]), ask)


@pytest.mark.parametrize(
    ("opinion", "text"),
    [
        (Verdict(ID, "like", 1.0), "like of a.png"),
        (Verdict(OTHER_ID, "rating", 0.5), f"rating +0.50 of {OTHER_ID}"),
        (Choice(ID, OTHER_ID), f"a.png is better than {OTHER_ID}"),
        (Choice(OTHER_ID, ID, True), f"{OTHER_ID} is as good as a.png"),
    ],
)
def test_opinions_name_images_as_people_do_where_that_is_known(opinion: Verdict | Choice, text: str) -> None:
    assert opinion_text(opinion, {ID: "a.png"}) == text


def test_a_taste_tells_how_well_it_predicts_and_how_sure_it_is() -> None:
    details = TasteDetails(
        ANN, (Verdict(ID, "like", 1.0), Choice(ID, OTHER_ID)), LeftOut(4, 0.75, 0.5), Certainty(0.5, 2.0)
    )
    rows = dict(details_rows(details))
    assert rows["name"] == "ann, version 3"
    assert rows["told"] == "1 like, 1 choice, of 2 images"
    assert rows["predicts"].startswith("3 of 4 opinions, each from the others alone; log loss 0.50")
    assert rows["doubt"] == "sd 0.50 on images in general, 2.00 before anything was told"
    told = details_object(details)
    assert told["left_out"] == {"count": 4, "right": 0.75, "log_loss": 0.5}
    assert told["opinions"][0] == {"image_id": ID, "source": "like", "value": 1.0}


def test_a_taste_that_cannot_be_asked_says_why() -> None:
    details = TasteDetails(replace(ANN, not_ready_reason="its encoder is gone"), (), None, None)
    rows = dict(details_rows(details))
    assert (rows["ready"], "predicts" in rows, "doubt" in rows) == ("its encoder is gone", False, False)
    assert (details_object(details)["left_out"], details_object(details)["ready"]) == (None, False)
    nothing = TasteDetails(ANN, (), LeftOut(0, 0.0, 0.0), None)
    rows = dict(details_rows(nothing))
    assert (rows["told"], rows["predicts"]) == ("nothing yet", "nothing to predict yet")
    one = TasteDetails(ANN, (Verdict(ID, "like", 1.0),), LeftOut(1, 0.5, 0.69), None)
    assert dict(details_rows(one))["predicts"] == "nothing to predict yet", "there are no others to predict it from"


def test_what_was_told_is_counted_by_its_kind() -> None:
    opinions = [Verdict(ID, "like", 1.0), Verdict(OTHER_ID, "like", 1.0), Verdict("c" * 64, "rating", 0.5)]
    details = TasteDetails(ANN, (*opinions, Choice(ID, OTHER_ID), Choice(ID, "c" * 64, True)), None, None)
    assert dict(details_rows(details))["told"] == "2 likes, 1 rating, 1 choice, 1 tie, of 2 images"
