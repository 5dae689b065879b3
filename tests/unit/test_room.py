"""Room in a region: what is taken never overlaps, stays within, and comes back whole."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from beholder.room import ALIGN_BYTES, Room

SIZE = 16 * ALIGN_BYTES


def test_the_front_is_used_again_first() -> None:
    room = Room(SIZE)
    assert [room.take(1), room.take(ALIGN_BYTES + 1), room.take(1)] == [0, ALIGN_BYTES, 3 * ALIGN_BYTES]
    room.give_back(0)
    assert room.take(ALIGN_BYTES + 1) == 4 * ALIGN_BYTES
    assert room.take(ALIGN_BYTES) == 0


def test_what_does_not_fit_gets_no_place() -> None:
    room = Room(SIZE)
    assert room.take(SIZE + 1) is None
    assert room.take(SIZE) == 0
    assert room.take(1) is None
    room.give_back(0)
    assert room.take(SIZE) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6 * ALIGN_BYTES)), max_size=60))
def test_parts_never_overlap_and_come_back_whole(steps: list[tuple[bool, int]]) -> None:
    room, taken = Room(SIZE), dict[int, int]()
    for gives_back, number in steps:
        if gives_back and taken:
            start = sorted(taken)[number % len(taken)]
            del taken[start]
            room.give_back(start)
        elif (place := room.take(number)) is not None:
            taken[place] = max(1, number)
        used = sorted(taken.items())
        assert all(start + size <= following for (start, size), (following, _) in itertools.pairwise(used))
        assert all(start + size <= SIZE for start, size in used)
    for start in list(taken):
        room.give_back(start)
    assert room.take(SIZE) == 0
