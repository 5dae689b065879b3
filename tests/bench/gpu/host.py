"""What the host can do: decode and prepare on all cores, copy to the device, and decode on the device itself."""

import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beholder.inputs.image import decode
from beholder.inputs.steps import Step, apply
from beholder.runtime.session import Device
from beholder.scoring.asked import CANDIDATE
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.types import U8, EncodedImage
from bench.gpu import cudart
from bench.gpu.rows import Report
from bench.gpu.sessions import NotHere, ort
from bench.gpu.subjects import LIMITS, Subject
from bench.pictures import jpegs

SIDE_PX, COUNT, BATCH = 512, 24, 64
COPIED = 32 * 2**20


def cores() -> int:
    """Return how many this process may use."""
    return len(os.sched_getaffinity(0))


def steps_of(name: str) -> tuple[Step, ...]:
    """Return how the images of a scorer or encoder are prepared."""
    catalog = load_catalog([shipped_models()])
    image = {**catalog.encoders, **catalog.scorers}[name].image
    return image.steps if image else ()


def prepared(data: bytes, steps: Sequence[Step]) -> U8:
    """Decode and prepare one image, as the service does."""
    return apply(tuple(steps), decode(EncodedImage(data), LIMITS, CANDIDATE))


def measure_host(report: Report, name: str, pictures: Path) -> None:
    """Measure images decoded and prepared per second, in threads of one process and in processes."""
    files = jpegs(pictures, SIDE_PX, COUNT)
    for count in dict.fromkeys((1, cores())):
        with report.row("host", name, f"decode and prepare, threads: {count}") as row:
            report.need()
            row.per_s = _in_threads(files, steps_of(name), count, report.seconds)
    with report.row("host", name, f"decode and prepare, processes: {cores()}") as row:
        report.need()
        row.per_s = _in_processes(files, name, cores(), report.seconds)


def _work(files: Sequence[bytes], steps: Sequence[Step], ends: float) -> int:
    done = 0
    for data in itertools.cycle(files):
        if time.monotonic() >= ends:
            return done
        prepared(data, steps)
        done += 1
    return done


def _in_threads(files: Sequence[bytes], steps: Sequence[Step], count: int, seconds: float) -> float:
    done = [0] * count
    began = time.monotonic()

    def work(number: int) -> None:
        done[number] = _work(files, steps, began + seconds)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - began)


def _in_process(job: tuple[Sequence[bytes], str, float]) -> float:
    files, name, seconds = job
    steps = steps_of(name)
    _work(files, steps, time.monotonic() + seconds / 5)
    began = time.monotonic()
    return _work(files, steps, began + seconds) / (time.monotonic() - began)


def _in_processes(files: Sequence[bytes], name: str, count: int, seconds: float) -> float:
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        return sum(pool.map(_in_process, [(files, name, seconds)] * count, chunksize=1))


def measure_copies(report: Report, device: Device) -> None:
    """Measure gigabytes per second between the host and the device's memory."""
    with report.row("copies", device.kind, "allocate") as row:
        value = ort.OrtValue.ortvalue_from_shape_and_type([COPIED], np.uint8, device.kind, device.id)
    if row.error:
        return
    source = np.random.default_rng(0).integers(0, 256, COPIED, np.uint8)
    for what, make in (("to the device", lambda: source), ("to the device, pinned", lambda: cudart.pinned(source))):
        with report.row("copies", device.kind, what, 1) as row:
            array = make()
            report.measure(row, lambda array=array: value.update_inplace(array))
            row.more["GB_per_s"] = row.per_s * COPIED / 1e9
    with report.row("copies", device.kind, "to the host", 1) as row:
        report.measure(row, lambda: np.array(value.numpy()))
        row.more["GB_per_s"] = row.per_s * COPIED / 1e9


def measure_decoders(report: Report, subject: Subject, device: Device, pictures: Path) -> None:
    """Measure decoders of JPEG on the device, and how far their pixels, and the scores, are from libjpeg-turbo's."""
    files = jpegs(pictures, SIDE_PX, COUNT)
    for name, decoder in (("nvimgcodec", _nvimgcodec), ("torchvision (nvJPEG)", _torchvision)):
        with report.row("decoders", subject.name, f"{name}, pixels left on the device", BATCH) as row:
            report.need()
            if device.kind == "cpu":
                raise NotHere("it decodes on CUDA devices")
            once, fetch = decoder([files[place % COUNT] for place in range(BATCH)])
            report.measure(row, once)
            ours = [decode(EncodedImage(data), LIMITS, CANDIDATE) for data in files]
            theirs = fetch()[:COUNT]
            apart = [np.abs(one.astype(int) - other.astype(int)) for one, other in zip(ours, theirs, strict=True)]
            row.more |= {"mean_pixel": float(np.mean(apart)), "max_pixel": int(np.max(apart))}
            row.more["score"] = _score_apart(subject, ours, theirs)


def _score_apart(subject: Subject, ours: Sequence[U8], theirs: Sequence[U8]) -> float:
    from bench.gpu.sessions import open_raw
    from bench.gpu.subjects import CPU

    opened, steps = open_raw(subject, CPU), steps_of(subject.name)
    values = []
    for pictures in (ours, theirs):
        ready = np.stack([apply(steps, pixels) for pixels in pictures])
        values.append(np.array(subject.values(opened.named(opened.run({CANDIDATE: ready})))))
    return float(np.abs(values[0] - values[1]).max())


def _nvimgcodec(files: Sequence[bytes]) -> tuple[Any, Any]:
    from nvidia import nvimgcodec

    decoder = nvimgcodec.Decoder()
    return lambda: decoder.decode(list(files)), lambda: [np.asarray(one.cpu()) for one in decoder.decode(list(files))]


def _torchvision(files: Sequence[bytes]) -> tuple[Any, Any]:
    import torch
    import torchvision.io

    sources = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]

    def once() -> Any:
        found = torchvision.io.decode_jpeg(sources, device="cuda")
        torch.cuda.synchronize()
        return found

    return once, lambda: [one.permute(1, 2, 0).cpu().numpy() for one in once()]
