"""mosec: a server in Rust before Python processes."""

from bench.peers.peer import HttpPeer, Place


class Mosec(HttpPeer):
    """One stage that decodes and runs, so that pixels cross no process."""

    name = "mosec"
    packages = ("mosec==0.9.8",)
    settings = "a process for each core, batches of up to 4, 1 ms to wait (the least that it takes)"
    program = "with_mosec.py"
    path = "/inference"

    def command(self, place: Place) -> list[str]:
        """Run the program; 20 s for a request, as for everybody."""
        options = ["--address", "127.0.0.1", "--port", str(place.ports[0]), "--timeout", "20000"]
        return [str(place.python), self.program, *options]
