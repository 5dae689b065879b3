"""What a store of tastes promises, asked of SQLite and of a real PostgreSQL alike."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from beholder.errors import (
    ConfigError,
    InvalidSample,
    TasteExists,
    TasteFull,
    TasteNotFound,
    Unavailable,
    VersionConflict,
)
from beholder.store import schema
from beholder.store.changes import Changes
from beholder.store.open import open_store
from beholder.store.store import Limits, Store
from taste_values import DIGEST, ENCODER, better, changes, dislike, embedding, image, like, tell_one

Open = Callable[..., Store]


def test_a_new_taste_is_empty_and_of_version_1(store: Store) -> None:
    made = store.create("ann", ENCODER, DIGEST, "make")
    kept = store.get("ann")
    assert (kept.id, kept.name, kept.version, kept.encoder, kept.encoder_digest) == (made.id, "ann", 1, ENCODER, DIGEST)
    assert (dict(kept.verdicts), list(kept.choices), dict(kept.embeddings)) == ({}, [], {})


def test_a_repeated_creation_answers_the_same_and_another_one_is_refused(ann: Store) -> None:
    made = ann.get("ann")
    tell_one(ann, "ann", 1, "a")
    again = ann.create("ann", ENCODER, DIGEST, "make")
    assert (again.id, again.version) == (made.id, 1)
    for encoder, request_id in ((ENCODER, "other"), ("other-eye", "make")):
        with pytest.raises(TasteExists, match="ann"):
            ann.create("ann", encoder, DIGEST, request_id)
    assert ann.get("ann").version == 2


def test_what_is_told_comes_back(ann: Store, open_it: Open) -> None:
    ann.write("ann", changes(like(1), dislike(2), better(3, 1), better(4, 2, True), numbers=[1, 2, 3, 4]), "a")
    for store in (ann, open_it()):
        kept = store.get("ann")
        assert kept.version == 2
        assert kept.verdicts == {image(1): like(1), image(2): dislike(2)}
        assert better(3, 1) in kept.choices
        (tie,) = [choice for choice in kept.choices if choice.is_tie]
        assert {tie.better, tie.worse} == {image(4), image(2)}
        assert list(kept.embeddings) == sorted(map(image, (1, 2, 3, 4)))
        for number in (1, 2, 3, 4):
            assert kept.embeddings[image(number)].dtype == np.float32
            assert np.array_equal(kept.embeddings[image(number)], embedding(number))


def test_the_later_opinion_wins_and_says_what_it_replaced(ann: Store) -> None:
    written = ann.write("ann", changes(like(1), dislike(1), better(1, 2), better(2, 1), numbers=[1, 2]), "a")
    assert written.replaced == (like(1), better(1, 2))
    written = ann.write("ann", changes(like(1), better(1, 2, True)), "b")
    assert written.replaced == (dislike(1), better(2, 1))
    kept = ann.get("ann")
    assert kept.verdicts == {image(1): like(1)}
    assert [choice.is_tie for choice in kept.choices] == [True]


def test_an_image_is_removed_with_all_that_names_it(ann: Store) -> None:
    ann.write("ann", changes(like(1), like(2), better(1, 2), better(3, 2), numbers=[1, 2, 3]), "a")
    written = ann.write("ann", changes(remove=[1, 9]), "b")
    assert set(written.removed) == {like(1), better(1, 2)}
    kept = ann.get("ann")
    assert (dict(kept.verdicts), list(kept.choices)) == ({image(2): like(2)}, [better(3, 2)])
    assert set(kept.embeddings) == {image(2), image(3)}
    with pytest.raises(InvalidSample, match=image(1)):
        ann.write("ann", changes(like(1)), "c")


def test_a_repeated_request_answers_what_the_first_one_did_and_does_nothing(ann: Store) -> None:
    ann.write("ann", changes(like(1), better(1, 2), numbers=[1, 2]), "a")
    first = ann.write("ann", changes(dislike(1), better(2, 1), remove=[2], numbers=[2]), "b", expected_version=2)
    ann.write("ann", changes(like(1)), "c")
    assert (
        ann.write("ann", changes(dislike(1), better(2, 1), remove=[2], numbers=[2]), "b", expected_version=2) == first
    )
    assert first.version == 3
    assert first.removed == (better(1, 2),)
    assert ann.get("ann").version == 4
    assert ann.get("ann").verdicts == {image(1): like(1)}


def test_a_request_id_of_another_write_loses_nothing_silently(ann: Store) -> None:
    tell_one(ann, "ann", 1, "a")
    with pytest.raises(InvalidSample, match="version 2"):
        tell_one(ann, "ann", 2, "a")


def test_the_last_thousand_requests_are_remembered(ann: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from beholder.store import answers

    assert answers.KEPT_REQUESTS == 1000
    monkeypatch.setattr(answers, "KEPT_REQUESTS", 3)
    for number in range(5):
        tell_one(ann, "ann", number, f"r{number}")
    assert [tell_one(ann, "ann", number, f"r{number}").version for number in (2, 3, 4)] == [4, 5, 6]
    assert tell_one(ann, "ann", 1, "r1").version == 7


def test_a_stale_version_is_refused_and_both_are_named(ann: Store) -> None:
    tell_one(ann, "ann", 1, "a")
    for act in (lambda: ann.write("ann", changes(dislike(1)), "b", 1), lambda: ann.delete("ann", "b", 1)):
        with pytest.raises(VersionConflict, match="version 2, not 1"):
            act()
    assert ann.write("ann", changes(dislike(1)), "b", 2).version == 3


def test_a_write_is_all_or_nothing(ann: Store) -> None:
    tell_one(ann, "ann", 1, "a")
    before = ann.summary("ann")
    for bad in (
        changes(like(2), like(3), remove=[1], numbers=[2]),
        changes(like(2), numbers=[2], remove=[1], digest="f" * 64),
        Changes([like(2)], remove=[image(1)], embeddings={image(2): embedding(2, 4)}, encoder_digest=DIGEST),
    ):
        with pytest.raises(InvalidSample):
            ann.write("ann", bad, "b")
    assert ann.summary("ann") == before
    assert ann.get("ann").verdicts == {image(1): like(1)}


def test_limits_say_what_they_are_and_what_was_found(open_it: Open) -> None:
    store = open_it(Limits(tastes=2, images=3, choices=1))
    for name in ("a", "b"):
        store.create(name, ENCODER, DIGEST, "make")
    with pytest.raises(TasteFull, match=r"2 tastes.* number 3"):
        store.create("c", ENCODER, DIGEST, "make")
    store.write("a", changes(like(1), like(2), better(1, 2), numbers=[1, 2]), "a")
    with pytest.raises(TasteFull, match=r"3 images.* 4"):
        store.write("a", changes(like(3), like(4), numbers=[3, 4]), "b")
    with pytest.raises(TasteFull, match=r"1 choices.* 2"):
        store.write("a", changes(better(3, 2), numbers=[3]), "b")
    assert store.write("a", changes(like(3), like(4), remove=[1], numbers=[3, 4]), "b").version == 3
    store.delete("b", "gone")
    store.create("c", ENCODER, DIGEST, "make")


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a" * 65, "a b", "../a", "a\n", "ä", "a\0", "a'; DROP TABLE tastes", "\ud800"]
)
def test_a_hostile_name_is_refused_wherever_it_comes(ann: Store, name: str) -> None:
    for act in (
        lambda: ann.create(name, ENCODER, DIGEST, "a"),
        lambda: ann.get(name),
        lambda: ann.summary(name),
        lambda: ann.write(name, changes(), "a"),
        lambda: ann.delete(name, "a"),
    ):
        with pytest.raises(InvalidSample) as caught:
            act()
        assert len(caught.value.message) < 400
    with pytest.raises(InvalidSample):
        ann.write("ann", changes(), name + " ")


def test_a_taste_that_is_not_there_is_not_found(store: Store) -> None:
    for act in (
        lambda: store.get("ann"),
        lambda: store.summary("ann"),
        lambda: store.write("ann", changes(), "a"),
        lambda: store.delete("ann", "a"),
    ):
        with pytest.raises(TasteNotFound, match="ann"):
            act()


def test_tastes_are_listed_by_name_a_page_at_a_time(store: Store) -> None:
    names = ["a", "a-b", "a.b", "a0", "a_b", "ab", "b", "0"]
    for name in names:
        store.create(name, ENCODER, DIGEST, "make")
    store.write("ab", changes(like(1), better(1, 2), numbers=[1, 2]), "a")
    listed, after = [], ""
    while page := store.list(after, 3):
        assert len(page) <= 3
        listed += page
        after = page[-1].name
    assert [it.name for it in listed] == sorted(names)
    (ab,) = [it for it in listed if it.name == "ab"]
    assert ab == store.summary("ab")
    assert (ab.version, ab.images, ab.verdicts, ab.choices) == (2, 2, 1, 1)
    assert time.time() - 60 < ab.created_s <= ab.changed_s <= time.time()


def test_a_deleted_taste_is_gone_and_its_name_is_free(ann: Store) -> None:
    tell_one(ann, "ann", 1, "a")
    first = ann.get("ann")
    ann.delete("ann", "gone", expected_version=2)
    ann.delete("ann", "gone", expected_version=2)
    with pytest.raises(TasteNotFound):
        ann.delete("ann", "gone-again")
    again = ann.create("ann", ENCODER, DIGEST, "make-again")
    ann.delete("ann", "gone")  # a late copy of the first request must not delete what came after it
    assert again.id != first.id
    assert dict(ann.get("ann").embeddings) == {}
    assert tell_one(ann, "ann", 1, "a").version == 2


def test_a_cursor_from_before_forgotten_deletions_means_everything(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beholder.store.sql.KEPT_DELETIONS", 2)
    cursors = []
    for number in range(4):
        store.create("ann", ENCODER, DIGEST, "make")
        cursors.append(store.changed_since(-1).cursor)
        store.delete("ann", f"gone{number}")
    assert [store.changed_since(cursor).is_everything for cursor in cursors] == [True, True, False, False]


def test_a_store_of_a_newer_version_is_left_alone(
    ann: Store, address: str, open_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE more (it {text})",)))
        for module in ("sqlite", "postgres"):
            newer.setattr(f"beholder.store.{module}.MIGRATIONS", schema.MIGRATIONS)
        tell_one(open_it(), "ann", 1, "a")
        assert open_it().get("ann").version == 2
    with pytest.raises(ConfigError, match="newer Beholder: its schema is 3, this one knows up to 2"):
        open_store(address, Limits())
    assert ann.get("ann").version == 2


def test_a_migration_that_fails_leaves_what_was(
    ann: Store, address: str, open_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_one(ann, "ann", 1, "a")
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("DROP TABLE verdicts", "CREATE TABLE broken (")))
        with pytest.raises(ConfigError):
            open_store(address, Limits())
    assert open_it().get("ann").verdicts == {image(1): like(1)}


def test_a_closed_store_says_so(ann: Store) -> None:
    ann.close()
    for act in (lambda: ann.get("ann"), lambda: ann.write("ann", changes(), "a"), lambda: ann.changed_since(0)):
        with pytest.raises(Unavailable, match="closed"):
            act()
