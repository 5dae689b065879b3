"""What is told, learned and asked of tastes, through a real store and the engine, on a fake encoder."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from beholder.engine.engine import Engine
from beholder.errors import (
    InvalidSample,
    ScoringFailed,
    TasteExists,
    TasteFull,
    TasteNotFound,
    TasteNotServed,
    VersionConflict,
)
from beholder.inputs.image import digest
from beholder.rpc.finding import Finder
from beholder.scoring.embedding import EmbeddingScorer
from beholder.store.changes import Changes
from beholder.store.opinions import Choice, Source, Taste, Verdict
from beholder.store.store import Limits
from beholder.taste.background import fit_background
from beholder.taste.eye import Eye
from beholder.taste.prior import Prior
from beholder.taste.scorer import FLIPS, NOTHING_TOLD, ONLY_LIKES, judged_among
from beholder.taste.tastes import Tastes, Told
from beholder.taste.telling import NewChoice, NewOpinion, rating
from beholder.types import EncodedImage, RawImage, Score
from taste_house import (
    DIGEST,
    ENCODER,
    WAIT_S,
    TasteHouse,
    ask,
    cold,
    dislike,
    embedding,
    like,
    look,
    pixels,
    png,
    warm,
)

BROKEN = EncodedImage(b"\x89PNG\r\n\x1a\nnot really")


@pytest.fixture
def house() -> TasteHouse:
    return TasteHouse()


@pytest.fixture
def served(house: TasteHouse, tmp_path: Path) -> Iterator[tuple[Tastes, Engine]]:
    with house.tastes(tmp_path / "tastes.db") as running:
        yield running


def tell(tastes: Tastes, name: str, *opinions: NewOpinion, request_id: str = "", expected_version: int = 0) -> Told:
    request_id = request_id or f"r{time.monotonic_ns()}"
    return tastes.tell(name, opinions, request_id, expected_version, timeout_s=WAIT_S)


def new(tastes: Tastes, name: str, *opinions: NewOpinion) -> None:
    tastes.create(name, "", f"make-{name}")
    if opinions:
        tell(tastes, name, *opinions)


def p_like(served: tuple[Tastes, Engine], name: str, *images: EncodedImage) -> list[float]:
    return [score.value for score in scores(served, name, *images)]


def scores(served: tuple[Tastes, Engine], name: str, *images: EncodedImage) -> list[Score]:
    tastes, engine = served
    outcomes = [result[f"taste/{name}"] for result in ask(engine, [tastes.learned.scorer(name, "scorers")], images)]
    assert all(isinstance(outcome, Score) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Score)]


def test_a_taste_likes_what_is_like_what_was_liked(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1), warm(2)), *dislike(cold(3), cold(4)))
    good, bad = p_like(served, "ann", warm(5), cold(6))
    assert good > 0.6 > 0.4 > bad


def test_p_like_is_made_of_the_opinion_and_its_sd(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1), warm(2)), *dislike(cold(3), cold(4)))
    for score in scores(served, "ann", warm(5), cold(6), warm(7)):
        assert score.taste is not None
        logit = score.taste.opinion / np.sqrt(1 + np.pi * score.taste.sd**2 / 8)
        assert score.value == pytest.approx(1 / (1 + np.exp(-logit)))


def test_a_taste_that_was_told_nothing_says_half_and_is_unsure(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    (score,) = scores(served, "ann", warm(5))
    assert score.value == 0.5
    assert score.taste is not None
    assert (score.taste.unsure, score.taste.why_unsure, score.taste.version) == (True, NOTHING_TOLD, 1)


def test_an_opinion_counts_in_the_very_next_request(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1)), *dislike(cold(2)))
    before = p_like(served, "ann", warm(5))
    for number in range(10, 20):
        tell(served[0], "ann", *dislike(warm(number)), *like(cold(number)))
        (score,) = scores(served, "ann", warm(5))
        assert score.taste is not None
        assert score.taste.version == number - 7
    assert score.value < 0.5 < before[0]


def test_rows_of_many_tastes_share_a_batch_and_each_is_as_if_alone(
    house: TasteHouse, served: tuple[Tastes, Engine]
) -> None:
    tastes, engine = served
    for number in range(12):
        liked, disliked = (warm, cold) if number % 2 else (cold, warm)
        new(tastes, f"u{number}", *like(liked(number)), *dislike(disliked(number + 50)))
    images = [warm(100), cold(101)]
    alone = [[p_like(served, f"u{number}", image)[0] for number in range(12)] for image in images]
    scorers = [tastes.learned.scorer(f"u{number}", "scorers") for number in range(12)]
    together = ask(engine, scorers, images)
    assert [[result[f"taste/u{number}"].value for number in range(12)] for result in together] == alone  # type: ignore[union-attr]


def test_a_taste_shares_a_request_with_scorers_of_its_encoder(house: TasteHouse, tmp_path: Path) -> None:
    house.add_head("first", ENCODER, lambda inputs: {"score": inputs["embedding"][:, 0]})
    with house.tastes(tmp_path / "tastes.db") as (tastes, engine):
        new(tastes, "ann", *like(warm(1)))
        runs = len(house.session.batches)
        scorers = [engine.scorer("first"), tastes.learned.scorer("ann", "scorers")]
        (result,) = ask(engine, scorers, [warm(7)])
        assert list(result) == ["first", "taste/ann"]
        assert all(isinstance(outcome, Score) for outcome in result.values())
        assert len(house.session.batches) == runs + 1


def test_opinions_name_images_that_were_scored_before(served: tuple[Tastes, Engine]) -> None:
    tastes, engine = served
    new(tastes, "ann")
    ask(engine, [EmbeddingScorer(tastes.learned.scorer("ann", "scorers").graph)], [warm(1)])
    known, unknown = digest(warm(1)).hex(), digest(warm(2)).hex()
    told = tell(tastes, "ann", *like(known, unknown, "x"))
    assert told.results[0] == (known,)
    assert [str(error) for error in told.results[1:]] == [
        f"image {unknown} is neither held by the taste nor remembered by this server: send the image itself",
        "want an image's id, 64 hex digits, got 'x'",
    ]
    assert (told.taste.version, told.taste.images) == (2, 1)


def test_an_image_that_the_taste_holds_needs_no_embedding(house: TasteHouse, tmp_path: Path) -> None:
    known = digest(warm(1)).hex()
    with house.tastes(tmp_path / "tastes.db") as (tastes, _):
        new(tastes, "ann", *like(warm(1)))
    with TasteHouse().tastes(tmp_path / "tastes.db") as (tastes, _):
        told = tell(tastes, "ann", *dislike(known))
        assert told.replaced == (Verdict(known, 1.0, Source.LIKE),)


def test_broken_images_are_named_and_the_others_count(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    told = tell(served[0], "ann", *like(warm(1), BROKEN), NewChoice(BROKEN, warm(2)), NewChoice(warm(3), warm(3)))
    assert told.results[0] == (digest(warm(1)).hex(),)
    errors = [error for error in told.results if isinstance(error, InvalidSample)]
    assert [error.field for error in errors] == ["opinions[1]", "opinions[2].choice.better", "opinions[3].choice"]
    assert told.taste.images == 1


def test_where_no_opinion_can_be_taken_nothing_is_written(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    told = tell(served[0], "ann", *like(BROKEN))
    assert (told.taste.version, len(told.results), told.replaced) == (1, 1, ())


def test_liked_and_disliked_the_later_wins_and_it_says_so(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    image = digest(warm(1)).hex()
    told = tell(served[0], "ann", *like(warm(1)), *dislike(warm(1)))
    assert told.replaced == (Verdict(image, 1.0, Source.LIKE),)
    assert served[0].portrait("ann").opinions == (Verdict(image, -1.0, Source.DISLIKE),)


def test_a_graph_that_fails_fails_the_whole_request_and_nothing_is_written(
    house: TasteHouse, served: tuple[Tastes, Engine]
) -> None:
    new(served[0], "ann")
    house.session.function = lambda inputs: {}
    with pytest.raises(ScoringFailed):
        tell(served[0], "ann", *like(warm(1)))
    assert served[0].portrait("ann").taste.version == 1


def test_the_same_request_again_says_the_same_and_does_nothing(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    first = tell(served[0], "ann", *like(warm(1)), request_id="once")
    again = tell(served[0], "ann", *like(warm(1)), request_id="once")
    assert (again.results, again.taste.version) == (first.results, 2)


def test_two_writers_at_once_lose_nothing(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    tell(served[0], "ann", *like(warm(1)), expected_version=1)
    with pytest.raises(VersionConflict, match="2"):
        tell(served[0], "ann", *like(warm(2)), expected_version=1)
    writers = [
        threading.Thread(target=tell, args=(served[0], "ann", *like(warm(number))), kwargs={"request_id": f"w{number}"})
        for number in range(10, 30)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (served[0].portrait("ann").taste.images, served[0].portrait("ann").taste.version) == (21, 22)


def test_ratings_are_read_on_their_own_scale(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", rating(warm(1), 5, 1, 5), rating(cold(2), 1, 1, 5), rating(warm(3), 3, 1, 5))
    values = [verdict.value for verdict in served[0].portrait("ann").opinions if isinstance(verdict, Verdict)]
    assert sorted(values) == [-1.0, 0.0, 1.0]
    good, bad = p_like(served, "ann", warm(5), cold(6))
    assert good > bad
    for value, lowest, highest in ((6, 1, 5), (1, 5, 1), (1, 0, float("inf")), (float("nan"), 0, 1)):
        with pytest.raises(InvalidSample):
            rating(warm(1), value, lowest, highest)


def test_choices_alone_teach(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *(NewChoice(warm(number), cold(number + 50)) for number in range(4)))
    good, bad = p_like(served, "ann", warm(5), cold(6))
    assert good > bad


def test_raw_pixels_are_an_image_like_any_other(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    raw = RawImage(pixels(1, warm=True))
    told = tell(served[0], "ann", *like(raw))
    assert told.results == [(digest(raw).hex(),)]


def test_what_is_forgotten_no_longer_counts(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1)), *dislike(cold(2)), NewChoice(warm(3), cold(4)))
    images = [digest(image).hex() for image in (warm(1), cold(2))]
    taste, removed = served[0].take_back("ann", Changes(remove=images), "forget")
    assert {opinion.image for opinion in removed if isinstance(opinion, Verdict)} == set(images)
    assert (taste.images, taste.verdicts, taste.choices) == (2, 0, 1)
    pair = digest(warm(3)).hex(), digest(cold(4)).hex()
    taste, removed = served[0].take_back("ann", Changes(remove_choices=[pair]), "forget-2")
    assert removed == (Choice(*pair),)
    assert (taste.images, p_like(served, "ann", warm(5))) == (0, [0.5])


def test_a_deleted_taste_is_gone_at_once(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1)))
    p_like(served, "ann", warm(5))
    served[0].delete("ann", "bye")
    with pytest.raises(TasteNotFound, match="ann"):
        served[0].learned.scorer("ann", "scorers")
    new(served[0], "ann2")
    assert [taste.name for taste in served[0].page("", 10)] == ["ann2"]


def test_a_portrait_tells_how_well_it_predicts_and_how_sure_it_is(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann")
    empty = served[0].portrait("ann")
    assert empty.left_out is not None
    assert empty.certainty is not None
    assert (empty.left_out.count, empty.certainty[0]) == (0, pytest.approx(empty.certainty[1]))
    tell(served[0], "ann", *like(*map(warm, range(6))), *dislike(*map(cold, range(50, 56))))
    told = served[0].portrait("ann")
    assert told.left_out is not None
    assert told.certainty is not None
    assert (told.left_out.count, told.left_out.right) == (12, 1.0)
    assert told.certainty[0] < told.certainty[1]
    assert (told.taste.images, len(told.opinions)) == (12, 12)


def test_a_portrait_is_of_one_taste_though_it_is_made_again_meanwhile(house: TasteHouse, tmp_path: Path) -> None:
    path = tmp_path / "tastes.db"
    with house.tastes(path) as (tastes, _), house.tastes(path) as (others, _):
        new(tastes, "ann", *like(warm(0), warm(1)))
        read = tastes._store.get

        def read_late(name: str) -> Taste:
            taste = read(name)
            if len(taste.verdicts) > 1:
                others.delete("ann", "delete")
                new(others, "ann", *dislike(warm(2)))
            return taste

        tastes._store.get = read_late  # type: ignore[method-assign]
        portrait = tastes.portrait("ann")
        assert portrait.taste.id == read("ann").id
        assert [opinion.value for opinion in portrait.opinions if isinstance(opinion, Verdict)] == [-1.0]


def test_likes_alone_are_ranked_against_the_middle_of_the_candidates(served: tuple[Tastes, Engine]) -> None:
    tastes, engine = served
    bright = [
        png(np.clip(pixels(number, warm=number % 2 == 0).astype(int) + 100, 0, 255).astype(np.uint8))
        for number in range(8)
    ]
    new(tastes, "ann", *like(bright[0], bright[2]))
    scorers = [tastes.learned.scorer("ann", "scorers")]
    alone = ask(engine, scorers, bright[3:])
    among = judged_among(scorers, alone)
    values = [result["taste/ann"].value for result in among]  # type: ignore[union-attr]
    assert max(values[0::2]) < 0.5 < min(values[1::2]), "the middle is theirs, though all are brighter than most images"
    reasons = [result["taste/ann"].taste.why_unsure for result in (*alone, *among)]  # type: ignore[union-attr]
    assert [ONLY_LIKES in reason for reason in reasons] == [True] * 5 + [False] * 5
    assert judged_among(scorers, alone[:1]) == alone[:1], "one candidate has no middle"


def test_a_prior_is_what_a_new_taste_says(tmp_path: Path) -> None:
    plain = TasteHouse()
    background = plain.eyes[ENCODER].background
    toward_warm = background.project(np.stack([embedding(warm(number)) for number in range(20)])).mean(axis=0)
    prior = Prior(toward_warm / np.linalg.norm(toward_warm), 0.0, 1, DIGEST, background.digest)
    with TasteHouse(prior).tastes(tmp_path / "tastes.db") as served:
        new(served[0], "ann")
        good, bad = p_like(served, "ann", warm(5), cold(6))
        assert good > 0.5 > bad
        assert scores(served, "ann", warm(5))[0].taste.unsure  # type: ignore[union-attr]


def test_a_pair_is_suggested_and_its_answer_teaches(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1)))
    candidates = [warm(5), warm(6), cold(7), cold(8)]
    asked = served[0].suggest("ann", candidates, (), 2, timeout_s=WAIT_S, request_id="s")
    assert len(asked) == 2
    assert asked[0].gain >= asked[1].gain > 0
    before = served[0].portrait("ann").certainty
    tell(served[0], "ann", NewChoice(candidates[asked[0].first], candidates[asked[0].second]))
    after = served[0].portrait("ann").certainty
    assert before is not None
    assert after is not None
    assert after[0] < before[0]
    with pytest.raises(InvalidSample) as caught:
        served[0].suggest("ann", [warm(5), BROKEN], (), 1, timeout_s=WAIT_S, request_id="s")
    assert caught.value.field == "candidates[1]"


def test_two_tastes_agree_as_far_as_they_like_the_same(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1), warm(2)), *dislike(cold(3)))
    new(served[0], "bob", *like(warm(11), warm(12)), *dislike(cold(13)))
    new(served[0], "eve", *like(cold(21), cold(22)), *dislike(warm(23)))
    compare = partial(served[0].compare, timeout_s=WAIT_S, request_id="c")
    assert compare("ann", "bob", [])[0] > 0 > compare("ann", "eve", [])[0]
    assert compare("ann", "ann", [])[0] == pytest.approx(1)
    _, found = compare("ann", "eve", [warm(5), cold(6)])
    assert (found.first[0] > found.second[0], found.first[1] < found.second[1]) == (True, True)
    assert found.rank_correlation == pytest.approx(-1)


def test_an_exported_taste_says_the_same_elsewhere(served: tuple[Tastes, Engine], tmp_path: Path) -> None:
    new(served[0], "ann", *like(warm(1), warm(2)), *dislike(cold(3)), NewChoice(warm(4), cold(5)))
    given, before = served[0].export("ann"), p_like(served, "ann", warm(8), cold(9))
    with TasteHouse().tastes(tmp_path / "other.db") as other:
        assert other[0].import_("bea", given, "import").verdicts == 3
        assert p_like(other, "bea", warm(8), cold(9)) == before
        assert other[0].import_("bea", given, "import").version == other[0].portrait("bea").taste.version, (
            "once is enough"
        )
        with pytest.raises(TasteExists):
            other[0].import_("bea", given, "import-again")


def test_a_taste_of_another_encoder_is_told_apart(house: TasteHouse, tmp_path: Path) -> None:
    with house.tastes(tmp_path / "tastes.db") as (tastes, _):
        new(tastes, "ann", *like(warm(1)))
    eye = house.eyes.pop(ENCODER)
    house = TasteHouse()
    house.eyes = {ENCODER: Eye(eye.graph, "f" * 64, eye.background)}
    with house.tastes(tmp_path / "tastes.db") as (tastes, _):
        with pytest.raises(TasteNotServed, match="told with encoder eye"):
            tastes.learned.scorer("ann", "scorers[0]")
        with pytest.raises(TasteNotServed):
            tell(tastes, "ann", *like(warm(2)))
        portrait = tastes.portrait("ann")
        assert (portrait.left_out, portrait.certainty, len(portrait.opinions)) == (None, None, 1)
        assert "told with encoder eye" in tastes.not_ready_reason(portrait.taste)
        with pytest.raises(TasteNotServed, match="there are: eye"):
            tastes.create("bob", "ear", "make")


def test_a_taste_moves_to_another_encoder_from_the_images_that_are_kept(house: TasteHouse, tmp_path: Path) -> None:
    with house.tastes(tmp_path / "tastes.db", keeps_images=True) as (tastes, _):
        new(tastes, "ann", *like(warm(1), RawImage(pixels(2, warm=True))), *dislike(cold(3)))
    old = house.eyes[ENCODER]
    house = TasteHouse()
    house.eyes = {ENCODER: Eye(house.loaded.graphs[ENCODER], "f" * 64, old.background)}
    with house.tastes(tmp_path / "tastes.db", keeps_images=True) as served:
        moved = served[0].move("ann", ENCODER, "move", timeout_s=WAIT_S)
        assert (moved.encoder_digest, moved.images, moved.version) == ("f" * 64, 3, 3)
        good, bad = p_like(served, "ann", warm(5), cold(6))
        assert good > bad


def test_an_opinion_told_while_a_taste_moves_is_not_lost(house: TasteHouse, tmp_path: Path) -> None:
    here, there = house.eyes[ENCODER], "ear"
    house.add_encoder(there, look)
    house.eyes[there] = Eye(house.loaded.graphs[there], "f" * 64, here.background)
    with house.tastes(tmp_path / "tastes.db", keeps_images=True) as (tastes, _):
        new(tastes, "ann", *like(warm(1)))
        house.session.gate.clear()
        teller = threading.Thread(target=tell, args=(tastes, "ann", *like(warm(2))))
        teller.start()
        assert house.session.entered.acquire(timeout=WAIT_S)
        tastes.move("ann", there, "move", timeout_s=WAIT_S)
        house.session.gate.set()
        teller.join()
        summary = tastes.portrait("ann").taste
        assert (summary.encoder, summary.images, summary.version) == (there, 2, 4)


def test_without_kept_images_a_taste_can_not_move(served: tuple[Tastes, Engine]) -> None:
    new(served[0], "ann", *like(warm(1)))
    with pytest.raises(InvalidSample, match="of 1 images that 'ann' holds, 0 were kept"):
        served[0].move("ann", ENCODER, "move", timeout_s=WAIT_S)


def test_another_replica_sees_a_new_opinion_within_a_second(house: TasteHouse, tmp_path: Path) -> None:
    with house.tastes(tmp_path / "tastes.db") as here, TasteHouse().tastes(tmp_path / "tastes.db") as there:
        new(here[0], "ann", *like(warm(1)), *dislike(cold(2)))
        assert p_like(there, "ann", warm(5))[0] > 0.5
        tell(here[0], "ann", *dislike(*map(warm, range(10, 16))), *like(*map(cold, range(60, 66))))
        deadline = time.monotonic() + 10
        while p_like(there, "ann", warm(5))[0] > 0.5:
            assert time.monotonic() < deadline
        here[0].delete("ann", "bye")
        while there[0].learned.all_remembered(["ann"]):
            assert time.monotonic() < deadline + 10


def test_a_name_that_was_made_again_is_not_answered_from_memory(house: TasteHouse, tmp_path: Path) -> None:
    address = tmp_path / "tastes.db"
    with house.tastes(address, poll_s=WAIT_S) as here, TasteHouse().tastes(address, poll_s=WAIT_S) as there:
        new(here[0], "ann", *like(warm(1)), *dislike(cold(2)))
        assert p_like(here, "ann", warm(5))[0] > 0.5
        there[0].delete("ann", "bye")
        new(here[0], "ann")
        assert p_like(here, "ann", warm(5)) == [0.5]
        there[0].delete("ann", "bye-again")
        new(there[0], "ann", *like(cold(1)), *dislike(warm(2)))
        with pytest.raises(TasteExists):
            here[0].create("ann", "", "too-late")
        assert p_like(here, "ann", warm(5))[0] < 0.5


def test_tastes_in_memory_are_found_without_reading_and_all_or_none(
    house: TasteHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.tastes(tmp_path / "tastes.db", poll_s=WAIT_S) as (tastes, engine):
        finder = Finder(engine, tastes)
        new(tastes, "ann", *like(warm(0)))
        new(tastes, "bob", *like(cold(0)))
        names = ["taste/bob", "taste/ann"]
        assert finder.at_once(names) is None, "nothing was read yet"
        read = finder.find(names)
        monkeypatch.setattr(tastes.learned, "scorer", None)  # whatever is let go of from here on, nothing is read
        assert finder.at_once(names) == read
        tastes.learned.forget("ann")
        assert finder.at_once(names) is None
        assert finder.at_once(["taste/bob"]) == read[:1]


def test_limits_hold(house: TasteHouse, tmp_path: Path) -> None:
    with house.tastes(tmp_path / "tastes.db", Limits(tastes=1, images=2)) as (tastes, _):
        new(tastes, "ann", *like(warm(1), warm(2)))
        with pytest.raises(TasteFull, match="2 images"):
            tell(tastes, "ann", *like(warm(3)))
        with pytest.raises(TasteFull):
            new(tastes, "bob")
        assert tastes.portrait("ann").taste.images == 2


def test_a_verdict_near_the_middle_may_flip_and_says_so(house: TasteHouse, tmp_path: Path) -> None:
    changes = np.stack([embedding(warm(1)) - embedding(cold(1))] * 4)
    eye, rows = house.eyes[ENCODER], np.stack([embedding(cold(number)) for number in range(100)])
    house.eyes = {ENCODER: Eye(eye.graph, DIGEST, fit_background(rows, changes, encoder_digest=DIGEST))}
    with house.tastes(tmp_path / "tastes.db") as served:
        new(served[0], "ann", *like(warm(1)), *dislike(cold(2)))
        (score,) = scores(served, "ann", cold(60))
        assert score.taste is not None
        assert FLIPS in score.taste.why_unsure
