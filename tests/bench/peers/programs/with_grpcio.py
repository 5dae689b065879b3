"""The least that a gRPC server in Python can be: bytes in, a number out, a thread for each core."""

import asyncio
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc.aio
from job import Job


async def serve() -> None:
    """Answer until it is killed."""
    job, threads = Job(), ThreadPoolExecutor(int(os.environ["CORES"]))

    async def score(image: bytes, context: Any) -> bytes:
        (value,) = await asyncio.get_running_loop().run_in_executor(threads, job.score, [image])
        return struct.pack("<d", value)

    methods = {"Score": grpc.unary_unary_rpc_method_handler(score)}
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bare.Scorer", methods)])
    server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve())
