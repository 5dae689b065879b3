"""What a store of tastes promises, asked of SQLite and of a real PostgreSQL alike."""

import itertools
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import postgres_server
from beholder.errors import (
    ConfigError,
    InvalidSample,
    TasteExists,
    TasteFull,
    TasteNotFound,
    Unavailable,
    VersionConflict,
)
from beholder.taste import schema
from beholder.taste.open import open_store
from beholder.taste.opinions import Choice, Verdict
from beholder.taste.store import Changes, Limits, Store
from taste_values import DIGEST, ENCODER, better, changes, dislike, embedding, image, like, start_teller, tell_one

Open = Callable[..., Store]


@pytest.fixture(scope="module")
def postgres() -> Iterator[postgres_server.PostgresServer]:
    programs = postgres_server.binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server here: apt install postgresql")
    server = postgres_server.make(programs)
    server.start()
    yield server
    server.crash()
    shutil.rmtree(server.folder)


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "tastes.db")
    server: postgres_server.PostgresServer = request.getfixturevalue("postgres")
    return server.empty_database()


@pytest.fixture
def open_it(address: str) -> Iterator[Open]:
    opened: list[Store] = []

    def open_one(limits: Limits = Limits()) -> Store:  # noqa: B008
        opened.append(open_store(address, limits))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_it: Open) -> Store:
    return open_it()


@pytest.fixture
def ann(store: Store) -> Store:
    store.create("ann", ENCODER, DIGEST, "make")
    return store


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
    from beholder.taste import writing

    assert writing.KEPT_REQUESTS == 1000
    monkeypatch.setattr(writing, "KEPT_REQUESTS", 3)
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


def test_a_replica_sees_what_changed_within_a_second(ann: Store, open_it: Open) -> None:
    other = open_it()
    start = other.changed_since(-1)
    assert start.is_everything
    assert other.changed_since(start.cursor) == other.changed_since(start.cursor)
    assert not other.changed_since(start.cursor).ids
    told_s = time.monotonic()
    tell_one(ann, "ann", 1, "a")
    news = other.changed_since(start.cursor)
    assert time.monotonic() - told_s < 1.0
    assert news.ids == {ann.get("ann").id}
    assert other.get("ann").version == 2
    bob = ann.create("bob", ENCODER, DIGEST, "make")
    ann.delete("ann", "gone")
    last = other.changed_since(news.cursor)
    assert (last.ids, last.is_everything) == (news.ids | {bob.id}, False)
    assert other.changed_since(last.cursor + 7).is_everything, "a cursor of another database"


def test_a_cursor_from_before_forgotten_deletions_means_everything(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beholder.taste.sql.KEPT_DELETIONS", 2)
    cursors = []
    for number in range(4):
        store.create("ann", ENCODER, DIGEST, "make")
        cursors.append(store.changed_since(-1).cursor)
        store.delete("ann", f"gone{number}")
    assert [store.changed_since(cursor).is_everything for cursor in cursors] == [True, True, False, False]


def test_threads_of_two_stores_lose_nothing(ann: Store, open_it: Open) -> None:
    stores = [ann, open_it()]

    def tell(who: int) -> list[int]:
        return [tell_one(stores[who % 2], "ann", who * 100 + n, f"{who}-{n}").version for n in range(15)]

    with ThreadPoolExecutor(6) as pool:
        versions = sorted(version for told in pool.map(tell, range(6)) for version in told)
    assert versions == list(range(2, 92))
    assert set(ann.get("ann").verdicts) == {image(who * 100 + n) for who in range(6) for n in range(15)}


def test_a_reader_sees_one_moment(ann: Store, open_it: Open) -> None:
    other = open_it()
    with ThreadPoolExecutor(1) as pool:
        telling = pool.submit(lambda: [tell_one(ann, "ann", n, f"r{n}") for n in range(60)])
        reads = 0
        while not telling.done():
            kept = other.get("ann")
            assert kept.version == 1 + len(kept.verdicts)
            assert kept.verdicts.keys() == kept.embeddings.keys()
            reads += 1
        telling.result()
    assert reads > 10


def test_two_processes_lose_nothing(ann: Store, address: str) -> None:
    tellers = [start_teller(address, "ann", who, 40) for who in (0, 1000)]
    for teller in tellers:
        teller.communicate(timeout=30)
    assert [teller.returncode for teller in tellers] == [0, 0]
    assert set(ann.get("ann").verdicts) == {image(who + n) for who in (0, 1000) for n in range(40)}
    assert ann.get("ann").version == 81


def test_of_two_raters_who_read_the_same_version_one_is_told(ann: Store, open_it: Open) -> None:
    outcomes: list[object] = []
    start = threading.Barrier(2)

    def tell(store: Store, number: int) -> None:
        start.wait()
        try:
            outcomes.append(store.write("ann", changes(like(number), numbers=[number]), f"r{number}", 1).version)
        except VersionConflict as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=tell, args=(it, n)) for n, it in enumerate((ann, open_it()))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["2", "taste 'ann' is of version 2, not 1: read it again, then write"]


