"""LitServe: FastAPI before worker processes."""

from collections.abc import Mapping

from bench.peers.peer import HttpPeer, Place


class LitServe(HttpPeer):
    """One worker for each core, no batches."""

    name = "LitServe"
    packages = ("litserve==0.2.19",)
    settings = (
        "a worker process for each core, one front process, no batches (gathering them polls), the body as raw bytes"
    )
    program = "with_litserve.py"
    path = "/predict"

    def command(self, place: Place) -> list[str]:
        """Run the program."""
        return [str(place.python), self.program]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Tell the program its port."""
        return {**super().environment(place), "PORT": str(place.ports[0])}
