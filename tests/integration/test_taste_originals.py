"""Images as sent, where the operator keeps them: of SQLite and of a real PostgreSQL alike."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from beholder.errors import InvalidSample, TasteFull, TasteNotFound
from beholder.store.changes import Changes
from beholder.store.store import Limits, Store
from taste_values import DIGEST, ENCODER, better, changes, dislike, embedding, image, like, original, tell_one

Open = Callable[..., Store]
MIB = 2**20


def large(*numbers: int, size: int) -> Changes:
    """Return likes of images whose files have `size` bytes, each its own."""
    return Changes(
        [like(number) for number in numbers],
        embeddings={image(number): embedding(number) for number in numbers},
        encoder_digest=DIGEST,
        originals={image(number): np.random.default_rng(number).bytes(size) for number in numbers},
    )


def test_images_come_back_as_they_were_sent_in_the_order_of_their_ids(ann: Store, open_it: Open) -> None:
    ann.write("ann", changes(like(1), better(2, 3), like(4), numbers=[1, 2, 3, 4], originals=[1, 2, 3]), "a")
    for store in (ann, open_it()):
        assert list(store.originals("ann")) == sorted((image(number), original(number)) for number in (1, 2, 3))
    assert len(ann.get("ann").embeddings) == 4


def test_a_taste_without_originals_yields_none_and_no_taste_is_not_found(ann: Store) -> None:
    tell_one(ann, "ann", 1, "a")
    assert list(ann.originals("ann")) == []
    with pytest.raises(TasteNotFound, match="bob"):
        ann.originals("bob")
    with pytest.raises(InvalidSample, match="name"):
        ann.originals("../bob")


def test_an_original_may_come_later_and_the_first_one_stays(ann: Store) -> None:
    tell_one(ann, "ann", 1, "a")
    ann.write("ann", changes(dislike(1), originals=[1]), "b")
    ann.write("ann", Changes([like(1)], originals={image(1): b"another file"}), "c")
    assert list(ann.originals("ann")) == [(image(1), original(1))]


def test_originals_go_with_their_image_or_taste(ann: Store) -> None:
    for name in ("ann", "bob"):
        ann.create(name, ENCODER, DIGEST, "make")
        told = changes(like(1), like(2), better(3, 4), numbers=[1, 2, 3, 4], originals=[1, 2, 3, 4])
        ann.write(name, told, "a")
    for removal, left in (({"remove": [1]}, (2, 3, 4)), ({"remove_verdicts": [2]}, (3, 4))):
        ann.write("ann", changes(**removal), f"r{len(left)}")
        assert dict(ann.originals("ann")) == {image(number): original(number) for number in left}
    ann.write("ann", changes(like(3), remove_choices=[(3, 4)]), "b")
    assert dict(ann.originals("ann")) == {image(3): original(3)}
    ann.delete("ann", "gone")
    ann.create("ann", ENCODER, DIGEST, "make-again")
    assert list(ann.originals("ann")) == []
    assert len(list(ann.originals("bob"))) == 4


def test_originals_have_a_limit_for_each_taste(open_it: Open) -> None:
    store = open_it(Limits(originals_mb=1))
    for name in ("ann", "bob"):
        store.create(name, ENCODER, DIGEST, "make")
        store.write(name, large(1, size=MIB // 2), "a")
    with pytest.raises(TasteFull, match=r"1 MiB .*'ann' would keep 1\.250 MiB"):
        store.write("ann", large(1, 2, 3, size=MIB * 3 // 8), "b")
    assert store.summary("ann").version == 2
    store.write("ann", large(1, 2, size=MIB // 2), "b")
    with pytest.raises(TasteFull, match="MiB"):
        store.write("ann", large(3, size=1), "c")
    assert store.write("ann", changes(like(1), dislike(2)), "c").version == 4, "opinions without files still count"
    room = Changes([like(3)], [], [image(1)], {image(3): embedding(3)}, DIGEST, originals={image(3): bytes(MIB // 2)})
    store.write("ann", room, "d")
    assert [it for it, _ in store.originals("ann")] == sorted([image(2), image(3)])


def test_few_originals_are_in_memory_at_a_time(ann: Store) -> None:
    for number in range(16):
        ann.write("ann", large(number, size=MIB), f"r{number}")
    list(ann.list())
    tracemalloc.start()
    sizes = [len(file) for _, file in ann.originals("ann")]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == [MIB] * 16
    assert peak < 4 * MIB


def test_between_two_originals_the_store_is_free_for_others(ann: Store, open_it: Open) -> None:
    ann.write("ann", changes(*map(like, range(6)), numbers=range(6), originals=range(6)), "a")
    order = sorted(range(6), key=image)
    readers = [open_it().originals("ann") for _ in range(20)]  # more than a store has connections
    assert {next(reader) for reader in readers} == {(image(order[0]), original(order[0]))}
    ann.write("ann", changes(remove=[order[1]]), "b")
    assert next(readers[0]) == (image(order[2]), original(order[2]))
    ann.delete("ann", "gone")
    with pytest.raises(TasteNotFound):
        next(readers[0])
    ann.create("ann", ENCODER, DIGEST, "again", changes(*map(like, range(6)), numbers=range(6), originals=range(6)))
    with pytest.raises(TasteNotFound, match="deleted meanwhile"):
        next(readers[1])