def test_nothing_acknowledged_is_lost_to_kill_9(ann: Store, address: str, open_it: Open) -> None:
    ann.close()  # each life opens what the last one left, alone
    chance, told = random.Random(4), set[int]()
    for life in range(5):
        teller = start_teller(address, "ann", life * 100_000)
        assert teller.stdout
        assert teller.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0.0, 0.25))
        teller.kill()
        said = teller.communicate(timeout=30)[0].split("\n")
        told |= {int(line) for line in said[:-1]}  # what follows the last line's end is none that was finished
    kept = open_it().get("ann")
    assert told
    assert {image(number) for number in told} <= set(kept.verdicts)
    assert len(kept.verdicts) <= len(told) + 5, "each life may have one that was written and not yet answered"
    assert kept.version == len(kept.verdicts) + 1


def test_a_random_life_ends_as_a_simple_model_does(ann: Store, open_it: Open) -> None:
    chance = random.Random(7)
    verdicts: dict[str, Verdict] = {}
    choices: dict[frozenset[str], Choice] = {}
    images: set[str] = set()
    for turn in range(120):
        numbers = chance.sample(range(12), 4)
        removed = chance.sample(range(12), chance.choice((0, 0, 1, 2)))
        told = [
            chance.choice((like, dislike))(numbers[0]),
            better(*numbers[1:3]),
            chance.choice((like, dislike))(numbers[3]),
        ]
        ann.write("ann", changes(*told, numbers=numbers, remove=removed), f"r{turn}")
        for gone in map(image, removed):
            images.discard(gone)
            verdicts.pop(gone, None)
            choices = {pair: it for pair, it in choices.items() if gone not in pair}
        images |= set(map(image, numbers))
        verdicts |= {told[0].image: told[0], told[2].image: told[2]}
        choices[frozenset((told[1].better, told[1].worse))] = told[1]
    kept, told_of = open_it().get("ann"), ann.summary("ann")
    assert kept.verdicts == verdicts
    assert set(kept.choices) == set(choices.values())
    assert set(kept.embeddings) == images
    assert (told_of.images, told_of.verdicts, told_of.choices) == (len(images), len(verdicts), len(choices))


def test_a_store_of_a_newer_version_is_left_alone(
    ann: Store, address: str, open_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE more (it {text})",)))
        for module in ("sqlite", "postgres"):
            newer.setattr(f"beholder.taste.{module}.MIGRATIONS", schema.MIGRATIONS)
        tell_one(open_it(), "ann", 1, "a")
        assert open_it().get("ann").version == 2
    with pytest.raises(ConfigError, match="newer Beholder: its schema is 2, this one knows up to 1"):
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


def test_a_new_store_may_be_opened_by_several_at_once(address: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_store(address, Limits()), range(6)))
    for number, store in enumerate(stores):
        store.create(f"t{number}", ENCODER, DIGEST, "make")
    assert len(stores[0].list()) == 6
    for store in stores:
        store.close()


def test_a_closed_store_says_so(ann: Store) -> None:
    ann.close()
    for act in (lambda: ann.get("ann"), lambda: ann.write("ann", changes(), "a"), lambda: ann.changed_since(0)):
        with pytest.raises(Unavailable, match="closed"):
            act()


def test_ten_thousand_images_are_one_write(ann: Store, capsys: pytest.CaptureFixture[str]) -> None:
    many = range(10_000)
    vectors = np.random.default_rng(0).standard_normal((len(many), 1500), dtype=np.float32)
    every = Changes([like(n) for n in many], embeddings={image(n): vectors[n] for n in many}, encoder_digest=DIGEST)
    times = [time.perf_counter()]
    for act in (
        lambda: ann.write("ann", every, "a"),
        lambda: ann.get("ann"),
        lambda: ann.write("ann", changes(dislike(5)), "b"),
        lambda: ann.changed_since(0),
        lambda: ann.delete("ann", "c"),
    ):
        act()
        times.append(time.perf_counter())
    took = [f"{(end - start) * 1000:.1f}" for start, end in itertools.pairwise(times)]
    what = ("write", "read", "tell one more", "ask for news", "delete")
    with capsys.disabled():
        told = ", ".join(f"{name} {ms} ms" for name, ms in zip(what, took, strict=True))
        print(f"\n{type(ann).__name__}, 10,000 images of 1500 numbers: {told}")  # noqa: T201
    assert not ann.list()
