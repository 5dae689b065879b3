"""What a request costs client and server when its image is sent, and when it lies in memory that the server lends.

    PYTHONPATH=tests python -m bench.shared_memory

The scorer reads one pixel, so that what is left is the wire, and decoding where there is a file. Both ways alternate in
rounds; processor time is that of the whole process, each.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

import server_process
from beholder.client import Client, ImageLike, shared
from beholder.inputs.made import encode, made_picture
from scorer_folder import write_scorer

ROUNDS, IN_FLIGHT, SHM_MB = 7, 8, 256
SCORER = "one-pixel"
HEAD = "| image | call | sent as | client µs | server µs | both | of bytes | wall µs |\n" + 8 * "|---" + "|"
Asks = Callable[[Client, Sequence[ImageLike]], None]


def unary(client: Client, images: Sequence[ImageLike]) -> None:
    """Ask for one image after the other."""
    for image in images:
        _check(client.score(image, scorers=SCORER)[0].error)


def stream(client: Client, images: Sequence[ImageLike]) -> None:
    """Ask for all over one stream."""
    for _, result in client.score_stream(images, scorers=SCORER, in_flight=IN_FLIGHT):
        _check(result.error)


def measure(address: str, pid: int, asks: Asks, images: Sequence[ImageLike]) -> dict[str, tuple[float, float, float]]:
    """Return way -> microseconds of one request: client's processor, server's processor, wall; medians over rounds."""
    with Client(address) as inline, Client(address, shm=True, shm_mb=SHM_MB) as lent:
        ways = {"bytes": (inline, images), "shm": (lent, images)}
        if isinstance(images[0], np.ndarray):
            ways["drawn there"] = lent, _drawn(lent, images)
        seen: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        for number in range(ROUNDS + 1):
            for way in sorted(ways, reverse=bool(number % 2)):
                before = _clocks(pid)
                asks(*ways[way])
                spent = [after - then for after, then in zip(_clocks(pid), before, strict=True)]
                if number:
                    seen[way].append((spent[0], spent[1], spent[2]))
    scale = 1e6 / len(images)
    return {
        way: tuple(statistics.median(column) * scale for column in zip(*rounds, strict=True))  # type: ignore[misc]
        for way, rounds in seen.items()
    }


def one_pixel() -> bytes:
    """Return a graph whose score is a byte of the first pixel."""
    candidate = helper.make_tensor_value_info("candidate", TensorProto.UINT8, ["N", "H", "W", 3])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])
    places = [
        helper.make_tensor(name, TensorProto.INT64, [3], values)
        for name, values in {"starts": [0, 0, 0], "ends": [1, 1, 1], "axes": [1, 2, 3]}.items()
    ]
    nodes = [
        helper.make_node("Slice", ["candidate", "starts", "ends", "axes"], ["pixel"]),
        helper.make_node("Cast", ["pixel"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["number"], ["score"], axes=[1, 2, 3], keepdims=0),
    ]
    graph = helper.make_graph(nodes, SCORER, [candidate], [score], places)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def main() -> None:
    """Measure all, and print a table; an argument is the server's BEHOLDER_CACHE_MB, else 0."""
    shared.WORTH_BYTES = 0  # small ones too, to see why they are sent as bytes
    images = {
        "JPEG 512x512, 68 kB": (_pictures(512, partial(encode, format_="jpg")), 25),
        "raw 512x512, 786 kB": (_pictures(512, np.asarray), 25),
        "raw 2048x2048, 12.6 MB": (_pictures(2048, np.asarray), 1),
    }
    cache_mb = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder, "models")
        write_scorer(models, SCORER, one_pixel(), range=[0, 255])
        server = server_process.start(models=models, shm=Path(folder, "shm"), cache_mb=cache_mb, intra_op_threads=1)
        try:
            print(HEAD)
            for name, (pictures, times) in images.items():
                for asks in (unary, stream):
                    found = measure(server.address, server.process.pid, asks, pictures * times)
                    for way, (client, serves, wall) in found.items():
                        ratio = (client + serves) / sum(found["bytes"][:2])
                        print(
                            f"| {name} | {asks.__name__} | {way} | {client:.0f} | {serves:.0f} | {client + serves:.0f} "
                            f"| {ratio:.2f} | {wall:.0f} |",
                            flush=True,
                        )
        finally:
            server.stop()


def _pictures(side_px: int, form: Callable[[np.ndarray], ImageLike]) -> list[ImageLike]:
    return [form(made_picture(side_px, side_px, seed)) for seed in range(8)]


def _drawn(client: Client, images: Sequence[ImageLike]) -> list[ImageLike]:
    """Return the images as a caller has them who draws where the server reads."""
    drawn: dict[int, np.ndarray] = {}
    for image in images:
        if id(image) not in drawn:
            assert isinstance(image, np.ndarray)
            drawn[id(image)] = client.canvas(*image.shape[:2])
            drawn[id(image)][:] = image
    return [drawn[id(image)] for image in images]


def _clocks(pid: int) -> tuple[float, float, float]:
    its_clock = ~pid << 3 | 2  # what clock_getcpuclockid() gives
    return time.process_time(), time.clock_gettime(its_clock), time.perf_counter()


def _check(error: Exception | None) -> None:
    if error:
        raise error


if __name__ == "__main__":
    main()
