"""Hundreds of tastes told and asked by a crowd at once, and a SIGKILL in the middle: nothing acknowledged is lost.

Everybody sends again what got no answer, with the same request_id. In the end every taste holds what its people were
told that it holds, and is of the version that so many writes make; `taste_people` says why that is known.
"""

import asyncio
import contextlib
import random
import re
import signal
import statistics
import time
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest

from beholder.v1 import taste_service_pb2 as pb
from load.taste_askers import Askers
from load.taste_crowd import PROBES, Crowd, Door, score_request
from load.taste_people import Person, Taste, all_said
from load.taste_tellers import Tellers
from server_process import ServerProcess, StartServer

IN_FLIGHT = 24
PEOPLE = 3
KILL_AT = 0.4
"""The share of all deeds after which the server is killed, with `IN_FLIGHT` of them under way."""
UNAVAILABLE_S = 15.0
"""How long around the SIGKILL calls may find no server."""
GROWTH_BYTES = 32 * 2**20
"""Resident memory may grow by this much from the second fifth after the SIGKILL to the last (medians)."""
MEMORY_MB = 1
SETTINGS: dict[str, Any] = {
    "scorers": ("content-labels", "sharpness"),
    "taste_memory_mb": MEMORY_MB,
    "cache_mb": 4,
    "max_samples": 16,
}


@dataclass
class Soak:
    """A run: servers one after another, on one file.

    Attributes:
        killed_s: the moment.
        rss_bytes: of the second server, at each percent.
        memory_bytes: what learned tastes hold of either, by its own word.
    """

    start: StartServer
    store: Path
    crowd: Crowd
    server: ServerProcess
    killed_s: float = 0.0
    rss_bytes: list[int] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)

    async def run(self, total: int) -> None:
        """Have the crowd do `total` deeds, `IN_FLIGHT` at a time, and kill the server once."""
        crowd, numbers = self.crowd, iter(range(total))
        tellers, askers = Tellers(crowd), Askers(crowd)
        deeds = {
            tellers.tell: 38,
            tellers.begin_anew: 2,
            tellers.be_fleeting: 7,
            askers.ask: 20,
            askers.ask_and_leave: 5,
            askers.stream: 6,
            askers.rank: 8,
            askers.look: 8,
            askers.attack: 6,
        }

        async def caller() -> None:
            for number in numbers:
                if number == int(total * KILL_AT):
                    await self.kill()
                elif number % max(1, total // 100) == 0:
                    with contextlib.suppress(OSError, HTTPException):  # it is killed just now
                        await asyncio.to_thread(self.measure)
                dice = random.Random(number)
                (deed,) = dice.choices(list(deeds), list(deeds.values()))
                came = await deed(number, dice)
                crowd.outcomes[deed.__name__, came] += 1

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))

    async def kill(self) -> None:
        """Kill the server, start another on its file, and compare what that holds with what was acknowledged."""
        self.killed_s = time.monotonic()
        self.server.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.server.process.wait)
        self.check_log()
        self.crowd.door.shut()
        self.server = await asyncio.to_thread(self.start, taste_store=self.store, **SETTINGS)
        door = Door(self.server.address)
        for taste in self.crowd.tastes:
            self.check_kept(taste, await door.call("GetTaste", pb.GetTasteRequest(name=taste.name)))
        await door.close()
        self.crowd.door.open(self.server.address)

    def check_log(self) -> None:
        """Note what the server did not foresee."""
        _, failed, what = self.server.log.read_text(errors="replace").partition("Traceback")
        self.crowd.expect(not failed, what[-2000:])

    def check_kept(self, taste: Taste, found: Any) -> None:
        """Compare what a taste holds after the SIGKILL with what was acknowledged, or asked and not yet answered."""
        expect = self.crowd.expect
        if not taste.is_settled:  # it is being made again
            return
        expect(not isinstance(found, str), f"{taste.name}: {found} after the SIGKILL")
        opinions = {} if isinstance(found, str) else all_said(found.opinions)
        may_be = [{**person.opinions, **(person.pending or {})} for person in taste.people]
        expect(opinions.keys() <= {key for told in may_be for key in told}, f"{taste.name}: opinions from nowhere")
        for person in taste.people:
            pending = person.opinions if person.pending is None else person.pending
            for key in person.opinions.keys() | pending.keys():
                either = (person.opinions.get(key), pending.get(key))
                expect(opinions.get(key) in either, f"{taste.name}: {key} is {opinions.get(key)}, want one of {either}")

    def measure(self) -> None:
        """Note what the server takes of memory."""
        with urllib.request.urlopen(f"http://{self.server.metrics_address}/metrics", timeout=30) as page:
            text = page.read().decode()
        found = re.search(r"^beholder_taste_memory_bytes (\S+)$", text, re.MULTILINE)
        assert found, f"no taste_memory_bytes in {len(text)} characters that end in {text[-500:]!r}"
        self.memory_bytes.append(int(float(found[1])))
        if self.killed_s:
            self.rss_bytes.append(psutil.Process(self.server.process.pid).memory_info().rss)

    async def compare(self) -> dict[str, list[float]]:
        """Compare what every taste holds with what was acknowledged; return what each says of the probes."""
        crowd, answers = self.crowd, dict[str, list[float]]()
        for taste in crowd.tastes:
            found = await crowd.call("GetTaste", pb.GetTasteRequest(name=taste.name))
            if isinstance(found, str):
                crowd.expect(False, f"{taste.name}: {found} in the end")
                continue
            crowd.expect(all_said(found.opinions) == taste.opinions, f"{taste.name} holds other opinions in the end")
            images = {image for key in taste.opinions for image in key}
            crowd.expect(found.taste.images == len(images), f"{taste.name}: {found.taste.images} images in the end")
            version = 1 + taste.written
            crowd.expect(found.taste.version == version, f"{taste.name}: version {found.taste.version}, want {version}")
            said = await crowd.call("Score", score_request([data for data, _ in PROBES], [taste.name]))
            answers[taste.name] = [sample.results[0].score.value for sample in said.samples]
        for name in crowd.fleeting:
            found = await crowd.call("GetTaste", pb.GetTasteRequest(name=name))
            if not isinstance(found, str):
                crowd.check_owner(name, found.opinions)
        return answers


