"""Writes docs/peers.md from docs/peers.json: tables of what the bench measured, and what it does not say."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import latency
from bench.peers.latency import middle
from bench.peers.peer import ROUNDING
from bench.scorer_report import table
from server_process import REPO

KEPT, PAGE = REPO / "docs" / "peers.json", REPO / "docs" / "peers.md"
OURS = "beholder"
HEAD = """\
# Beholder beside other servers

Other servers, each set as its users would set it for this machine, given one job: the same graph, the same images, as
many calls in flight, in rounds that take turns. **Beholder's own bench made this page** (`tests/bench/peers`): it knows
Beholder better than the others, and chose the job. Whoever knows a better setting for one of them, please say so.

"""
BUSY = """
**The machine was busy with other work meanwhile**: requests/s and latencies are of what was left of it at each moment;
CPU times, memory and neighbours can be compared."""
LIMITS = """\
## What this does not say

- One machine, few cores, no GPU: what costs a server here is Python, processes and copies. On a GPU the graph costs
  less and everything else shows more. Servers in C++ with their own ONNX Runtime or TensorRT backend were not tried.
- Triton runs its Python backend, since images arrive as JPEGs: decoding in Python is what most of its users do without
  a GPU. Its wheel is older than its newest release. Its C++ backends on prepared tensors would cost less.
- KServe and Ray Serve are made for clusters; of KServe only the Python server in the pod runs, without the batcher
  that would stand before it. One machine shows what they cost and not what they are for.
- BentoML, mosec, LitServe and Ray Serve are asked over HTTP/1.1, the others over gRPC. The load client is the same
  program for all; HTTP costs it less than gRPC, and what it costs runs on the same cores as the server.
- The work inside (decode, crop, resize, session) is the same code for all but Beholder, which has its own, and
  includes what Beholder learned about it: libjpeg-turbo by `simplejpeg`, one thread to a run, no spinning. A user who
  decodes with Pillow or leaves ONNX Runtime's threads as they are gets less.
- Other images than square ones need more of a letterbox than the peers' job for `image-safety` has.
- One model at a time. Many models, many callers with deadlines and priorities, overload: `docs/performance.md` has
  Beholder alone.
"""
HOW = """\
## How

    PYTHONPATH=tests python -m bench.peers --folder DIR

(`make peers`) installs each server into an environment of its own under DIR and measures; only one runs at a time. It
is ready when it gives the first right answer, warmed up for two seconds, then loaded. CPU time is that of all its
processes, from `/proc`, the children that ended included; requests/s and latencies leave out the first half second.
Memory is taken right after the load: RSS counts shared pages once for each process, PSS divides them. Idle CPU is
measured after all load, over four seconds. To stop: from a SIGTERM to the first process until the last is gone; what is
left after 15 s is killed. Medians over rounds. Scores are compared with those of the job done alone, every answer.

After the load each server is given 2, 4, 8 and 32 calls in flight, each for half the time: rate and p99 that go
together. Between those numbers, what a server does at a p99 is read off the line between its neighbours.

Neighbours: 48 calls at once, of which every third is cancelled, at moments spread over the time that all of them take;
counted is what the 32 others get within 20 s, and four calls afterwards. gRPC calls are cancelled on the wire; over
HTTP/1.1 the client hangs up; one message of a stream can't be cancelled, its answer is left unread.
"""


def write_page() -> None:
    """Write docs/peers.md from docs/peers.json."""
    PAGE.write_text(page(json.loads(KEPT.read_text(encoding="utf-8"))), encoding="utf-8")


def page(kept: Mapping[str, Any]) -> str:
    """Return the page of one run."""
    about, jobs = kept["about"], kept["scorers"]
    parts = [HEAD, _about(about), "\n\n"]
    for scorer, found in jobs.items():
        parts += [_job(scorer, found, about["in_flight"]), "\n"]
    (first, *_) = jobs.values()
    return "".join([*parts, HOW, "\n", _settings(first["peers"]), "\n", LIMITS])


def _job(scorer: str, found: Mapping[str, Any], in_flight: int) -> str:
    peers = found["peers"]
    shown = {key: entry for key, entry in peers.items() if entry["rounds"]}
    low, high = found["kb"]
    head = f"## `{scorer}`\n\n{found['job']}; 512x512 JPEGs of {low} to {high} kB, {in_flight} calls in flight.\n\n"
    parts = [head, _speed(shown, found["plain"]), "\n", _found(shown), *latency.told(shown, OURS), _room(shown), "\n"]
    return "".join([*parts, _neighbours(shown), "\n", _failures(peers)]).rstrip("\n") + "\n"


def summary(found: Mapping[str, Any]) -> str:
    """Tell one round in one line."""
    text = f"{found['per_s']:7.1f}/s {found['cpu_ms']:7.2f} ms CPU"
    if "p50_ms" in found:
        text += f", p50 {found['p50_ms']:.0f} p99 {found['p99_ms']:.0f} ms, PSS {found['pss_mb']:.0f} MiB"
        text += f", idle {found['idle']:.1%}, neighbours {found['neighbours']}"
    return text


def verdict(rounds: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Add up what the neighbours of cancelled calls got in all rounds."""
    keys = {key for one in rounds for key in one["neighbours"]}
    return {key: sum(one["neighbours"].get(key, 0) for one in rounds) for key in keys}


