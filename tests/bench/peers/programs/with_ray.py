"""What a user of Ray Serve writes: a deployment with a replica for each core, and a cluster of one machine."""

import os
import signal
import threading

import ray
from job import BATCH_ROWS, Job
from ray import serve
from starlette.requests import Request

CORES = int(os.environ["CORES"])
QUIET = {"enable_access_log": False}


@serve.deployment(num_replicas=CORES, max_ongoing_requests=64, ray_actor_options={"num_cpus": 1}, logging_config=QUIET)
class Scorer:
    """Takes a JPEG, answers a number."""

    def __init__(self) -> None:
        self.job = Job()

    @serve.batch(max_batch_size=BATCH_ROWS, batch_wait_timeout_s=0.001)
    async def score(self, images: list[bytes]) -> list[float]:
        """Score one batch."""
        return self.job.score(images)

    async def __call__(self, request: Request) -> float:
        """Score the body."""
        return await self.score(await request.body())


def main() -> None:
    """Serve until SIGTERM."""
    over = threading.Event()
    ray.init(num_cpus=CORES, include_dashboard=False, configure_logging=False, _temp_dir=os.environ["FOLDER"])
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])}, logging_config=QUIET)
        serve.run(Scorer.bind())
        signal.signal(signal.SIGTERM, lambda *_: over.set())
        over.wait()
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
