"""The file that tastes lie in: what is deleted leaves it, and what is wrong with it is said, with nothing lost."""

import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from beholder.errors import ConfigError, StoreFailed, StoreUnavailable
from beholder.store.sqlite import SqliteStore
from beholder.store.store import Limits
from own_mounts import in_its_own_mounts
from taste_values import DIGEST, ENCODER, better, changes, dislike, embedding, image, like, original, tell_one

FULL_DISK = """
import subprocess, sys
from pathlib import Path
from beholder.errors import StoreUnavailable
from beholder.store.sqlite import SqliteStore
from taste_values import DIGEST, ENCODER, tell_one

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
store = SqliteStore(folder / "tastes.db")
store.create("ann", ENCODER, DIGEST, "make")
told = 0
try:
    while told < 10_000:
        tell_one(store, "ann", told, f"r{told}")
        told += 1
except StoreUnavailable as error:
    print(error.message)
print(len(store.get("ann").verdicts) == told > 20)
subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
print(tell_one(store, "ann", told, f"r{told}").version == told + 2)
store.close()
print(len(SqliteStore(folder / "tastes.db").get("ann").verdicts) == told + 1)
"""

READ_ONLY = """
import subprocess, sys
from pathlib import Path
from beholder.errors import ConfigError
from beholder.store.sqlite import SqliteStore

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
SqliteStore(folder / "old.db").close()
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
for name in ("new.db", "old.db", "folder/new.db"):
    try:
        SqliteStore(folder / name)
    except ConfigError as error:
        print(error.message)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tastes.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, busy_s=0.2)
    store.create("ann", ENCODER, DIGEST, "make")
    yield store
    store.close()


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))


def test_what_is_deleted_leaves_the_files(store: SqliteStore, path: Path) -> None:
    second = SqliteStore(path)
    taste_id = store.create("a-telling-name", ENCODER, DIGEST, "make").id
    for number in range(40):
        store.write(
            "a-telling-name",
            changes(like(number), better(number, 0), numbers=[number, 0]) if number else changes(like(0), numbers=[0]),
            f"r{number}",
        )
        tell_one(store, "ann", number + 100, f"r{number}")
    second.get("a-telling-name")
    secrets = [b"a-telling-name", *(embedding(n).tobytes() for n in range(40)), *(image(n).encode() for n in range(40))]
    before = bytes_of(path.parent)
    assert all(secret in before for secret in secrets)
    store.delete("a-telling-name", "gone")
    left = bytes_of(path.parent)
    assert not [secret for secret in secrets if secret in left]
    assert all(embedding(number + 100).tobytes() in left for number in range(40))
    assert left.count(taste_id.encode()) <= 1, "the id, a random number, is told to replicas"
    second.close()


def test_an_image_that_is_removed_leaves_the_files(store: SqliteStore, path: Path) -> None:
    store.write("ann", changes(like(1), like(2), better(1, 2), numbers=[1, 2]), "a")
    assert embedding(1).tobytes() in bytes_of(path.parent)
    store.write("ann", changes(remove=[1]), "b")
    assert embedding(1).tobytes() not in bytes_of(path.parent)
    assert embedding(2).tobytes() in bytes_of(path.parent)


def test_an_original_that_goes_leaves_the_files(store: SqliteStore, path: Path) -> None:
    store.write("ann", changes(like(1), better(2, 3), numbers=[1, 2, 3], originals=[1, 2, 3]), "a")
    next(store.originals("ann"))  # somebody is in the middle of reading them
    for goes, numbers in (({"remove_verdicts": [1]}, (1,)), ({"remove_choices": [(3, 2)]}, (2, 3))):
        assert all(original(number) in bytes_of(path.parent) for number in numbers)
        store.write("ann", changes(**goes), f"r{len(numbers)}")
        assert not any(original(number) in bytes_of(path.parent) for number in numbers)
        assert not any(embedding(number).tobytes() in bytes_of(path.parent) for number in numbers)


def test_the_embeddings_of_an_encoder_that_was_left_leave_the_files(store: SqliteStore, path: Path) -> None:
    tell_one(store, "ann", 1, "a")
    store.move("ann", "other-eye", "f" * 64, {image(1): embedding(2)}, "b")
    assert embedding(1).tobytes() not in bytes_of(path.parent)
    assert embedding(2).tobytes() in bytes_of(path.parent)


def test_a_reader_who_holds_the_log_delays_that_until_the_next_write(store: SqliteStore, path: Path) -> None:
    tell_one(store, "ann", 1, "a")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM examples").fetchall()
    store.delete("ann", "gone")
    assert embedding(1).tobytes() in bytes_of(path.parent)
    reader.close()
    store.create("bob", ENCODER, DIGEST, "make")
    assert embedding(1).tobytes() not in bytes_of(path.parent)


def test_the_file_is_its_owners_alone(store: SqliteStore, path: Path) -> None:
    tell_one(store, "ann", 1, "a")
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


def test_every_connection_syncs_what_it_commits(store: SqliteStore) -> None:
    with store._writers.taken() as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        pragmas += [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("foreign_keys", "secure_delete")]
    assert pragmas == ["wal", 2, 1, 1]


def test_a_large_write_does_not_keep_its_log_for_ever(store: SqliteStore, path: Path) -> None:
    ids = range(70)
    large = {image(number): bytes(2**20) for number in ids}
    told = changes(*map(like, ids), numbers=ids)
    store.write("ann", replace(told, originals=large), "a")
    tell_one(store, "ann", 99, "b")
    assert path.with_name(f"{path.name}-wal").stat().st_size <= 2**26


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "a" / "b" / "tastes.db").close()
    assert (tmp_path / "a" / "b" / "tastes.db").exists()


def test_a_path_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "tastes.db", tmp_path, tmp_path / ("a" * 300)):
        with pytest.raises(ConfigError, match=str(path)):
            SqliteStore(path)


@pytest.mark.parametrize("size", [2, 100, 5000, 100_000])
def test_garbage_is_refused_and_left_as_it_is(path: Path, size: int) -> None:
    garbage = np.random.default_rng(size).bytes(size)
    path.write_bytes(garbage)
    with pytest.raises(ConfigError, match=r"tastes\.db is damaged, or no SQLite database"):
        SqliteStore(path)
    assert path.read_bytes() == garbage


def test_a_file_cut_short_is_damaged(store: SqliteStore, path: Path) -> None:
    for number in range(100):
        tell_one(store, "ann", number, f"r{number}")
    store.close()
    whole = path.read_bytes()
    for size in (50, len(whole) // 3, len(whole) - 4096):
        path.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=r"tastes\.db is damaged"):
            SqliteStore(path)
    path.write_bytes(whole)
    again = SqliteStore(path)
    assert len(again.get("ann").verdicts) == 100
    again.close()


def test_damage_inside_is_found_when_it_is_met_and_the_caller_learns_no_path(store: SqliteStore, path: Path) -> None:
    for number in range(100):
        tell_one(store, "ann", number, f"r{number}")
    store.close()
    whole = bytearray(path.read_bytes())
    whole[20 * 4096 :] = b"\xa5" * (len(whole) - 20 * 4096)
    path.write_bytes(whole)
    again = SqliteStore(path)
    with pytest.raises(StoreFailed) as caught:
        again.get("ann")
    assert str(path) not in caught.value.message
    again.close()


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (it TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="another program's database"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_locked_file_refuses_writers_in_time_and_still_answers_readers(store: SqliteStore, path: Path) -> None:
    tell_one(store, "ann", 1, "a")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    start_s = time.monotonic()
    with pytest.raises(StoreUnavailable, match="locked by another process") as caught:
        store.write("ann", changes(dislike(1)), "b")
    assert time.monotonic() - start_s < 5.0
    assert caught.value.retry_after_s > 0.0
    assert store.get("ann").verdicts == {image(1): like(1)}
    with pytest.raises(ConfigError, match="locked by another process"):
        SqliteStore(path, Limits(), busy_s=0.1)
    other.close()
    assert store.write("ann", changes(dislike(1)), "b").replaced == (like(1),)


def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    said = in_its_own_mounts(FULL_DISK, folder).splitlines()
    assert said == ["the store of tastes has no room left on its disk; nothing was written", "True", "True", "True"]


def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    said = in_its_own_mounts(READ_ONLY, folder).splitlines()
    assert [(name in line, "can't be" in line) for name, line in zip(("new", "old", "folder"), said, strict=True)] == [
        (True, True)
    ] * 3