def _about(about: Mapping[str, Any]) -> str:
    others = about.get("others_cores")
    is_busy = about["load_before"] > about["cores"] / 2 if others is None else others > about["cores"] / 10
    told = "" if others is None else f", {others:g} cores busy with other things"
    return (
        f"{about['date']}, {about['cores']} cores of {about['processor']}, no GPU, load average "
        f"{about['load_before']:g} before the run{told}. Python "
        f"{about['python']}; {about['rounds']} rounds of {about['seconds']:g} s." + (BUSY if is_busy else "")
    )


def _speed(shown: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    if plain:
        rate, cpu = middle(plain, "per_s"), middle(plain, "cpu_ms")
        rows.append(["the job in threads, no server", f"{rate:.1f}", "", f"{cpu:.2f}", *[""] * 4])
    ours = shown.get(OURS, {"rounds": []})["rounds"]
    for entry in sorted(shown.values(), key=lambda entry: middle(entry["rounds"], "cpu_ms")):
        rounds = entry["rounds"]
        ratios = [one["per_s"] / our["per_s"] for one, our in zip(rounds, ours, strict=False)]
        rows.append(
            [
                entry["name"],
                f"{middle(rounds, 'per_s'):.1f}",
                f"{statistics.median(ratios):.2f}" if ratios else "",
                f"{middle(rounds, 'cpu_ms'):.2f}",
                f"{middle(rounds, 'p50_ms'):.0f}",
                f"{middle(rounds, 'p99_ms'):.0f}",
                f"{middle(rounds, 'client_cpu_ms'):.2f}",
                _equal(max(one["score_error"] for one in rounds)),
            ]
        )
    head = ["", "requests/s", "of Beholder's", "CPU ms each", "p50 ms", "p99 ms", "client's CPU ms", "scores"]
    return table(head, rows)[0] + "\n"


def _equal(error: float) -> str:
    return f"equal within {error:.0e}" if 0 < error <= ROUNDING else "equal" if error == 0 else f"{error:.0e} off"


def _found(shown: Mapping[str, Any]) -> str:
    """Tell where a peer is better than Beholder, in this run's own numbers."""
    if OURS not in shown:
        return ""
    lines = []
    for key, what, is_larger_better in (
        ("per_s", "more requests/s", True),
        ("cpu_ms", "less CPU each", False),
        ("p50_ms", "a lower p50", False),
        ("p99_ms", "a lower p99", False),
        ("pss_mb", "less memory (PSS)", False),
        ("idle", "less idle CPU", False),
        ("start_s", "an earlier first answer", False),
    ):
        mine = middle(shown[OURS]["rounds"], key)
        sign = 1 if is_larger_better else -1
        names = [
            entry["name"]
            for other, entry in shown.items()
            if not other.startswith(OURS) and sign * (middle(entry["rounds"], key) - mine) > 0.02 * mine
        ]
        if names:
            lines.append(f"- {what}: {', '.join(names)}\n")
    told = "".join(lines) or "- nowhere in this run, by these measures\n"
    return f"**Where others do better** than Beholder, by more than 2 % of its value:\n\n{told}\n"


def _room(shown: Mapping[str, Any]) -> str:
    rows = []
    for entry in shown.values():
        rounds = entry["rounds"]
        killed = sum(one["is_killed"] for one in rounds)
        rows.append(
            [
                entry["name"],
                f"{middle(rounds, 'processes'):.0f}",
                f"{middle(rounds, 'rss_mb'):.0f}",
                f"{middle(rounds, 'pss_mb'):.0f}",
                f"{middle(rounds, 'idle'):.1%}",
                f"{middle(rounds, 'start_s'):.1f}",
                f"{middle(rounds, 'stop_s'):.1f}" + (f", killed {killed} of {len(rounds)} times" if killed else ""),
                f"{entry['size_mb']}" if "size_mb" in entry else "",
            ]
        )
    head = [
        "",
        "processes",
        "RSS MiB",
        "PSS MiB",
        "idle CPU",
        "to the first answer, s",
        "to stop, s",
        "environment, MiB",
    ]
    return table(head, rows)[0] + "\n"


def _neighbours(shown: Mapping[str, Any]) -> str:
    rows = []
    for entry in shown.values():
        found = verdict(entry["rounds"])
        asked = sum(count for key, count in found.items() if key in ("right", "wrong", "failed", "silent"))
        later = sum(count for key, count in found.items() if key.startswith("later_"))
        cells = [str(found.get(key, 0)) for key in ("cancelled", "right", "wrong", "failed", "silent")]
        rows.append(
            [entry["name"], cells[0], f"{cells[1]} of {asked}", *cells[2:], f"{found.get('later_right', 0)} of {later}"]
        )
    head = ["neighbours of cancelled calls", "cancelled", "right", "wrong", "failed", "no answer", "right afterwards"]
    return table(head, rows)[0] + "\n"


def _failures(peers: Mapping[str, Any]) -> str:
    lines = [f"- {entry['name']}: {entry['failed']}\n" for entry in peers.values() if "failed" in entry]
    return "**Not measured, or not in all rounds:**\n\n" + "".join(lines) + "\n" if lines else ""


def _settings(peers: Mapping[str, Any]) -> str:
    parts = ["## Versions, settings, commands\n\n"]
    for entry in peers.values():
        versions = ", ".join(f"{name} {version}" for name, version in entry.get("versions", {}).items())
        parts.append(f"**{entry['name']}** ({entry['wire']}): {entry['settings']}. {versions}\n\n")
        if "command" in entry:
            parts.append(f"    {entry['command']}\n\n")
    return "".join(parts).rstrip("\n") + "\n"


def write_kept(kept: Mapping[str, Any], path: Path) -> None:
    """Write what was measured as JSON."""
    path.write_text(json.dumps(rounded(kept), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Round all floats within JSON to four digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
