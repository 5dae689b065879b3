"""What a process spends, as Linux tells it of each thread."""

from pathlib import Path

import pytest

from beholder.bench.process import NotServing, Spent, spent


def add_thread(folder: Path, number: int, name: str, ns: int) -> None:
    task = folder / "7" / "task" / str(number)
    task.mkdir(parents=True)
    (task / "comm").write_text(f"{name}\n")
    (task / "schedstat").write_text(f"{ns} 123 4\n")


def test_threads_are_the_event_loop_grpc_s_and_all_others(tmp_path: Path) -> None:
    for number, name, ns in ((7, "beholder", 10**9), (8, "beholder", 3 * 10**9), (9, "event_engine", 5 * 10**8)):
        add_thread(tmp_path, number, name, ns)
    assert spent(7, tmp_path) == Spent(whole_s=4.5, loop_s=1.0, wire_s=0.5)


def test_a_process_that_ended_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotServing, match="can't read what the server spends"):
        spent(7, tmp_path)


def test_what_was_spent_is_between_two_readings() -> None:
    assert Spent(5, 2, 1).since(Spent(4, 1.5, 1)) == Spent(1, 0.5, 0)
