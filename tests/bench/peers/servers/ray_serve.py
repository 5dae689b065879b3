"""Ray Serve: a proxy and replicas, each a process of a small cluster on this machine."""

from collections.abc import Mapping

from bench.peers.peer import HttpPeer, Place


class RayServe(HttpPeer):
    """A replica for each core behind the HTTP proxy."""

    name = "Ray Serve"
    packages = ("ray[serve]==2.60.0",)
    settings = "a replica for each core, batches of up to 4 gathered for 1 ms, the HTTP proxy, no dashboard"
    program = "with_ray.py"
    path = "/"

    def command(self, place: Place) -> list[str]:
        """Run the program."""
        return [str(place.python), self.program]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Tell the program its ports; no calls home."""
        ours = {"PORTS": " ".join(map(str, place.ports)), "RAY_USAGE_STATS_ENABLED": "0"}
        # A cluster of one machine, which then listens on 127.0.0.1 on Linux too.
        return {**super().environment(place), **ours, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
