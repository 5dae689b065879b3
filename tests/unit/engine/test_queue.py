"""The batching policy as tables of events; time is a number, so nothing sleeps."""

from hypothesis import given
from hypothesis import strategies as st

from beholder.engine.queue import BatchQueue, Entry
from beholder.types import Priority

FAR = 1e9


def entry(
    name: str,
    *,
    shape: str = "a",
    priority: Priority = Priority.INTERACTIVE,
    deadline_s: float = FAR,
    work: float = 1.0,
    arrived_s: float = 0.0,
) -> Entry[str]:
    return Entry(name, shape, priority, deadline_s, work, arrived_s)


def queue_of(*entries: Entry[str], rows: int = 8, work: float = float("inf"), delay_s: float = 0.0) -> BatchQueue[str]:
    queue = BatchQueue[str](rows, work, delay_s)
    for one in entries:
        queue.push(one)
    return queue


def names(batch: list[Entry[str]]) -> list[str]:
    return [one.payload for one in batch]


def test_an_empty_queue_gives_nothing_and_waits_for_nothing() -> None:
    queue = queue_of()
    assert queue.take(0.0) == []
    assert queue.expire(FAR) == []
    assert queue.due_at() is None
    assert queue.expires_at() is None


def test_without_a_delay_a_lone_row_leaves_at_once() -> None:
    queue = queue_of(entry("lone", arrived_s=5.0), delay_s=0.0)
    assert queue.due_at() == 5.0
    assert names(queue.take(5.0)) == ["lone"]
    assert len(queue) == 0


def test_a_lone_row_leaves_when_its_delay_is_spent() -> None:
    queue = queue_of(entry("lone", arrived_s=5.0), delay_s=0.25)
    assert queue.take(5.2) == []
    assert queue.due_at() == 5.25
    assert names(queue.take(5.25)) == ["lone"]


def test_a_full_batch_does_not_wait_for_its_delay() -> None:
    queue = queue_of(entry("one"), entry("two"), rows=2, delay_s=10.0)
    assert names(queue.take(0.0)) == ["one", "two"]


def test_a_batch_holds_no_more_rows_than_allowed() -> None:
    queue = queue_of(*[entry(str(number)) for number in range(5)], rows=2)
    assert [names(queue.take(0.0)) for _ in range(3)] == [["0", "1"], ["2", "3"], ["4"]]


def test_a_batch_stops_growing_when_its_work_is_enough_but_one_row_always_fits() -> None:
    queue = queue_of(entry("small", work=1.0), entry("large", work=9.0), entry("tiny", work=0.5), work=4.0)
    assert names(queue.take(0.0)) == ["small"]
    assert names(queue.take(0.0)) == ["large"]
    assert names(queue.take(0.0)) == ["tiny"]


def test_rows_of_different_shapes_never_share_a_batch() -> None:
    queue = queue_of(entry("a1"), entry("b1", shape="b"), entry("a2"))
    assert names(queue.take(0.0)) == ["a1", "a2"]
    assert names(queue.take(0.0)) == ["b1"]


def test_the_earliest_deadline_goes_first() -> None:
    queue = queue_of(entry("late", deadline_s=9.0), entry("soon", deadline_s=3.0), rows=1)
    assert names(queue.take(0.0)) == ["soon"]


def test_interactive_goes_before_batch_whatever_the_deadline() -> None:
    queue = queue_of(entry("bulk", priority=Priority.BATCH, deadline_s=1.0), entry("person", deadline_s=9.0), rows=1)
    assert names(queue.take(0.0)) == ["person"]
    assert names(queue.take(0.0)) == ["bulk"]


def test_equal_deadlines_keep_their_order() -> None:
    queue = queue_of(*[entry(str(number), deadline_s=7.0) for number in range(4)])
    assert names(queue.take(0.0)) == ["0", "1", "2", "3"]


