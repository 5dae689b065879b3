"""A taste that is made with all that was told of it, or not at all: of SQLite and of a real PostgreSQL alike."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from beholder.errors import InvalidSample, TasteExists, TasteFull, TasteNotFound
from beholder.store.store import Limits, Store
from server_process import REPO
from taste_values import DIGEST, ENCODER, better, changes, dislike, embedding, image, like, original, tell_one

Open = Callable[..., Store]
CONTENT = changes(like(1), dislike(1), like(4), better(2, 3), better(2, 1, True), numbers=[1, 2, 3, 4], originals=[1])

MAKER = """
import sys
from beholder.store.open import open_store
from beholder.store.store import Limits
from taste_values import DIGEST, ENCODER, changes, like

address, who = sys.argv[1:]
store = open_store(address, Limits())
content = changes(*map(like, range(60)), numbers=range(60), originals=range(60))
print("open", flush=True)
for number in range(1_000_000):
    store.create(f"{who}.{number}", ENCODER, DIGEST, "make", content)
    print(f"{who}.{number}", flush=True)
"""


def test_a_taste_is_made_with_its_content_and_is_of_version_1(store: Store, open_it: Open) -> None:
    cursor = store.changed_since(-1).cursor
    made = store.create("ann", ENCODER, DIGEST, "make", CONTENT)
    kept = open_it().get("ann")
    assert (kept.id, kept.name, kept.version, kept.encoder, kept.encoder_digest) == (made.id, "ann", 1, ENCODER, DIGEST)
    assert kept.verdicts == {image(1): dislike(1), image(4): like(4)}
    assert len(kept.choices) == 2
    assert (kept.verdicts, list(kept.choices)) == (made.verdicts, list(made.choices))
    assert list(kept.embeddings) == list(made.embeddings) == sorted(map(image, (1, 2, 3, 4)))
    assert all(np.array_equal(it, made.embeddings[key]) for key, it in kept.embeddings.items())
    assert np.array_equal(kept.embeddings[image(2)], embedding(2))
    assert list(store.originals("ann")) == [(image(1), original(1))]
    told = store.summary("ann")
    assert (told.images, told.verdicts, told.choices) == (4, 2, 2)
    assert store.changed_since(cursor).ids == {made.id}
    assert store.write("ann", changes(like(1)), "a", expected_version=1).replaced == (dislike(1),)


def test_the_request_that_made_it_is_answered_the_same_whatever_came_after(store: Store) -> None:
    made = store.create("ann", ENCODER, DIGEST, "make", CONTENT)
    store.write("ann", changes(remove=[1, 2, 3]), "a")
    again = store.create("ann", ENCODER, DIGEST, "make", CONTENT)
    assert (again.id, again.version, again.verdicts, again.choices) == (made.id, 1, made.verdicts, made.choices)
    assert store.summary("ann").images == 1
    for content in (None, changes(like(1), numbers=[1])):
        with pytest.raises(TasteExists, match="ann"):
            store.create("ann", ENCODER, DIGEST, "make", content)
    store.create("bob", ENCODER, DIGEST, "make")
    with pytest.raises(TasteExists, match="bob"):
        store.create("bob", ENCODER, DIGEST, "make", CONTENT)


def test_a_content_that_is_refused_leaves_no_taste(open_it: Open) -> None:
    store = open_it(Limits(tastes=1, images=3))
    cursor = store.changed_since(-1).cursor
    for bad, error in (
        (changes(like(1), like(2), numbers=[1]), InvalidSample),
        (changes(like(1), numbers=[1], digest="f" * 64), InvalidSample),
        (changes(*map(like, range(4)), numbers=range(4)), TasteFull),
    ):
        with pytest.raises(error):
            store.create("ann", ENCODER, DIGEST, "make", bad)
    with pytest.raises(TasteNotFound):
        store.get("ann")
    assert not store.changed_since(cursor).ids
    store.create("ann", ENCODER, DIGEST, "make", changes(like(1), numbers=[1]))
    with pytest.raises(TasteFull, match="1 tastes"):
        store.create("bob", ENCODER, DIGEST, "make", changes(like(1), numbers=[1]))


def test_kill_9_leaves_the_whole_taste_or_none(store: Store, address: str, open_it: Open) -> None:
    store.close()  # each life opens what the last one left, alone
    chance, told = random.Random(5), list[str]()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(REPO / "service"), str(REPO / "tests")))}
    for life in range(5):
        command = [sys.executable, "-c", MAKER, address, f"life{life}"]
        maker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert maker.stdout
        assert maker.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0.0, 0.15))
        maker.kill()
        told += maker.communicate(timeout=30)[0].split("\n")[:-1]
    again = open_it()
    kept = again.list(limit=1_000_000)
    assert told
    assert set(told) <= {it.name for it in kept}
    assert len(kept) <= len(told) + 5, "each life may have one that was made and not yet answered"
    for it in kept:
        assert (it.version, it.images, it.verdicts) == (1, 60, 60)
        assert len(again.get(it.name).embeddings) == len(list(again.originals(it.name))) == 60
    assert tell_one(again, kept[0].name, 99, "a").version == 2
