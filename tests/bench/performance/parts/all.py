"""All parts, in the order of the page."""

from collections.abc import Mapping

from bench.performance.asked import Part
from bench.performance.parts.cache import Cache
from bench.performance.parts.heads import Heads
from bench.performance.parts.idle import Idle
from bench.performance.parts.latency import Latency
from bench.performance.parts.limit import Limit
from bench.performance.parts.memory import Memory
from bench.performance.parts.overload import Overload
from bench.performance.parts.stream import Stream
from bench.performance.parts.triton_tool import PerfAnalyzer

PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (Limit(), Stream(), Cache(), Heads(), Latency(), Overload(), PerfAnalyzer(), Idle(), Memory())
}
"""Name on the command line -> part."""
