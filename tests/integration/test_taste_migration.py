"""A store that an older Beholder made: opened, it is this one's; whatever happens on the way, nothing is lost."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import taste_version_1
from beholder.errors import InvalidSample, TasteExists, TasteNotFound
from beholder.store import schema
from beholder.store.store import Store
from own_mounts import in_its_own_mounts
from server_process import REPO
from taste_values import DIGEST, ENCODER, better, changes, dislike, embedding, image, like, original, tell_one

Open = Callable[..., Store]

STOPS = """
import sys, time
from beholder.store import open, postgres, schema, sqlite
from beholder.store.store import Limits

address, before = sys.argv[1], int(sys.argv[2])

def stopping(*arguments, **types):
    statements = schema.missing(*arguments, **types)
    for number, statement in enumerate([*statements, None]):
        if number == before:
            print("here", flush=True)
            time.sleep(60)
        if statement:
            yield statement

sqlite.missing = postgres.missing = stopping
open.open_store(address, Limits())
"""

FULL_DISK = """
import subprocess, sys
from pathlib import Path

import taste_version_1
from beholder.errors import ConfigError
from beholder.store.sqlite import SqliteStore

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
path = folder / "tastes.db"
taste_version_1.write(str(path), more_tastes=500)
with (folder / "filler").open("wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
refused = []
for room in range(0, 2_000_000, 65536):
    size = (folder / "filler").stat().st_size
    with (folder / "filler").open("r+b") as filler:
        filler.truncate(max(0, size - (65536 if room else 0)))
    try:
        store = SqliteStore(path)
        break
    except ConfigError as error:
        refused.append(error.message)
        assert path.read_bytes()[60:64] == b"\\0\\0\\0\\1", "the version of its schema"
print(len(refused) > 2, all("has no room left on its disk" in it for it in refused))
print(len(store.list(limit=1000)), store.get("ann").version)
"""


@pytest.fixture
def old(address: str) -> str:
    """Return the address of a store of version 1."""
    taste_version_1.write(address)
    return address


def check_all_is_there(store: Store) -> None:
    """Check that a store holds what the one of version 1 did, and that it is this version's."""
    kept = store.get("ann")
    assert (kept.id, kept.version, kept.encoder, kept.encoder_digest) == (taste_version_1.TASTE_ID, 3, ENCODER, DIGEST)
    assert kept.verdicts == {image(1): dislike(1)}
    assert list(kept.choices) == [better(3, 1)]
    assert list(kept.embeddings) == [image(3), image(1)]
    assert np.array_equal(kept.embeddings[image(3)], embedding(3))
    assert store.summary("ann").created_s == 1795396629.25
    store.write("ann", changes(like(7), numbers=[7], originals=[7]), "new")
    assert list(store.originals("ann")) == [(image(7), original(7))]


def test_the_first_schema_is_still_what_it_was() -> None:
    assert [it.split() for it in schema.MIGRATIONS[0]] == [it.split() for it in taste_version_1.STATEMENTS]


def test_a_store_of_version_1_is_this_ones_when_it_is_opened(old: str, open_it: Open) -> None:
    assert taste_version_1.version_of(old) == 1
    check_all_is_there(open_it())
    assert taste_version_1.version_of(old) == 2
    assert open_it().get("ann").version == 4


def test_what_version_1_answered_is_still_known(old: str, open_it: Open) -> None:
    store = open_it()
    assert not store.changed_since(5).ids
    assert store.changed_since(1).ids == {taste_version_1.TASTE_ID, "b121fbc5f4c7454c995a06e3ad1af1fd"}
    first = changes(like(1), dislike(2), better(3, 1), better(2, 3, True), numbers=[1, 2, 3])
    assert store.write("ann", first, "a").version == 2
    second = store.write("ann", changes(dislike(1), remove=[2]), "b")
    assert (second.version, second.replaced, len(second.removed)) == (3, (like(1),), 2)
    with pytest.raises(InvalidSample, match="version 3 of something else"):
        store.write("ann", changes(dislike(1), remove_verdicts=[2]), "b")
    assert (store.create("ann", ENCODER, DIGEST, "make").id, store.get("ann").version) == (taste_version_1.TASTE_ID, 3)
    with pytest.raises(TasteExists):
        store.create("ann", "other-eye", DIGEST, "make")
    store.delete("bob", "gone")
    with pytest.raises(TasteNotFound):
        store.delete("bob", "other")


def test_several_may_open_a_store_of_version_1_at_once(old: str, open_it: Open) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_it(), range(6)))
    for number, store in enumerate(stores):
        tell_one(store, "ann", 10 + number, f"r{number}")
    assert stores[0].get("ann").version == 9


@pytest.mark.parametrize("before", range(len(schema.MIGRATIONS[1]) + 1))
def test_kill_9_in_a_migration_leaves_what_was(old: str, open_it: Open, before: int) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(REPO / "service"), str(REPO / "tests")))}
    command = [sys.executable, "-c", STOPS, old, str(before)]
    opener = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert opener.stdout
    assert opener.stdout.readline() == "here\n"
    opener.kill()
    opener.communicate(timeout=30)
    assert taste_version_1.version_of(old) == 1
    check_all_is_there(open_it())


def test_a_full_disk_in_a_migration_leaves_what_was(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    assert in_its_own_mounts(FULL_DISK, folder).splitlines() == ["True True", "501 3"]
