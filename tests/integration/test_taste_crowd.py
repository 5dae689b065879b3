"""Many at once, a death in the middle, and ten thousand images: of SQLite and of a real PostgreSQL alike."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from beholder.errors import (
    VersionConflict,
)
from beholder.taste.open import open_store
from beholder.taste.opinions import Choice, Verdict
from beholder.taste.store import Changes, Limits, Store
from taste_values import DIGEST, ENCODER, better, changes, dislike, image, like, start_teller, tell_one

Open = Callable[..., Store]


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


def test_a_new_store_may_be_opened_by_several_at_once(address: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: open_store(address, Limits()), range(6)))
    for number, store in enumerate(stores):
        store.create(f"t{number}", ENCODER, DIGEST, "make")
    assert len(stores[0].list()) == 6
    for store in stores:
        store.close()


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
