"""Memory that processes share, and who uses which part of it."""

import os

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beholder.fronts.memory import Memory, shared_file
from beholder.room import Room

SIZE = 4096


@given(st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 10))))
def test_parts_never_overlap_and_all_of_it_is_whole_again(steps: list[tuple[int, int]]) -> None:
    """Take parts and give some back in any order: each lies alone within the memory."""
    room, taken = Room(SIZE), dict[int, int]()
    for size, which in steps:
        if which < 6:
            offset = room.take(size)
            if offset is not None:
                assert offset + size <= SIZE
                assert all(offset + size <= its or its + length <= offset for its, length in taken.items())
                assert offset not in taken
                taken[offset] = size
        elif taken:
            offset = sorted(taken)[which % len(taken)]
            del taken[offset]
            room.give_back(offset)
    for offset in taken:
        room.give_back(offset)
    assert room.used_bytes == 0
    assert room.take(SIZE) == 0


def test_the_lowest_part_that_fits_is_given() -> None:
    room = Room(SIZE)
    first, second, third = (room.take(640) for _ in range(3))
    assert None not in (first, second, third)
    room.give_back(first or 0)
    assert room.take(1000) == 3 * 640
    assert room.take(640) == first


def test_there_is_no_part_for_what_does_not_fit() -> None:
    room = Room(SIZE)
    assert room.take(SIZE + 1) is None
    assert room.take(SIZE) == 0
    assert room.take(0) is None


def test_what_one_mapping_writes_the_other_reads() -> None:
    descriptor = shared_file(SIZE)
    one, other = Memory(os.dup(descriptor)), Memory(descriptor)
    one.view(100, (2, 3, 3))[...] = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    assert other.view(100, (18,)).tolist() == list(range(18))
