"""Service over limit, by `beholder bench`."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.performance.asked import Asked, Json, Part
from bench.performance.words import cell, doubts
from bench.scorer_report import table

IN_FLIGHT = (1, 8, 32)
TIMEOUT_S = 3600.0


class Limit(Part):
    """The command as an operator gives it, once for each scorer."""

    name = "limit"
    title = "Service over limit: `beholder bench`"

    def measure(self, asked: Asked) -> Json:
        """Run the command."""
        return {scorer: self._bench(scorer, asked) for scorer in asked.scorers}

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell the ratios with the most calls in flight."""
        for scorer, its in found.items():
            for way in (one for one in its["service"] if one["in_flight"] == max(IN_FLIGHT)):
                rate, cpu = (cell(way["ratio"][kind]) for kind in ("aside", "cpu"))
                yield f"`{scorer}` over the limit, {way['name']}", f"{rate} in rate, {cpu} in CPU", "at least 0.95"

    def told(self, found: Json) -> Iterator[str]:
        """Tell the ratios, and where the difference goes."""
        yield (
            "The limit is the same work in a plain loop: decode, prepare and run at the best batch size, in a thread "
            "for each core, with no service around it. Ratios of each round, the median and its ends; more is better. "
            "*Rate*: answers per second over the loop's images per second; what the callers cost on the same cores "
            "counts against the service. *Callers aside*: the same over what the loop would do on the cores that they "
            "left. *CPU*: the loop's CPU time for an image over the server's for a request."
        )
        for scorer, its in found.items():
            yield f"`{scorer}`: `{its['command']}`"
            yield from table(("", "per s", "rate", "callers aside", "CPU", "p50 ms", "p99 ms", "CPU ms"), _rows(its))
            most = f"{max(IN_FLIGHT)} in flight"
            first, *others = its["said"]
            said = [first, *(one for one in others if one.startswith(most))]
            yield "\n".join([*(f"- {one}." for one in said), *doubts([its])])

    def _bench(self, scorer: str, asked: Asked) -> Json:
        words = [f"-s {scorer} -i {asked.image} --in-flight {','.join(map(str, IN_FLIGHT))} --stream"]
        words += [f"--rounds {asked.rounds} --for {asked.seconds:g}s --warmup {asked.warmup_s:g}s"]
        options = " ".join(words).split()
        with tempfile.TemporaryDirectory(prefix="beholder-") as folder:
            path = Path(folder) / "bench.json"
            command = [sys.executable, "-m", "beholder", "bench", *options, "--json", str(path)]
            subprocess.run(command, env=asked.environ, check=True, stdout=subprocess.DEVNULL, timeout=TIMEOUT_S)
            whole: Json = json.loads(path.read_text())
        kept = {key: whole["limit"][key] for key in ("per_s", "cpu_ms", "cores", "batch_rows", "batches", "stages_ms")}
        ways = [{key: value for key, value in one.items() if key != "rounds"} for one in whole["service"]]
        command_said = f"beholder bench {' '.join(options)}"
        return {"command": command_said, "limit": kept, "service": ways} | {k: whole[k] for k in ("said", "doubts")}


def _rows(its: Json) -> Iterator[tuple[str, ...]]:
    limit = its["limit"]
    first = f"limit, batch {limit['batch_rows']}", f"{limit['per_s']:.1f}", "1", "1", "1", "", ""
    yield (*first, f"{limit['cpu_ms']:.2f}")
    for way in its["service"]:
        ratios = (cell(way["ratio"][kind]) for kind in ("rate", "aside", "cpu"))
        times = f"{way['p50_ms']:.1f}", f"{way['p99_ms']:.1f}", f"{way['server_ms']:.2f}"
        yield (way["name"], f"{way['per_s']:.1f}", *ratios, *times)
