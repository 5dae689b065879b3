"""BentoML: Starlette in worker processes."""

from collections.abc import Mapping

from bench.peers.peer import HttpPeer, Place


class BentoML(HttpPeer):
    """A service of one method."""

    name = "BentoML"
    packages = ("bentoml==1.4.39",)
    settings = "a worker process for each core, no batches (they take lists as JSON, not files), the body as raw bytes"
    program = "with_bentoml.py"
    path = "/score"

    def command(self, place: Place) -> list[str]:
        """Serve the program's service."""
        options = ["--host", "127.0.0.1", "--port", str(place.ports[0])]
        return [str(place.python), "-m", "bentoml", "serve", "with_bentoml:Scorer", *options]

    def environment(self, place: Place) -> Mapping[str, str]:
        """Keep its files here, and its calls home off."""
        home = {"BENTOML_HOME": str(place.folder / "home"), "BENTOML_DO_NOT_TRACK": "True"}
        return {**super().environment(place), **home}
