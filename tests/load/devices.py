"""What things cost: batches as a + b * rows, images as so much each, on machines that were measured or are supposed."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class GraphCost:
    """One graph.

    Attributes:
        batch_s, row_s: a batch takes `batch_s + row_s * rows` on a processor of its own.
        max_rows: in one batch.
        prepare_s: of one image for it.
    """

    name: str
    batch_s: float
    row_s: float
    max_rows: int
    prepare_s: float


@dataclass(frozen=True)
class Machine:
    """One replica.

    Attributes:
        runners: batches at the same time of one graph; `slots`: of all graphs.
        threads: that prepare.
        cores: processors of the device. On a CPU preparing shares them; else it has `threads` of its own.
        helps: whether a thread that prepared runs a batch too, as the engine has it on a CPU.
        pads: whether batches are filled up to a power of two.
        noise: standard deviation of the logarithm of times.
        stall, stall_s: the share of batches that take so much longer.
    """

    name: str
    graphs: tuple[GraphCost, ...]
    runners: int
    slots: int
    threads: int
    cores: float
    is_cpu: bool
    helps: bool = False
    pads: bool = False
    noise: float = 0.1
    stall: float = 0.0
    stall_s: float = 0.0
    max_queue_rows: int = 4096

    def run_s(self, graph: int, rows: int) -> float:
        """Return what a batch takes, without noise."""
        cost = self.graphs[graph]
        filled = min(1 << (rows - 1).bit_length(), cost.max_rows) if self.pads else rows
        return cost.batch_s + cost.row_s * filled

    def sizes(self, graph: int) -> list[int]:
        """Return the batch sizes that a warm-up runs."""
        most = self.graphs[graph].max_rows
        return sorted({1, most} | ({2**power for power in range(most.bit_length())} if self.pads else set()))

    def capacity(self, shares: tuple[float, ...] = (1.0,)) -> float:
        """Return how many samples a second it answers at most, where each asks graph i with probability `shares[i]`."""
        pairs = list(zip(shares, self.graphs, strict=False))
        run_s = sum(share * (cost.batch_s / cost.max_rows + cost.row_s) for share, cost in pairs)
        prepare_s = sum(share * cost.prepare_s for share, cost in pairs)
        if self.is_cpu:
            return self.cores / (run_s + prepare_s)
        return min(self.cores / run_s, self.threads / prepare_s)


IMAGE_SAFETY = GraphCost("image-safety", 0.0006, 0.0152, 2, 0.0043)
"""The card's times on one thread; preparing is decoding (0.95 ms), letterbox (2.4) and the service around it (0.9)."""
LITE = GraphCost("efficientnet-lite0", 0.0001, 0.0056, 2, 0.0043)
TWO_CORES = Machine("2 cores", (IMAGE_SAFETY,), runners=2, slots=2, threads=2, cores=2, is_cpu=True, helps=True)
TWO_GRAPHS = replace(TWO_CORES, name="2 cores, two graphs", graphs=(IMAGE_SAFETY, LITE))
GPU = Machine(
    "a GPU with 16 cores",
    (GraphCost("a tower of 224 px", 0.0020, 0.00020, 64, 0.0030),),
    runners=1,
    slots=1,
    threads=16,
    cores=1,
    is_cpu=False,
    pads=True,
)
"""Supposed, not measured: 14.8 ms for 64 rows, 4300 rows a second; 16 threads prepare 5300."""
