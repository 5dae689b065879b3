"""A histogram of times whose buckets are never wider than a thousandth of the value; two of them add up.

The layout is HdrHistogram's for three significant digits. Its Python package is alive and permissive, but brings
setuptools, pbr and compiled code into the serving install for what are a few lines here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

SUB_BITS = 11
"""2048 values of one microsecond each, then 1024 buckets for each doubling: three significant digits."""


def bucket_of(value_us: int) -> int:
    """Return the bucket of a time in microseconds, 0 or more."""
    shift = max(0, value_us.bit_length() - SUB_BITS)
    return (shift << (SUB_BITS - 1)) + (value_us >> shift)


def highest_us(bucket: int) -> int:
    """Return the longest time that falls into a bucket."""
    shift = max(0, (bucket >> (SUB_BITS - 1)) - 1)
    return ((bucket - (shift << (SUB_BITS - 1)) + 1) << shift) - 1


@dataclass
class Histogram:
    """How many times fell into each bucket.

    Attributes:
        counts: bucket -> how many.
        total_s: the sum of all times.
        max_s: the longest; 0 where there is none.
    """

    counts: dict[int, int] = field(default_factory=dict)
    total_s: float = 0.0
    max_s: float = 0.0

    @property
    def count(self) -> int:
        """How many times were recorded."""
        return sum(self.counts.values())

    @property
    def mean_s(self) -> float:
        """The mean; NaN where there is none."""
        return self.total_s / self.count if self.counts else math.nan

    def record(self, seconds: float) -> None:
        """Count one time; less than 0 counts as 0."""
        seconds = max(0.0, seconds)
        bucket = bucket_of(int(seconds * 1e6))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total_s += seconds
        self.max_s = max(self.max_s, seconds)

    def add(self, other: "Histogram") -> None:
        """Count all that another histogram counted."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total_s += other.total_s
        self.max_s = max(self.max_s, other.max_s)

    def percentile_s(self, percent: float, never: int = 0) -> float:
        """Return the shortest time that at least `percent` of all don't exceed; at most 0.1 % or 1 us too long.

        Args:
            percent: more than 0, at most 100.
            never: how many more there were that took for ever; infinity where the percentile is one of them.

        Returns:
            NaN where there is nothing.
        """
        total = self.count + never
        if not total:
            return math.nan
        # The sum of rounding errors of percent / 100 * total stays below what is taken off here.
        rank = max(1, math.ceil(percent / 100 * total - 1e-9 * total))
        for bucket in sorted(self.counts):
            rank -= self.counts[bucket]
            if rank <= 0:
                return min((highest_us(bucket) + 1) / 1e6, self.max_s)
        return math.inf

    def within(self, seconds: float) -> int:
        """Return how many times were not longer than that, to the bucket."""
        last = bucket_of(int(seconds * 1e6))
        return sum(count for bucket, count in self.counts.items() if bucket <= last)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes; each bucket by its longest time in microseconds."""
        pairs = [[highest_us(bucket), self.counts[bucket]] for bucket in sorted(self.counts)]
        return {"total_s": round(self.total_s, 6), "max_s": round(self.max_s, 6), "us_and_counts": pairs}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the histogram that `to_json` wrote."""
        counts = {bucket_of(int(longest_us)): int(count) for longest_us, count in value["us_and_counts"]}
        return cls(counts, float(value["total_s"]), float(value["max_s"]))


def merged(histograms: Sequence[Histogram]) -> Histogram:
    """Return one histogram of all."""
    whole = Histogram()
    for one in histograms:
        whole.add(one)
    return whole
