"""Single opinions that are taken back, of SQLite and of a real PostgreSQL alike."""

from collections.abc import Callable

import pytest

from beholder.errors import InvalidSample
from beholder.store.store import Limits, Store
from taste_values import DIGEST, ENCODER, better, changes, dislike, image, like, tell_one

Open = Callable[..., Store]


def held(store: Store) -> set[str]:
    """Return the images that the store holds, and check that it counts right."""
    kept, told = store.get("ann"), store.summary("ann")
    assert (told.images, told.verdicts, told.choices) == (len(kept.embeddings), len(kept.verdicts), len(kept.choices))
    return set(kept.embeddings)


def test_a_verdict_goes_while_choices_that_name_its_image_stay(ann: Store) -> None:
    ann.write("ann", changes(like(1), like(2), better(1, 3), numbers=[1, 2, 3]), "a")
    written = ann.write("ann", changes(remove_verdicts=[1, 2]), "b")
    assert (written.version, set(written.removed)) == (3, {like(1), like(2)})
    kept = ann.get("ann")
    assert (dict(kept.verdicts), list(kept.choices)) == ({}, [better(1, 3)])
    assert held(ann) == {image(1), image(3)}, "nothing names the second any more"
    with pytest.raises(InvalidSample, match=image(2)):
        ann.write("ann", changes(like(2)), "c")


def test_a_choice_goes_while_its_images_stay_where_something_names_them(ann: Store) -> None:
    ann.write("ann", changes(like(1), better(1, 2), better(3, 2), better(4, 1), numbers=[1, 2, 3, 4]), "a")
    written = ann.write("ann", changes(remove_choices=[(2, 1), (1, 4), (1, 4), (4, 1)]), "b")
    assert set(written.removed) == {better(1, 2), better(4, 1)}
    assert len(written.removed) == 2
    kept = ann.get("ann")
    assert (dict(kept.verdicts), list(kept.choices)) == ({image(1): like(1)}, [better(3, 2)])
    assert held(ann) == {image(1), image(2), image(3)}


def test_an_image_that_was_only_compared_with_a_removed_one_goes_with_it(ann: Store) -> None:
    ann.write("ann", changes(like(3), better(1, 2), better(1, 3), numbers=[1, 2, 3]), "a")
    written = ann.write("ann", changes(remove=[1], remove_choices=[(1, 2)], remove_verdicts=[1]), "b")
    assert sorted(written.removed, key=str) == sorted([better(1, 2), better(1, 3)], key=str)
    assert held(ann) == {image(3)}


def test_what_is_not_there_is_no_error(ann: Store) -> None:
    ann.write("ann", changes(like(1), better(1, 2), numbers=[1, 2]), "a")
    written = ann.write("ann", changes(remove_verdicts=[2, 9], remove_choices=[(1, 9), (8, 9)]), "b")
    assert (written.version, written.removed) == (3, ())
    assert held(ann) == {image(1), image(2)}


def test_an_image_that_the_same_write_names_again_stays(ann: Store) -> None:
    ann.write("ann", changes(like(1), better(2, 3), numbers=[1, 2, 3], originals=[1, 2]), "a")
    again = changes(dislike(1), better(3, 2), remove_verdicts=[1], remove_choices=[(2, 3)])
    written = ann.write("ann", again, "b")
    assert set(written.removed) == {like(1), better(2, 3)}
    assert written.replaced == ()
    assert ann.get("ann").verdicts == {image(1): dislike(1)}
    assert list(ann.get("ann").choices) == [better(3, 2)]
    assert held(ann) == {image(1), image(2), image(3)}
    assert {it for it, _ in ann.originals("ann")} == {image(1), image(2)}


def test_a_removal_that_is_repeated_answers_the_same_and_does_nothing(ann: Store) -> None:
    ann.write("ann", changes(like(1), better(1, 2), numbers=[1, 2]), "a")
    first = ann.write("ann", changes(remove_verdicts=[1], remove_choices=[(1, 2)]), "b")
    assert set(first.removed) == {like(1), better(1, 2)}
    tell_one(ann, "ann", 1, "c")
    assert ann.write("ann", changes(remove_choices=[(2, 1)], remove_verdicts=[1]), "b") == first
    assert ann.get("ann").verdicts == {image(1): like(1)}
    for other in (changes(remove_verdicts=[1]), changes(remove_choices=[(1, 2)]), changes(remove=[1]), changes()):
        with pytest.raises(InvalidSample, match="version 3 of something else"):
            ann.write("ann", other, "b")


def test_what_is_removed_makes_room_in_the_same_write(open_it: Open) -> None:
    store = open_it(Limits(images=2, choices=1))
    store.create("ann", ENCODER, DIGEST, "make")
    store.write("ann", changes(better(1, 2), numbers=[1, 2]), "a")
    store.write("ann", changes(better(3, 4), numbers=[3, 4], remove_choices=[(1, 2)]), "b")
    assert held(store) == {image(3), image(4)}
