"""What the bench has to know of a server, one class for each."""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from tritonclient.grpc import service_pb2 as oip  # ours can not be in one process with it

from bench.peers.callers import Call, GrpcCaller, HttpCaller

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where one server is installed and runs.

    Attributes:
        venv: its own environment.
        folder: its files, written anew at each start.
        graph: the ONNX file that it serves.
        scorer: what Beholder calls it.
        ports: free ones of 127.0.0.1; calls go to the first.
        cores: how many workers it may have.
    """

    venv: Path
    folder: Path
    graph: Path
    scorer: str
    ports: Sequence[int]
    cores: int

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.venv / "bin" / "python"

    @property
    def site(self) -> Path:
        """Its packages."""
        return next((self.venv / "lib").glob("python3*")) / "site-packages"


ROUNDING = 1e-5
"""Batches of other sizes move a score by some 1e-7."""


class Peer(ABC):
    """One server: how it is installed, configured, started and asked.

    Attributes:
        name: as the page calls it.
        packages: what pip installs, pinned; the first gives the version on the page.
        wire: how it is asked.
        settings: what was chosen and why, for the page.
        program: the file of `programs` that it runs; empty: none.
        tolerance: how far a right score may be from that of the job done alone.
    """

    name: ClassVar[str]
    packages: ClassVar[Sequence[str]]
    wire: ClassVar[str]
    settings: ClassVar[str]
    program: ClassVar[str] = ""
    tolerance: ClassVar[float] = ROUNDING

    def configure(self, place: Place) -> None:
        """Write the files it is started with."""
        shutil.copy(HERE / "job.py", place.folder)
        if self.program:
            shutil.copy(HERE / "programs" / self.program, place.folder)

    @abstractmethod
    def command(self, place: Place) -> list[str]:
        """Return the command that starts it, run in `place.folder`."""

    def environment(self, place: Place) -> Mapping[str, str]:
        """Return what it needs in its environment; settings by which it would call home are off."""
        job = {"JOB_GRAPH": str(place.graph), "JOB_SCORER": place.scorer}
        return job | {"CORES": str(place.cores), "OMP_NUM_THREADS": "1"}

    @abstractmethod
    def caller(self, place: Place) -> AbstractAsyncContextManager[Call]:
        """Return its client."""

    @abstractmethod
    def request(self, image: bytes, scorer: str) -> bytes:
        """Return the bytes that ask for one image's score; peers serve one model, whatever Beholder calls it."""

    @abstractmethod
    def score(self, answer: bytes) -> float:
        """Read the score.

        Raises:
            ValueError: the answer holds no score.
        """


class OipPeer(Peer):
    """A server of the Open Inference Protocol: the image as one element of BYTES, raw.

    Attributes:
        model: its name there; empty: the scorer's.
    """

    wire = "gRPC, Open Inference Protocol, raw bytes"
    model: ClassVar[str] = "score"

    def caller(self, place: Place) -> AbstractAsyncContextManager[Call]:
        """Return a caller of ModelInfer."""
        return GrpcCaller(place.ports[0], "/inference.GRPCInferenceService/ModelInfer")

    def request(self, image: bytes, scorer: str) -> bytes:
        """Return a ModelInferRequest of one row."""
        tensor = oip.ModelInferRequest.InferInputTensor(name="candidate", datatype="BYTES", shape=[1, 1])
        raw = len(image).to_bytes(4, "little") + image
        message = oip.ModelInferRequest(model_name=self.model or scorer, inputs=[tensor], raw_input_contents=[raw])
        return message.SerializeToString()

    def score(self, answer: bytes) -> float:
        """Read the output `score`, raw or typed."""
        message = oip.ModelInferResponse.FromString(answer)
        for index, output in enumerate(message.outputs):
            if output.name == "score":
                if message.raw_output_contents:
                    (value,) = np.frombuffer(message.raw_output_contents[index], np.float32)
                else:
                    (value,) = output.contents.fp32_contents
                return float(value)
        raise ValueError("no output called score")


class HttpPeer(Peer):
    """A server that takes the JPEG as the body of a POST and answers a number as JSON."""

    wire = "HTTP/1.1, the JPEG as the body"
    path: ClassVar[str]

    def caller(self, place: Place) -> AbstractAsyncContextManager[Call]:
        """Return a caller of `path`."""
        return HttpCaller(place.ports[0], self.path, "image/jpeg")

    def request(self, image: bytes, scorer: str) -> bytes:
        """Return the image itself."""
        return image

    def score(self, answer: bytes) -> float:
        """Read a JSON number."""
        value = json.loads(answer)
        if not isinstance(value, float):
            raise ValueError(f"want a number, got {value!r}")
        return value
