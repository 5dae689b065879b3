"""Tastes as callers use them, against a real server and in-process: the same words, the same answers."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beholder.client import Choice, Client, ImageId, Normalisation, Sample, Verdict
from beholder.config import Config
from beholder.embedded import Embedded
from beholder.errors import InvalidSample, ScorerNotExported, ScorerNotFound, TasteExists, VersionConflict
from beholder.types import Kind
from blocking import Blocking
from eye_folder import EYE, OTHER_EYE, SCORERS, write_models
from server_process import ServerProcess, StartServer
from taste_house import cold, warm

Caller = Any


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the settings of a server with tastes."""
    folder = tmp_path_factory.mktemp("tastes")
    models = [str(write_models(folder / "models"))]
    return {"models": models, "scorers": SCORERS, "taste_encoder": EYE, "taste_store": str(folder / "tastes.db")}


@pytest.fixture(scope="module")
def ours(start_server: StartServer, settings: dict[str, Any]) -> ServerProcess:
    return start_server(**settings)


@pytest.fixture(scope="module", params=["client", "async", "embedded"])
def caller(request: pytest.FixtureRequest, settings: dict[str, Any], tmp_path_factory: Any) -> Iterator[Caller]:
    """Return each kind of caller in turn, with no tastes."""
    made: Caller
    if request.param == "embedded":
        own = {"models": tuple(settings["models"]), "taste_store": str(tmp_path_factory.mktemp("own") / "tastes.db")}
        made = Embedded(Config(**settings | own))
    else:
        address = request.getfixturevalue("ours").address
        made = Client(address) if request.param == "client" else Blocking(address)
    yield made
    for taste in list(made.tastes.list()):
        made.tastes.delete(taste.name)
    made.close()


@pytest.fixture
def name(request: pytest.FixtureRequest, caller: Caller) -> str:
    """Return the name of a taste that likes what is warm, and was told so by images."""
    name = "t" + hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    caller.tastes.create(name)
    told = caller.tastes.add(name, likes=[warm(1).data, warm(2).data], dislikes=[cold(3).data, cold(4).data])
    assert told.ok
    return name


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_taste_is_asked_as_a_scorer_beside_others(caller: Caller, name: str) -> None:
    words = {"scorers": ["psnr", f"taste/{name}"], "references": warm(5).data}
    good, bad, broken = caller.score([warm(5).data, cold(6).data, b"nothing"], **words)
    assert good["psnr"].value == 80.0
    assert good[f"taste/{name}"].value > 0.6 > 0.4 > bad[f"taste/{name}"].value
    verdict = good[f"taste/{name}"].taste
    assert (verdict.version, verdict.percentile > 50, verdict.sd > 0) == (2, True, True)
    assert good.image_id == id_of(warm(5).data)
    assert isinstance(broken.errors[f"taste/{name}"], InvalidSample)


def test_the_next_request_knows_what_was_told(caller: Caller, name: str) -> None:
    scorer = f"taste/{name}"
    (before,) = caller.score(warm(5).data, scorers=scorer)
    caller.tastes.add(name, dislikes=[warm(number).data for number in range(20, 30)])
    (after,) = caller.score(warm(5).data, scorers=scorer)
    assert after[scorer].value < before[scorer].value
    assert after[scorer].taste.version == 3


def test_an_image_that_was_scored_may_be_named_by_its_id(caller: Caller, name: str) -> None:
    (scored,) = caller.score(warm(7).data, scorers=f"taste/{name}")
    told = caller.tastes.add(name, likes=ImageId(scored.image_id), dislikes=ImageId("0" * 64))
    liked, unknown = told.outcomes
    assert (liked.image_ids, unknown.field) == ((scored.image_id,), "dislikes[0]")
    assert isinstance(unknown.error, InvalidSample)
    assert "send the image itself" in unknown.error.message


def test_a_stream_and_a_ranking_tell_the_images_ids(caller: Caller, name: str) -> None:
    scorer, images = f"taste/{name}", [cold(6).data, warm(5).data]
    streamed = dict(caller.score_stream([Sample(image) for image in images], scorers=[scorer]))
    assert [streamed[index].image_id for index in (0, 1)] == list(map(id_of, images))
    ranking = caller.rank(images, {scorer: 1.0, "psnr": 1.0}, reference=warm(5).data)
    assert [place.index for place in ranking] == [1, 0]
    assert ranking[0].image_id == ranking[0].result.image_id == id_of(images[1])
    assert caller.rank(images, scorer, normalisation=Normalisation.RAW)[0].index == 1


