"""Many at once, a death in the middle, and ten thousand images: of SQLite and of a real PostgreSQL alike."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from beholder.errors import InvalidSample, TasteNotFound, VersionConflict
from beholder.store.changes import Changes
from beholder.store.open import open_store
from beholder.store.opinions import Choice, Verdict
from beholder.store.store import Limits, Store
from taste_values import (
    DIGEST,
    ENCODER,
    better,
    changes,
    dislike,
    embedding,
    image,
    like,
    original,
    start_teller,
    tell_one,
)

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


def test_a_write_that_meets_a_deletion_is_of_the_one_taste_or_of_the_next(ann: Store, open_it: Open) -> None:
    other, told, seen = open_it(), list[str](), list[str]()
    is_over = threading.Event()

    def tell(who: int) -> None:
        number = who * 10_000
        while not is_over.is_set():
            number += 1
            try:
                tell_one(ann, "ann", number, f"r{number}")
                told.append(image(number))
            except TasteNotFound:
                pass
            time.sleep(0.01)

    def delete(turn: int) -> None:
        while True:
            kept = other.get("ann")
            assert kept.version == 1 + len(kept.verdicts)
            try:
                if kept.verdicts:
                    other.delete("ann", f"gone{turn}", kept.version)
                    seen.extend(kept.verdicts)
                    return
            except VersionConflict:
                pass
            time.sleep(0.002)

    with ThreadPoolExecutor(2) as pool:
        tellers = [pool.submit(tell, who) for who in range(2)]
        for turn in range(25):
            delete(turn)
            other.create("ann", ENCODER, DIGEST, f"make{turn}")
        is_over.set()
        for teller in tellers:
            teller.result()
    last = ann.get("ann")
    assert last.version == 1 + len(last.verdicts)
    assert sorted(told) == sorted([*seen, *last.verdicts]), "each that was answered is in exactly one of them"


def test_writers_and_a_move_lose_nothing(ann: Store, open_it: Open) -> None:
    encoders = {DIGEST: (ENCODER, 16), "f" * 64: ("other-eye", 8)}
    stores, told = [ann, open_it(), open_it()], list[str]()
    tell_one(ann, "ann", 0, "first")

    def tell(who: int) -> None:
        for number in range(who * 1000 + 1, who * 1000 + 31):
            while True:
                digest = stores[who].summary("ann").encoder_digest
                new = {image(number): embedding(number, encoders[digest][1])}
                try:
                    stores[who].write(
                        "ann", Changes([like(number)], embeddings=new, encoder_digest=digest), f"{number}"
                    )
                except InvalidSample:  # moved since
                    continue
                told.append(image(number))
                break

    def move() -> None:
        for turn in range(10):
            while True:
                kept = stores[2].get("ann")
                (digest,) = encoders.keys() - {kept.encoder_digest}
                encoder, dims = encoders[digest]
                new = {it: np.full(dims, turn, np.float32) for it in kept.embeddings}
                try:
                    stores[2].move("ann", encoder, digest, new, f"move{turn}", kept.version)
                except VersionConflict:
                    continue
                break

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(tell, 0), pool.submit(tell, 1), pool.submit(move)]:
            done.result()
    kept = ann.get("ann")
    assert set(kept.embeddings) == set(kept.verdicts) == {image(0), *told}
    assert len(told) == 60
    assert kept.version == 2 + 60 + 10
    assert {len(it) for it in kept.embeddings.values()} == {encoders[kept.encoder_digest][1]}
    assert kept.encoder == encoders[kept.encoder_digest][0]


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
    originals: dict[str, bytes] = {}
    for turn in range(200):
        numbers = chance.sample(range(12), 4)
        told = [chance.choice((like, dislike))(number) for number in numbers[::3]], [better(*numbers[1:3])]
        told = [it for kind in told for it in kind if chance.random() < 0.7]
        named = [n for n in numbers if image(n) in changes(*told, remove=[]).named]
        kept = chance.sample(named, len(named) // 2)
        gone, unjudged = (chance.sample(range(12), chance.choice((0, 0, 1, 2))) for _ in range(2))
        unpaired = [tuple(chance.sample(range(12), 2)) for _ in range(chance.choice((0, 0, 6)))]
        all_at_once = changes(
            *told, numbers=named, remove=gone, originals=kept, remove_verdicts=unjudged, remove_choices=unpaired
        )
        ann.write("ann", all_at_once, f"r{turn}")
        verdicts = {it: verdict for it, verdict in verdicts.items() if it not in map(image, (*gone, *unjudged))}
        pairs = {frozenset(map(image, pair)) for pair in unpaired}
        choices = {it: choice for it, choice in choices.items() if it not in pairs and not it & set(map(image, gone))}
        verdicts |= {it.image: it for it in told if isinstance(it, Verdict)}
        choices |= {frozenset((it.better, it.worse)): it for it in told if isinstance(it, Choice)}
        now = images_of(verdicts, choices)
        originals = {it: file for it, file in originals.items() if it in now and it not in map(image, gone)}
        originals |= {image(number): original(number) for number in kept}
    kept_of, told_of = open_it().get("ann"), ann.summary("ann")
    assert kept_of.verdicts == verdicts
    assert set(kept_of.choices) == set(choices.values())
    assert set(kept_of.embeddings) == images_of(verdicts, choices)
    assert dict(ann.originals("ann")) == originals
    counts = (len(kept_of.embeddings), len(verdicts), len(choices))
    assert (told_of.images, told_of.verdicts, told_of.choices) == counts
    assert min(*counts, len(originals)) > 2, "nothing was left to compare"


def images_of(verdicts: dict[str, Verdict], choices: dict[frozenset[str], Choice]) -> set[str]:
    return {*verdicts, *itertools.chain(*choices)}


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
        lambda: ann.move("ann", "other-eye", "f" * 64, every.embeddings, "c"),
        lambda: ann.write("ann", Changes(remove_verdicts=[image(n) for n in many[:9000]]), "d"),
        lambda: ann.delete("ann", "e"),
    ):
        act()
        times.append(time.perf_counter())
    took = [f"{(end - start) * 1000:.1f}" for start, end in itertools.pairwise(times)]
    what = ("write", "read", "tell one more", "ask for news", "move", "take 9000 back", "delete")
    with capsys.disabled():
        told = ", ".join(f"{name} {ms} ms" for name, ms in zip(what, took, strict=True))
        print(f"\n{type(ann).__name__}, 10,000 images of 1500 numbers: {told}")  # noqa: T201
    assert not ann.list()
