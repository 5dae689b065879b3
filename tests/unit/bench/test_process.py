"""What a process spends, as Linux tells it of each thread."""

from pathlib import Path

import pytest

from beholder.bench.process import NotServing, Reading, Spent, read_threads


def add_thread(folder: Path, number: int, name: str, ns: int, pid: int = 7) -> None:
    task = folder / str(pid) / "task" / str(number)
    task.mkdir(parents=True)
    (task / "comm").write_text(f"{name}\n")
    (task / "schedstat").write_text(f"{ns} 123 4\n")


def test_threads_are_the_event_loop_grpc_s_and_all_others(tmp_path: Path) -> None:
    for number, name, ns in ((7, "beholder", 10**9), (8, "beholder", 3 * 10**9), (9, "event_engine", 5 * 10**8)):
        add_thread(tmp_path, number, name, ns)
    nothing = Reading((7,), {}, {})
    assert read_threads(7, tmp_path).since(nothing) == Spent(whole_s=4.5, loop_s=1.0, wire_s=0.5)


def test_processes_that_it_started_count_with_their_loops(tmp_path: Path) -> None:
    add_thread(tmp_path, 7, "beholder", 10**9)
    add_thread(tmp_path, 20, "beholder", 2 * 10**9, pid=20)
    add_thread(tmp_path, 21, "event_engine", 10**9, pid=20)
    (tmp_path / "20" / "stat").write_text("20 (a (name) of 1 2) S 7 7 7 0 -1")
    read = read_threads(7, tmp_path)
    assert read.pids == (7, 20)
    assert read.since(Reading((7,), {}, {})) == Spent(whole_s=4.0, loop_s=3.0, wire_s=1.0)


def test_a_thread_that_began_meanwhile_counts_and_one_that_ended_takes_nothing_away() -> None:
    names = {7: "beholder", 8: "beholder", 9: "beholder"}
    before, after = Reading((7,), names, {7: 1.0, 8: 2.0}), Reading((7,), names, {7: 1.5, 9: 0.25})
    assert after.since(before) == Spent(whole_s=0.75, loop_s=0.5, wire_s=0.0)


def test_a_thread_that_ends_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    add_thread(tmp_path, 7, "beholder", 10**9)
    (tmp_path / "7" / "task" / "8").mkdir()
    assert list(read_threads(7, tmp_path).cpu_s) == [7]


@pytest.mark.parametrize("has_threads", [False, True])
def test_a_process_that_does_not_tell_is_told(tmp_path: Path, has_threads: bool) -> None:
    if has_threads:
        add_thread(tmp_path, 8, "other", 1)
    with pytest.raises(NotServing, match="can't read what the server spends"):
        read_threads(7, tmp_path)
