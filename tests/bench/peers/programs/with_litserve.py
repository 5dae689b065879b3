"""What a user of LitServe writes: one worker for each core; the body reaches it as raw bytes, not as JSON."""

import os
from typing import Annotated

import litserve
from fastapi import Body
from job import Job


class Scorer(litserve.LitAPI):
    """Takes a JPEG, answers a number."""

    def setup(self, device: str) -> None:
        """Open the graph."""
        self.job = Job()

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> bytes:
        """Leave the body as it is."""
        return request

    def predict(self, x: bytes) -> float:
        """Score one image."""
        return self.job.score([x])[0]

    def encode_response(self, output: float) -> float:
        """Leave the number as it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Scorer(), accelerator="cpu", devices=1, workers_per_device=int(os.environ["CORES"]))
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
