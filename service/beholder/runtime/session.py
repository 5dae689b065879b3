"""The seam to the device: what the other rooms know of it; their tests enter here with sessions of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from beholder.types import Tensor


@dataclass(frozen=True)
class Device:
    """Where graphs run.

    Attributes:
        kind: `cpu` or `cuda`, the words of `scorer.toml`.
        id: which CUDA device; 0 on the CPU.
        intra_op_threads: threads inside one run.
    """

    kind: str
    id: int
    intra_op_threads: int


class Session(Protocol):
    """One loaded graph on one device; every method is thread-safe."""

    @property
    def provider(self) -> str:
        """The provider that really runs it, such as `CUDAExecutionProvider`."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs, in its order."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the graph's outputs, in its order."""

    @property
    def shapes(self) -> Mapping[str, tuple[int | None, ...]]:
        """Declared shape of each input and output; None for an axis that may change."""

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph once; the outputs own their memory.

        Args:
            inputs: one array for each input name, rows on axis 0.

        Raises:
            ScoringFailed: the device failed, or the inputs do not fit the graph.
        """

    def close(self) -> None:
        """Let go of the graph once the runs under way are over; later runs raise ScoringFailed."""
