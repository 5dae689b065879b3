"""Where there is room in memory that is shared: first fit from the front, so that few pages are ever touched."""

import bisect

ALIGN_BYTES = 64


class Room:
    """Which parts of a memory are free; whoever shares one holds a lock.

    Args:
        size_bytes: of the memory.
    """

    def __init__(self, size_bytes: int) -> None:
        self._free = [(0, size_bytes)]
        self._taken: dict[int, int] = {}

    @property
    def used_bytes(self) -> int:
        """How much is taken."""
        return sum(self._taken.values())

    def take(self, size_bytes: int) -> int | None:
        """Return where so many bytes may be written; None where they fit nowhere."""
        wanted = -(-max(1, size_bytes) // ALIGN_BYTES) * ALIGN_BYTES
        for place, (start, length) in enumerate(self._free):
            if length >= wanted:
                self._free[place : place + 1] = [(start + wanted, length - wanted)] if length > wanted else []
                self._taken[start] = wanted
                return start
        return None

    def give_back(self, start: int) -> None:
        """Free what `take` returned."""
        end = start + self._taken.pop(start)
        place = bisect.bisect(self._free, (start, 0))
        if place < len(self._free) and self._free[place][0] == end:
            end += self._free.pop(place)[1]
        if place and sum(self._free[place - 1]) == start:
            place -= 1
            start = self._free.pop(place)[0]
        self._free.insert(place, (start, end - start))
