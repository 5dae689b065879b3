"""Holds the simulator to the real engine: the same requests at the same moments, on a device that sleeps.

    PYTHONPATH=tests python -m load.engine_check

Threads, locks and the clock are real here, and the machine's own load tells; it prints and judges nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from beholder.engine.job import Job
from beholder.errors import CapacityError
from beholder.inputs.steps import Resize
from beholder.types import Priority, RawImage, Sample, Score, Tensor
from fake_scorers import House
from load.arrivals import Caller, poisson, who
from load.devices import GraphCost, Machine
from load.outcome import outcome
from load.replica import BEHOLDER, End
from load.simulator import Ledger, World

COST = GraphCost("asleep", 0.010, 0.010, 4, 0.0003)
HELPED = Machine(
    "who prepares runs", (COST,), runners=1, slots=1, threads=1, cores=1, is_cpu=False, helps=True, noise=0.02
)
MACHINES = (HELPED, replace(HELPED, name="one runner, two that prepare", threads=2, helps=False))
CALLERS = (
    Caller("now", 0.4, timeout_s=0.25),
    Caller("soon", 0.3, timeout_s=1.0),
    Caller("bulk", 0.3, Priority.BATCH, timeout_s=3.0),
)
SECONDS = 15.0
IMAGE = RawImage(np.zeros((16, 16, 3), np.uint8))
STEPS = (Resize((8, 8), "bilinear"),)
"""Of a fixed size, so that samples are prepared together, as those of the simulator are."""


def real(machine: Machine, load: float, seed: int) -> Ledger:
    """Send the requests to an engine; capacity errors are not tried again here."""
    house, ledger = House(), Ledger()

    def sleep(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        rows = len(inputs["candidate"])
        seconds = COST.batch_s + COST.row_s * rows
        ledger.ran(rows, seconds)
        time.sleep(seconds)
        return {"score": np.zeros(rows, np.float32)}

    house.add_graph("asleep", sleep, rows=COST.max_rows, steps=STEPS)
    engine = house.engine(cache_mb=0, runners=machine.runners, decode_threads=machine.threads)
    engine.start()
    ledger.batches.clear()
    rng = np.random.default_rng(seed)
    moments, start = poisson(load * machine.capacity(), SECONDS, rng), engine.clock()

    def close(caller: Caller, sent_s: float, end: End) -> None:
        ledger.callers.append(caller.name)
        ledger.ends.append(end)
        ledger.sent_s.append(sent_s)
        ledger.ended_s.append(engine.clock() - start)

    def answered(job: Job, caller: Caller, sent_s: float) -> None:
        is_scored = isinstance(job.wait(0.0)[0]["asleep"], Score)
        in_time = engine.clock() - start - sent_s <= caller.timeout_s
        close(caller, sent_s, (End.GOOD if in_time else End.LATE) if is_scored else End.EXPIRED)

    for moment, number in zip(moments.tolist(), who(CALLERS, len(moments), rng), strict=True):
        time.sleep(max(0.0, start + moment - engine.clock()))
        caller, now = CALLERS[number], engine.clock()
        scorers, deadline_s = [engine.scorer("asleep")], now + caller.timeout_s
        try:
            job = engine.submit([Sample(IMAGE)], scorers, deadline_s=deadline_s, priority=caller.priority)
        except CapacityError:
            close(caller, moment, End.REFUSED)
            continue
        job.add_done_callback(lambda job=job, caller=caller, moment=moment: answered(job, caller, moment))
    engine.drain(10.0)
    engine.stop()
    return ledger


def main() -> None:
    """Print both, by machine and load."""
    for machine in MACHINES:
        print(machine.name)
        for load in (0.5, 0.9, 1.5, 3.0, 5.0):
            rng = np.random.default_rng(1)
            simulated = World(machine, BEHOLDER, 1).run(CALLERS, poisson(load * machine.capacity(), SECONDS, rng))
            for name, ledger in (("engine", real(machine, load, 1)), ("simulator", simulated)):
                found = outcome(ledger, CALLERS, SECONDS, machine.capacity())
                shares = {caller.name: found.share(caller.name, End.GOOD) for caller in CALLERS}
                p99 = {caller.name: found.latency_ms(caller.name, 99) for caller in CALLERS}
                told = f"goodput {found.goodput:.3f} batches of {found.batch_rows:.2f} {shares} p99 {p99}"
                print(f"{load:4} {name:10} {told}", flush=True)


if __name__ == "__main__":
    main()
