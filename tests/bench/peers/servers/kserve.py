"""KServe's Python server, as it runs in the pod; not the platform around it."""

from collections.abc import Mapping

from bench.peers.peer import OipPeer, Place


class KServe(OipPeer):
    """One process; its gRPC server is one, whatever the number of HTTP workers."""

    name = "KServe"
    packages = ("kserve==0.21.0",)
    settings = "one process, a thread for each core, no batches (KServe's batcher is a sidecar before it)"
    program = "with_kserve.py"

    def command(self, place: Place) -> list[str]:
        """Run the program."""
        return [str(place.python), self.program]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Tell the program its ports."""
        return {**super().environment(place), "PORTS": " ".join(map(str, place.ports))}
