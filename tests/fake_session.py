"""A session for tests of what lies above the device: it runs a function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from beholder.types import Tensor

Run = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
Shape = tuple[int | None, ...]


@dataclass
class FakeSession:
    """What `Session` says, with `function` for a graph."""

    function: Run = lambda inputs: {}
    input_names: tuple[str, ...] = ("candidate",)
    output_names: tuple[str, ...] = ("score",)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    provider: str = "FakeExecutionProvider"
    is_closed: bool = False

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the function."""
        return self.function(inputs)

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True
