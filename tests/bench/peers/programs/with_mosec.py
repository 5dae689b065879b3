"""What a user of mosec writes: one kind of worker, one process for each core, batches of what waits."""

import os

from job import BATCH_ROWS, Job
from mosec import Server, Worker


class Scorer(Worker):
    """Takes JPEGs, answers numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job()

    def deserialize(self, data: bytes) -> bytes:
        """Leave the body as it is."""
        return data

    def forward(self, data: list[bytes]) -> list[float]:
        """Score one batch."""
        return self.job.score(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Scorer, num=int(os.environ["CORES"]), max_batch_size=BATCH_ROWS, max_wait_time=1)
    server.run()