def test_the_bucket_with_the_most_urgent_row_goes_first() -> None:
    queue = queue_of(entry("a", deadline_s=9.0), entry("b", shape="b", deadline_s=3.0))
    assert names(queue.take(0.0)) == ["b"]


def test_two_rows_and_two_free_runners_make_two_batches() -> None:
    queue = queue_of(entry("one"), entry("two"))
    assert names(queue.take(0.0, free_runners=2)) == ["one"]
    assert names(queue.take(0.0, free_runners=1)) == ["two"]


def test_a_row_whose_deadline_is_over_is_handed_back_and_never_leaves() -> None:
    queue = queue_of(entry("late", deadline_s=3.0), entry("fine", deadline_s=9.0))
    assert queue.expires_at() == 3.0
    assert queue.expire(2.9) == []
    assert names(queue.expire(3.0)) == ["late"]
    assert names(queue.take(3.0)) == ["fine"]


def test_a_late_bulk_row_is_found_behind_interactive_ones() -> None:
    queue = queue_of(entry("person", deadline_s=9.0), entry("bulk", priority=Priority.BATCH, deadline_s=1.0))
    assert names(queue.expire(1.0)) == ["bulk"]


def test_a_discarded_row_is_gone_and_a_second_discard_says_so() -> None:
    gone = entry("gone")
    queue = queue_of(gone, entry("stays"))
    assert queue.discard(gone)
    assert not queue.discard(gone)
    assert names(queue.take(0.0)) == ["stays"]


def test_rows_ahead_are_those_that_would_leave_before() -> None:
    queue = queue_of(
        entry("soon", deadline_s=1.0),
        entry("late", deadline_s=9.0),
        entry("other shape", shape="b", deadline_s=2.0),
        entry("bulk", priority=Priority.BATCH, deadline_s=1.0),
    )
    assert queue.rows_ahead_of(Priority.INTERACTIVE, 5.0) == 2
    assert queue.rows_ahead_of(Priority.BATCH, 0.5) == 3
    assert queue.waiting_rows(Priority.BATCH) == 1


ENTRIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(Priority), st.floats(0.0, 10.0), st.floats(0.1, 3.0)),
    max_size=40,
)


@given(ENTRIES, st.integers(1, 5), st.floats(0.5, 6.0), st.floats(0.0, 10.0), st.integers(1, 3))
def test_every_row_comes_out_exactly_once_in_legal_batches(
    rows: list[tuple[str, Priority, float, float]], max_rows: int, max_work: float, now: float, runners: int
) -> None:
    entries = [
        entry(str(number), shape=shape, priority=priority, deadline_s=deadline_s, work=work)
        for number, (shape, priority, deadline_s, work) in enumerate(rows)
    ]
    queue = queue_of(*entries, rows=max_rows, work=max_work)
    late = queue.expire(now)
    assert all(one.deadline_s <= now for one in late)
    seen = list(late)
    while batch := queue.take(now, runners):
        assert len(batch) <= max_rows
        assert len({one.shape for one in batch}) == 1
        assert len(batch) == 1 or sum(one.work for one in batch) <= max_work
        assert all(one.deadline_s > now for one in batch)
        seen += batch
    assert sorted(names(seen)) == sorted(names(entries))
    assert len(queue) == 0
    assert queue.due_at() is None


def test_a_shape_that_is_not_open_waits_and_lets_others_pass() -> None:
    queue = queue_of(entry("closed", shape="a", deadline_s=1.0), entry("open", shape="b", deadline_s=2.0))
    assert queue.due_at(lambda row: row.shape == "c") is None
    assert names(queue.take(0.0, 1, lambda row: row.shape == "b")) == ["open"]
    assert queue.take(0.0, 1, lambda row: row.shape == "b") == []
    assert names(queue.take(0.0)) == ["closed"]


def test_it_tells_how_many_rows_the_next_batch_has_at_most() -> None:
    queue = queue_of(*(entry(str(number)) for number in range(10)), rows=8)
    assert [queue.batch_rows(runners) for runners in (1, 2, 20)] == [8, 5, 1]
