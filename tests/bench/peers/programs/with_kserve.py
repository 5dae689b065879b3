"""What a user of KServe's Python server writes: threads, one for each core, for work that leaves Python's lock."""

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import uvicorn
from job import Job

PORTS = [int(port) for port in os.environ["PORTS"].split()]


def stay_local() -> None:
    """Make both servers listen on 127.0.0.1: they offer no setting for it."""
    plain_port, plain_config = grpc.aio._server.Server.add_insecure_port, uvicorn.Config.__init__

    def add_insecure_port(server: Any, address: str) -> int:
        return plain_port(server, address.replace("[::]", "127.0.0.1"))

    def config(self: Any, *given: Any, **named: Any) -> None:
        plain_config(self, *given, **named | {"host": "127.0.0.1"})

    grpc.aio._server.Server.add_insecure_port = add_insecure_port
    uvicorn.Config.__init__ = config


stay_local()

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer  # noqa: E402 - after the change


class Scorer(Model):
    """Takes JPEGs, answers numbers."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.job = Job()
        self.threads = ThreadPoolExecutor(int(os.environ["CORES"]))
        self.ready = True

    async def predict(self, payload: InferRequest, headers: Any = None, response_headers: Any = None) -> InferResponse:
        """Score the rows of one request."""
        images = payload.inputs[0].as_numpy().ravel().tolist()
        scores = await asyncio.get_running_loop().run_in_executor(self.threads, self.job.score, images)
        output = InferOutput("score", [len(scores)], "FP32")
        output.set_data_from_numpy(np.asarray(scores, np.float32), binary_data=True)
        return InferResponse(payload.id or "", self.name, [output])


if __name__ == "__main__":
    logging.getLogger("kserve").setLevel(logging.WARNING)  # else a line for each request
    server = ModelServer(grpc_port=PORTS[0], http_port=PORTS[1], workers=1, enable_latency_logging=False)
    server.start([Scorer("score")])
