"""MLServer: one process, gRPC and HTTP."""

import json

from bench.peers.peer import OipPeer, Place


class MLServer(OipPeer):
    """A runtime with adaptive batches."""

    name = "MLServer"
    packages = ("mlserver==1.7.1",)
    settings = (
        "one process, a thread for each core, adaptive batches of up to 4 gathered for 1 ms "
        "(its worker processes would get each image pickled)"
    )
    program = "with_mlserver.py"

    def configure(self, place: Place) -> None:
        """Write its two files of settings."""
        super().configure(place)
        names = ("grpc_port", "http_port", "metrics_port")
        ports = dict(zip(names, place.ports, strict=False))
        settings = {"host": "127.0.0.1", "debug": False, "parallel_workers": 0, **ports}
        model = {
            "name": self.model,
            "implementation": "with_mlserver.Scorer",
            "max_batch_size": 4,
            "max_batch_time": 0.001,
        }
        (place.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (place.folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")

    def command(self, place: Place) -> list[str]:
        """Serve the folder."""
        return [str(place.venv / "bin" / "mlserver"), "start", "."]
