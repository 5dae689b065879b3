"""A borrower of a server's memory by hand, as a client of somebody else's making would be."""

import mmap
import os
import socket
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beholder.config import MIB
from beholder.lease import Offer, answer_from, packet_socket, wish_to
from beholder.v1 import samples_pb2
from server_process import ServerProcess

WAIT_S = 20.0


def pixels(seed: int, side_px: int = 256) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), np.uint8)


@dataclass
class Borrower:
    """What a client of somebody else's making holds."""

    connection: socket.socket
    offer: Offer
    fd: int

    def __post_init__(self) -> None:
        self.memory = mmap.mmap(self.fd, self.offer.size_bytes)

    def image(self, offset: int, size: int, width: int = 0, height: int = 0) -> samples_pb2.Image:
        part = samples_pb2.SharedImage(
            token=self.offer.token, offset_bytes=offset, size_bytes=size, width_px=width, height_px=height
        )
        return samples_pb2.Image(shared=part)

    def close(self) -> None:
        self.connection.close()
        self.memory.close()
        os.close(self.fd)


def connect(path: Path) -> socket.socket:
    connection = packet_socket()
    connection.settimeout(WAIT_S)
    connection.connect(os.fspath(path))
    return connection


def ask(connection: socket.socket, size_bytes: int = MIB) -> Borrower | str:
    connection.send(wish_to(size_bytes))
    packet, fds, _, _ = socket.recv_fds(connection, 512, 1)
    answer = answer_from(packet)
    return answer if isinstance(answer, str) else Borrower(connection, answer, fds[0])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def lent(server: ServerProcess) -> int:
    """Return how many regions a server says it lends."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=WAIT_S) as answer:
        [line] = [line for line in answer.read().decode().splitlines() if line.startswith("beholder_shared_regions ")]
    return int(float(line.split()[1]))
