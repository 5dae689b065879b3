"""What a user of BentoML writes: a service with a worker for each core; the body is the one argument, raw."""

import os

import bentoml
from job import Job


@bentoml.service(
    workers=int(os.environ["CORES"]),
    threads=1,
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
)
class Scorer:
    """Takes a JPEG, answers a number."""

    def __init__(self) -> None:
        self.job = Job()

    @bentoml.api
    def score(self, image: bytes, /) -> float:
        """Score one image."""
        return self.job.score([image])[0]
