"""Graphs that another process has loaded: all that has to be known of them where they do not run."""

from collections.abc import Mapping
from dataclasses import dataclass

from beholder.errors import ScoringFailed
from beholder.scoring.asked import Graph
from beholder.scoring.spec import ScorerSpec
from beholder.types import Tensor


@dataclass(frozen=True)
class Elsewhere:
    """What a `Session` tells of itself, without the session.

    Attributes:
        name: of the graph.
        digest: SHA-256 of the graph's file, lowercase hex.
    """

    name: str
    digest: str
    provider: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    shapes: Mapping[str, tuple[int | None, ...]]

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Fail: rows are sent to where the graph is."""
        raise ScoringFailed(f"{self.name} runs in another process")

    def close(self) -> None:
        """Let go of nothing."""


def described(graph: Graph, device: str) -> Elsewhere:
    """Describe a graph that is loaded in this process.

    Args:
        device: "cpu" or "cuda", where it runs.
    """
    session, drawing = graph.session, graph.spec.map if graph.draws and isinstance(graph.spec, ScorerSpec) else None
    file = drawing.file if drawing else graph.spec.graph.file_for(device)
    names = session.input_names, session.output_names
    return Elsewhere(graph.name, file.sha256, session.provider, *names, dict(session.shapes))