def test_a_taste_is_described_as_a_scorer(caller: Caller, name: str) -> None:
    info = caller.scorer(f"taste/{name}")
    assert (info.kind, info.range_, info.encoder, info.ready) == (Kind.TASTE, (0.0, 1.0), EYE, True)
    with pytest.raises(ScorerNotFound, match="no taste 'nobody'"):
        caller.scorer("taste/nobody")


def test_every_kind_of_opinion_is_told_and_one_that_cannot_be_hurts_no_other(
    caller: Caller, name: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    (tmp_path / "good.png").write_bytes(warm(8).data)
    told = caller.tastes.add(
        name,
        likes=[tmp_path / "good.png", tmp_path / "broken.png", tmp_path / "gone.png"],
        ratings=[(warm(9).data, 5.0), (warm(10).data, 6.0)],
        scale=(1, 5),
        choices=[(warm(8).data, cold(3).data), (warm(8).data, warm(8).data)],
        ties=[(warm(1).data, warm(2).data), (warm(1).data, b"nothing")],
    )
    wrong = {"likes[1]", "likes[2]", "ratings[1]", "choices[1]", "ties[1]"}
    assert {outcome.field for outcome in told.outcomes if outcome.error} == wrong == set(told.errors)
    assert told.errors["ties[1]"].field == "ties[1].worse"
    assert "want a value from 1 to 5, got 6" in told.errors["ratings[1]"].message
    assert told.outcomes[0].image_ids == (id_of(warm(8).data),)
    details = caller.tastes.get(name)
    assert Choice(id_of(warm(8).data), id_of(cold(3).data)) in details.opinions
    assert Verdict(id_of(warm(9).data), "rating", 1.0) in details.opinions
    assert (details.taste.images, details.taste.verdicts, details.taste.choices) == (6, 6, 2)
    assert details.left_out.count > 0
    assert 0 < details.certainty.sd < details.certainty.prior_sd


def test_of_an_image_liked_and_disliked_the_later_counts_and_that_is_told(caller: Caller, name: str) -> None:
    told = caller.tastes.add(name, likes=warm(11).data, dislikes=[warm(11).data, warm(1).data])
    replaced = {(opinion.image_id, opinion.source) for opinion in told.replaced}
    assert replaced == {(id_of(warm(11).data), "like"), (id_of(warm(1).data), "like")}
    assert Verdict(id_of(warm(11).data), "dislike", -1.0) in caller.tastes.get(name).opinions


def test_more_opinions_than_a_request_holds_are_told_and_the_same_call_again_does_nothing(
    caller: Caller, name: str
) -> None:
    images = [warm(number).data for number in range(100, 400)]
    told = caller.tastes.add(name, likes=images, request_id="many", expected_version=2)
    assert told.ok
    assert (len(told.outcomes), told.taste.images, told.taste.version) == (300, 304, 4)
    again = caller.tastes.add(name, likes=images, request_id="many", expected_version=2)
    assert (again.ok, again.taste.version) == (True, 4)


def test_who_read_an_older_version_is_told(caller: Caller, name: str) -> None:
    with pytest.raises(VersionConflict, match="version"):
        caller.tastes.add(name, likes=warm(1).data, expected_version=1)
    with pytest.raises(VersionConflict):
        caller.tastes.delete(name, expected_version=9)


def test_opinions_are_taken_back(caller: Caller, name: str) -> None:
    caller.tastes.add(name, choices=[(warm(1).data, warm(2).data), (warm(1).data, cold(3).data)])
    one, two, three = (id_of(image.data) for image in (warm(1), warm(2), cold(3)))
    removed = caller.tastes.remove(name, choices=[(ImageId(one), two)])
    assert removed.removed == (Choice(one, two),)
    removed = caller.tastes.remove(name, [three])
    assert set(removed.removed) == {Verdict(three, "dislike", -1.0), Choice(one, three)}
    assert removed.taste.images == 3


def test_a_name_is_taken_once(caller: Caller, name: str) -> None:
    with pytest.raises(TasteExists):
        caller.tastes.create(name)
    with pytest.raises(InvalidSample, match="a taste's name is"):
        caller.tastes.create("../../etc")
    with pytest.raises(ScorerNotFound, match="no taste 'nobody'"):
        caller.tastes.get("nobody")


def test_tastes_are_listed_by_name(caller: Caller) -> None:
    for number in range(105):
        caller.tastes.create(f"many-{number:03}")
    names = [taste.name for taste in caller.tastes.list() if taste.name.startswith("many-")]
    assert names == [f"many-{number:03}" for number in range(105)]


def test_pairs_to_ask_about_are_suggested(caller: Caller, name: str) -> None:
    candidates = [warm(5).data, warm(6).data, cold(7).data, ImageId(id_of(warm(1).data))]
    first, second = caller.tastes.suggest(name, candidates, limit=2)
    assert first.gain >= second.gain > 0
    assert {first.first, first.second} <= set(range(4))
    with pytest.raises(InvalidSample) as caught:
        caller.tastes.suggest(name, [warm(5).data, b"nothing"])
    assert caught.value.field == "candidates[1]"


def test_tastes_are_compared(caller: Caller, name: str) -> None:
    caller.tastes.create(f"{name}-not")
    caller.tastes.add(f"{name}-not", likes=[cold(3).data, cold(4).data], dislikes=[warm(1).data, warm(2).data])
    compared = caller.tastes.compare(name, f"{name}-not", [warm(5).data, cold(6).data, warm(7).data])
    assert compared.agreement < -0.5
    assert compared.candidate_agreement < 0
    assert sorted(one.index for one in compared.differences) == [0, 1, 2]
    assert caller.tastes.compare(name, name).candidate_agreement is None


def test_a_taste_moves_house_with_all_that_it_was_told(caller: Caller, name: str) -> None:
    data = caller.tastes.export(name)
    taste = caller.tastes.import_(data, f"{name}-2")
    assert (taste.images, taste.verdicts, taste.encoder) == (4, 4, EYE)
    mine, theirs = f"taste/{name}", f"taste/{name}-2"
    (result,) = caller.score(warm(5).data, scorers=[mine, theirs])
    assert result[mine].value == result[theirs].value
    with pytest.raises(TasteExists):
        caller.tastes.import_(data)


def test_a_taste_without_its_images_does_not_move_to_another_encoder(caller: Caller, name: str) -> None:
    with pytest.raises(InvalidSample):
        caller.tastes.move(name, OTHER_EYE)
    with pytest.raises(ScorerNotExported, match="no encoder 'nobody'"):
        caller.tastes.move(name, "nobody")


def test_a_deleted_taste_is_gone(caller: Caller, name: str) -> None:
    caller.tastes.delete(name)
    with pytest.raises(ScorerNotFound):
        caller.score(warm(5).data, scorers=f"taste/{name}")
    assert name not in {taste.name for taste in caller.tastes.list()}


def test_a_server_without_a_store_says_what_to_set(settings: dict[str, Any]) -> None:
    config = Config(**settings | {"models": tuple(settings["models"]), "taste_store": ""})
    with Embedded(config) as embedded:
        for ask in (
            lambda: embedded.tastes.create("ann"),
            lambda: list(embedded.tastes.list()),
            lambda: embedded.score(warm(1).data, scorers="taste/ann"),
        ):
            with pytest.raises(ScorerNotExported, match="start it with BEHOLDER_TASTE_STORE=FILE"):
                ask()


def test_images_that_the_operator_keeps_are_embedded_anew(settings: dict[str, Any], tmp_path: Path) -> None:
    own = {"models": tuple(settings["models"]), "taste_store": str(tmp_path / "tastes.db"), "taste_images": "keep"}
    with Embedded(Config(**settings | own)) as embedded:
        embedded.tastes.create("ann")
        embedded.tastes.add("ann", likes=[warm(1).data, warm(2).data], dislikes=cold(3).data)
        moved = embedded.tastes.move("ann", OTHER_EYE)
        assert (moved.encoder, moved.images, moved.version) == (OTHER_EYE, 3, 3)
        assert embedded.score(warm(5).data, scorers="taste/ann")[0]["taste/ann"].value > 0.5
