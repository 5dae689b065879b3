"""The door: bounds on rows and bytes, deadlines, and closing."""

import pytest

from beholder.engine.admission import Admission, due_s
from beholder.errors import DeadlinePassed, QueueFull, Unavailable
from beholder.metrics import Metrics
from beholder.types import Priority

NOW = 100.0


def door(rows: int = 10, size_bytes: int = 1000) -> Admission:
    admission = Admission(rows, size_bytes, lambda: NOW, Metrics())
    admission.open()
    return admission


def test_it_lets_in_as_many_rows_as_it_may_hold_and_not_one_more() -> None:
    admission = door(rows=10)
    admission.admit(10, 1, NOW + 1, None)
    with pytest.raises(QueueFull, match="10 rows are in flight and this request brings 1; the limit is 10"):
        admission.admit(1, 1, NOW + 1, None)


def test_a_released_row_makes_room() -> None:
    admission = door(rows=1)
    admission.admit(1, 1, NOW + 1, None)
    admission.release(1, 1)
    admission.admit(1, 1, NOW + 1, None)


def test_bytes_are_bounded_as_well() -> None:
    admission = door(size_bytes=1000)
    with pytest.raises(QueueFull, match="0 bytes are in flight and this request brings 1001; the limit is 1000"):
        admission.admit(1, 1001, NOW + 1, None)


def test_a_refusal_says_when_to_come_again() -> None:
    admission = door(rows=1)
    with pytest.raises(QueueFull) as caught:
        admission.admit(2, 1, NOW + 9, 0.75)
    assert caught.value.retry_after_s == 0.75


def test_a_deadline_that_is_over_is_refused() -> None:
    with pytest.raises(DeadlinePassed, match=r"passed 0\.500 s before"):
        door().admit(1, 1, NOW - 0.5, None)


def test_a_deadline_that_cant_be_met_is_refused_before_any_work() -> None:
    with pytest.raises(DeadlinePassed, match=r"0\.200 s away and the answer about 0\.500 s"):
        door().admit(1, 1, NOW + 0.2, 0.5)


def test_a_tenth_of_the_time_is_kept_to_spare() -> None:
    door().admit(1, 1, NOW + 1.0, 0.89)
    with pytest.raises(DeadlinePassed, match="a tenth is kept to spare") as caught:
        door().admit(1, 1, NOW + 1.0, 0.95)
    assert caught.value.retry_after_s == pytest.approx(0.05)
    assert due_s(NOW + 1.0, NOW) == pytest.approx(NOW + 0.9)
    assert due_s(float("inf"), NOW) == float("inf")


def test_nobody_is_refused_on_a_guess() -> None:
    door().admit(1, 1, NOW + 0.0001, None)


def test_a_refused_request_leaves_no_trace() -> None:
    admission = door(rows=2)
    with pytest.raises(DeadlinePassed):
        admission.admit(2, 1, NOW + 0.1, 5.0)
    admission.admit(2, 1, NOW + 1, None)


def test_before_opening_and_after_closing_it_says_why() -> None:
    admission = Admission(1, 1, lambda: NOW, Metrics())
    with pytest.raises(Unavailable, match="starting"):
        admission.admit(1, 1, NOW + 1, None)
    admission.open()
    admission.close("the server is shutting down")
    with pytest.raises(Unavailable, match="shutting down"):
        admission.admit(1, 1, NOW + 1, None)


def test_waiting_for_idle_ends_at_once_when_nothing_is_inside_and_gives_up_in_time_when_something_is() -> None:
    admission = door()
    assert admission.wait_idle(0.0)
    admission.admit(1, 1, NOW + 1, None)
    assert not admission.wait_idle(0.0)


def test_bulk_work_comes_in_while_half_of_the_room_is_free_and_leaves_the_rest_to_interactive_work() -> None:
    admission = door(rows=10)
    admission.admit(4, 1, NOW + 1, None, Priority.BATCH)
    admission.admit(2, 1, NOW + 1, None, Priority.BATCH)
    with pytest.raises(QueueFull, match=r"6 rows are in flight .* bulk work comes in below 5"):
        admission.admit(1, 1, NOW + 1, None, Priority.BATCH)
    admission.admit(4, 1, NOW + 1, None, Priority.INTERACTIVE)


def test_a_bulk_request_as_large_as_the_room_comes_in_where_nothing_else_is() -> None:
    door(rows=10).admit(10, 1, NOW + 1, None, Priority.BATCH)
