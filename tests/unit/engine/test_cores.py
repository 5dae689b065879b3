"""Threads that hold cores: each another one, and none for longer than it says."""

import os
import threading
from collections.abc import Set

import pytest

from beholder.engine.cores import Cores, cores_for

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are kept on cores on Linux only")
OURS = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}


def test_each_thread_holds_another_core_until_it_lets_go() -> None:
    cores, found = Cores(OURS), dict[int, list[Set[int]]]()
    threads = len(OURS) + 1
    all_hold, all_looked = threading.Barrier(threads), threading.Barrier(threads)

    def work(number: int) -> None:
        cores.hold()
        cores.hold()
        all_hold.wait(10)
        found[number] = [os.sched_getaffinity(0)]
        all_looked.wait(10)
        cores.let_go()
        found[number].append(os.sched_getaffinity(0))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    held, after = zip(*found.values(), strict=True)
    assert sorted(map(sorted, held)) == sorted([*([core] for core in OURS), sorted(OURS)])
    assert all(cores == OURS for cores in after)


def test_a_core_that_was_let_go_can_be_held_again() -> None:
    cores = Cores(OURS)
    for _ in range(2 * len(OURS)):
        cores.hold()
        assert len(os.sched_getaffinity(0)) == 1
        cores.let_go()
        assert os.sched_getaffinity(0) == OURS


def test_what_the_system_forbids_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    cores = Cores(OURS)
    cores.hold()
    cores.let_go()
    assert os.sched_getaffinity(0) == OURS


def test_cores_are_held_by_as_many_threads_as_there_are() -> None:
    assert cores_for(len(OURS)) is not None
    assert cores_for(len(OURS) + 1) is None
    assert cores_for(0) is None
