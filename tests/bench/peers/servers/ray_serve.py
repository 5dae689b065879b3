"""Ray Serve: HAProxy before replicas, each a process of a small cluster on this machine."""

import tempfile
from collections.abc import Mapping

from bench.peers.peer import HttpPeer, Place

LOCAL = {
    "haproxy_templates.py": {"bind :{{": "bind 127.0.0.1:{{", "bind *:{{": "bind 127.0.0.1:{{"},
    "constants.py": {"DEFAULT_HTTP_HOST = get_all_interfaces_ip()": 'DEFAULT_HTTP_HOST = "127.0.0.1"'},
    "replica.py": {'"[::]:0"': '"127.0.0.1:0"'},
}
"""What to change in the files of `ray.serve._private`, so that nothing listens to other machines."""


class RayServe(HttpPeer):
    """A replica for each core behind HAProxy, which Ray 2.60 brings and leaves off."""

    name = "Ray Serve"
    packages = ("ray[serve]==2.60.0",)
    settings = (
        "a replica for each core behind HAProxy (`RAY_SERVE_ENABLE_HA_PROXY=1`; its own proxy, the default, took "
        "1.6 times the CPU when both were tried), batches of up to 4 gathered for 1 ms, no dashboard, no access log; "
        "addresses in its files changed to 127.0.0.1"
    )
    program = "with_ray.py"
    path = "/"

    def __init__(self) -> None:
        self._short = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)

    def configure(self, place: Place) -> None:
        """Change the addresses in the installed files, which offer no setting."""
        super().configure(place)
        for name, changes in LOCAL.items():
            path = place.site / "ray" / "serve" / "_private" / name
            text = path.read_text(encoding="utf-8")
            for plain, local in changes.items():
                if plain not in text and local not in text:
                    raise RuntimeError(f"{name} has no {plain!r} to change into a local address")
                text = text.replace(plain, local)
            path.write_text(text, encoding="utf-8")

    def command(self, place: Place) -> list[str]:
        """Run the program."""
        return [str(place.python), self.program]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Tell the program and HAProxy their ports and a folder, of a short name: the paths of sockets have a limit."""
        files = {"CONFIG_FILE_LOC": "haproxy.cfg", "SOCKET_PATH": "admin.sock", "SERVER_STATE_FILE": "server-state"}
        folder = self._short.name
        return {
            **super().environment(place),
            **{f"RAY_SERVE_HAPROXY_{name}": f"{folder}/{file}" for name, file in files.items()},
            "FOLDER": folder,
            "PORT": str(place.ports[0]),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a cluster of one machine, on Linux too
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(place.ports[1]),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": folder,
            "RAY_SERVE_HAPROXY_STATS_PORT": str(place.ports[2]),
            "RAY_USAGE_STATS_ENABLED": "0",  # no calls home
        }
