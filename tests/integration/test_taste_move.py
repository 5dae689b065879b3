"""A taste that moves to another encoder, of SQLite and of a real PostgreSQL alike."""

from collections.abc import Callable

import numpy as np
import pytest

from beholder.errors import InvalidSample, TasteExists, TasteNotFound, VersionConflict
from beholder.store.changes import Changes
from beholder.store.store import Store
from beholder.types import F32
from taste_values import DIGEST, ENCODER, better, changes, dislike, embedding, image, like, original, tell_one

Open = Callable[..., Store]
OTHER, OTHER_DIGEST = "other-eye", "f" * 64


def other_embedding(number: int) -> F32:
    return embedding(number + 1000, dims=24)


def others(*numbers: int) -> dict[str, F32]:
    return {image(number): other_embedding(number) for number in numbers}


@pytest.fixture
def told(ann: Store) -> Store:
    ann.write("ann", changes(like(1), better(2, 3), numbers=[1, 2, 3], originals=[1]), "a")
    return ann


def test_a_move_changes_the_encoder_and_all_embeddings_and_nothing_else(told: Store, open_it: Open) -> None:
    replica, before = open_it(), told.get("ann")
    cursor = replica.changed_since(-1).cursor
    written = told.move("ann", OTHER, OTHER_DIGEST, others(3, 1, 2), "b", expected_version=2)
    assert (written.version, written.replaced, written.removed) == (3, (), ())
    assert replica.changed_since(cursor).ids == {before.id}
    after = replica.get("ann")
    assert (after.id, after.version, after.encoder, after.encoder_digest) == (before.id, 3, OTHER, OTHER_DIGEST)
    assert (after.verdicts, after.choices) == (before.verdicts, before.choices)
    assert after.embeddings.keys() == before.embeddings.keys()
    for number in (1, 2, 3):
        assert np.array_equal(after.embeddings[image(number)], other_embedding(number))
    assert list(told.originals("ann")) == [(image(1), original(1))]
    assert told.summary("ann").changed_s >= told.summary("ann").created_s


def test_a_move_needs_an_embedding_of_exactly_the_images_that_are_held(told: Store) -> None:
    before = told.summary("ann")
    for given, what in (
        (others(2, 3), f"holds 3 images; 1 of them .* such as image {image(1)}"),
        ({}, f"holds 3 images; 3 of them .* such as image {min(map(image, (1, 2, 3)))}"),
        (others(1, 2, 3, 4), f"holds 3 images; 1 of the embeddings .* such as image {image(4)}"),
        (others(1, 2) | {image(3): np.full(24, np.nan, np.float32)}, f"image {image(3)}"),
        (others(1, 2) | {image(3): np.ones(23, np.float32)}, f"image {image(3)}: .*24 finite"),
    ):
        with pytest.raises(InvalidSample, match=what):
            told.move("ann", OTHER, OTHER_DIGEST, given, "b")
    assert told.summary("ann") == before
    assert np.array_equal(told.get("ann").embeddings[image(1)], embedding(1))
    with pytest.raises(TasteNotFound):
        told.move("bob", OTHER, OTHER_DIGEST, {}, "b")
    with pytest.raises(InvalidSample, match="request_id"):
        told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3), "")


def test_a_repeated_move_answers_the_same_and_does_nothing(told: Store) -> None:
    first = told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3), "b", expected_version=2)
    told.write("ann", Changes([like(4)], embeddings=others(4), encoder_digest=OTHER_DIGEST), "c")
    assert told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3), "b", expected_version=2) == first
    assert told.summary("ann").version == 4
    for act in (
        lambda: told.move("ann", ENCODER, DIGEST, others(1, 2, 3, 4), "b"),
        lambda: told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3, 4), "a"),
        lambda: told.write("ann", changes(dislike(1)), "b"),
    ):
        with pytest.raises(InvalidSample, match="of something else: choose another"):
            act()


def test_of_a_write_and_a_move_from_one_version_the_second_is_refused(told: Store) -> None:
    told.write("ann", changes(dislike(1)), "b", 2)
    with pytest.raises(VersionConflict, match="version 3, not 2"):
        told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3), "c", 2)
    told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3), "c", 3)
    with pytest.raises(VersionConflict, match="version 4, not 3"):
        told.write("ann", changes(like(1)), "d", 3)
    assert told.get("ann").verdicts == {image(1): dislike(1)}


def test_after_a_move_embeddings_of_the_encoder_before_are_refused(told: Store) -> None:
    told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3), "b")
    with pytest.raises(InvalidSample, match="encoder other-eye"):
        tell_one(told, "ann", 4, "c")
    with pytest.raises(InvalidSample, match="24 numbers; these have 16"):
        told.write("ann", changes(like(4), numbers=[4], digest=OTHER_DIGEST), "c")
    assert told.write("ann", changes(dislike(1), better(1, 2)), "c").version == 4
    assert told.write("ann", Changes([like(4)], embeddings=others(4), encoder_digest=OTHER_DIGEST), "d").version == 5


def test_an_empty_taste_moves_too(ann: Store) -> None:
    assert ann.move("ann", OTHER, OTHER_DIGEST, {}, "a").version == 2
    assert ann.write("ann", Changes([like(4)], embeddings=others(4), encoder_digest=OTHER_DIGEST), "b").version == 3


def test_the_request_that_made_a_taste_is_known_again_after_a_move(told: Store) -> None:
    made = told.get("ann").id
    told.move("ann", OTHER, OTHER_DIGEST, others(1, 2, 3), "b")
    again = told.create("ann", ENCODER, DIGEST, "make")
    assert (again.id, again.version, again.encoder, dict(again.verdicts)) == (made, 1, ENCODER, {})
    with pytest.raises(TasteExists):
        told.create("ann", OTHER, OTHER_DIGEST, "make")