async def soak(start: StartServer, store: Path, total: int, tastes: int) -> Soak:
    """Run it all, and compare at the end, also after a restart."""
    server = await asyncio.to_thread(start, taste_store=store, **SETTINGS)
    crowd = Crowd(Door(server.address), [Taste(f"taste-{number}", number % 2 == 0) for number in range(tastes)])
    for taste in crowd.tastes:
        taste.people += [Person(taste) for _ in range(PEOPLE)]
        made = await crowd.call("CreateTaste", pb.CreateTasteRequest(name=taste.name, request_id="make"))
        taste.version = made.taste.version
    run = Soak(start, store, crowd, server)
    await run.run(total)
    before = await run.compare()
    crowd.door.shut()
    crowd.expect(run.server.stop() == 0, "the server did not stop cleanly")
    run.check_log()
    run.server = await asyncio.to_thread(start, taste_store=store, **SETTINGS)
    crowd.door.open(run.server.address)
    after = await run.compare()
    for name, values in before.items():
        crowd.expect(after[name] == pytest.approx(values, abs=1e-3), f"{name} judges otherwise after a restart")
    await crowd.door.close()
    check_kinds(crowd, before)
    return run


def check_kinds(crowd: Crowd, answers: dict[str, list[float]]) -> None:
    """Note tastes that like the kind of image better that their people do not."""
    for taste in crowd.tastes:
        values = [float(what.split()[1]) for key, what in taste.opinions.items() if len(key) == 1]
        if min(values, default=0.0) < 0 < max(values, default=0.0) and len(values) > 3:
            own, other = (
                statistics.mean(answers[taste.name][place] for place, (_, warm) in enumerate(PROBES) if warm is kind)
                for kind in (taste.warm, not taste.warm)
            )
            crowd.expect(own > other, f"{taste.name} likes what its people don't: {own:.3f} to {other:.3f}")


def check(run: Soak, total: int) -> None:
    """Assert that everything came to a right end."""
    crowd = run.crowd
    assert not crowd.faults, "\n".join(crowd.faults[:20])
    assert sum(count for (name, _), count in crowd.outcomes.items() if name.islower()) == total
    assert not any(code in ("DEADLINE_EXCEEDED", "INTERNAL") for _, code in crowd.outcomes)
    assert all(run.killed_s <= at_s <= run.killed_s + UNAVAILABLE_S for at_s in crowd.unavailable_s)
    assert 0 < max(run.memory_bytes) <= MEMORY_MB * 2**20


def tell(run: Soak) -> None:
    """Print what came of a run."""
    crowd = run.crowd
    print("\n", dict(sorted(crowd.outcomes.items())))
    print(f"{len(crowd.seen)} verdicts of a taste, a version and an image; {len(crowd.faults)} faults")
    for method, seconds in sorted(crowd.seconds.items()):
        median_ms, most_ms = statistics.median(seconds) * 1e3, max(seconds) * 1e3
        print(f"{method}: {len(seconds)} calls, {median_ms:.0f} ms in the middle, {most_ms:.0f} ms at most")
    print("KiB of learned tastes:", *(size // 2**10 for size in run.memory_bytes[::4]))
    print("MiB of resident memory after the SIGKILL:", *(rss // 2**20 for rss in run.rss_bytes[::2]))


def test_400_deeds_lose_nothing_though_the_server_is_killed(start_server: StartServer, tmp_path: Path) -> None:
    run = asyncio.run(soak(start_server, tmp_path / "tastes.db", 400, 12))
    check(run, 400)


@pytest.mark.slow
def test_20000_deeds_leave_memory_flat(
    start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = asyncio.run(soak(start_server, tmp_path / "tastes.db", 20_000, 300))
    with capsys.disabled():
        tell(run)
    check(run, 20_000)
    fifth = len(run.rss_bytes) // 5
    early, late = run.rss_bytes[fifth : 2 * fifth], run.rss_bytes[-fifth:]
    assert statistics.median(late) - statistics.median(early) <= GROWTH_BYTES
