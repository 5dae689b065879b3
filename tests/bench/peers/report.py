"""Writes docs/peers.md from docs/peers.json: tables of what the bench measured, and what it does not say."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beholder.bench.ratio import Spread
from bench.peers import latency
from bench.peers.latency import middle
from bench.peers.load import IN_FLIGHT
from bench.peers.peer import ROUNDING
from bench.performance.words import cell
from bench.scorer_report import table
from server_process import REPO

KEPT, PAGE = REPO / "docs" / "peers.json", REPO / "docs" / "peers.md"
OURS = "beholder"
MARGIN = 0.02
IDLE_MARGIN = 0.003
"""Above a tick of /proc, 10 ms, in the time that idle servers are watched."""
NOWHERE = "- nowhere in this run, by these measures\n"
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
- The load client runs in Beholder's environment. Pages of libraries that it shares with Beholder and with the bare
  server, some 25 MiB of each, are not in their PSS; they are in RSS.
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

(`make peers`) installs each server into an environment of its own under DIR and measures. First each alone: started,
ready when it gives the first right answer, loaded for two seconds, its memory taken (RSS counts shared pages once for
each process, PSS divides them), left idle for four seconds, given calls that are cancelled, stopped: from a SIGTERM to
the first process until the last is gone; what is left after 15 s is killed.

Then in turn: all run, each held by SIGSTOP while another is asked, and every round asks each after the other, beginning
with another one. So what the machine has to give at a moment is the same for all of a round. After four rounds all are
started anew: how its memory happens to lie makes a process some per cent faster or slower. Requests/s, CPU time and
latencies are medians over rounds; "÷ Beholder" is the median of the ratios within rounds, with the middle half of them.
CPU time is that of all processes of a server, from `/proc`, the children that ended included; requests/s and latencies
leave out the first half second. Scores are compared with those of the job done alone, every answer.

Every round also has 2, 4, 8 or 32 calls in flight, in turn: rate and p99 that go together. Between those numbers, what
a server does at a p99 is read off the line between its neighbours.

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
    shown = {key: entry for key, entry in peers.items() if _rounds(entry)}
    low, high = found["kb"]
    head = f"## `{scorer}`\n\n{found['job']}; 512x512 JPEGs of {low} to {high} kB, {in_flight} calls in flight.\n\n"
    parts = [head, _speed(shown, found["plain"]), "\n", _found(shown), *latency.told(shown, OURS), _room(shown), "\n"]
    return "".join([*parts, _neighbours(shown), "\n", _failures(peers)]).rstrip("\n") + "\n"


def summary(found: Mapping[str, Any]) -> str:
    """Tell one measurement in one line."""
    text = f"{found['per_s']:7.1f}/s {found['cpu_ms']:7.2f} ms CPU"
    return text + (f", p50 {found['p50_ms']:.0f} p99 {found['p99_ms']:.0f} ms" if "p50_ms" in found else "")


def _rounds(entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = entry["loads"].get(str(IN_FLIGHT), [])
    return found


def _beside(rounds: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]], key: str) -> Spread:
    """Return the middle half of a value over Beholder's of the same round; who failed in the middle has fewer."""
    ratios = [one[key] / our[key] for one, our in zip(rounds, ours, strict=False)]
    low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return Spread(median, low, high)


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
    ours = _rounds(shown[OURS]) if OURS in shown else []

    def beside(rounds: Sequence[Mapping[str, Any]]) -> list[str]:
        cells = list[str]()
        for key, digits in (("per_s", 1), ("cpu_ms", 2)):
            has_ratio = ours and rounds is not ours
            cells += [f"{middle(rounds, key):.{digits}f}", cell(_beside(rounds, ours, key)) if has_ratio else ""]
        return cells

    rows = [["the job in threads, no server", *beside(plain), *[""] * 4]] if plain else []
    for entry in sorted(shown.values(), key=lambda entry: middle(_rounds(entry), "cpu_ms")):
        rounds = _rounds(entry)
        rows.append(
            [
                entry["name"],
                *beside(rounds),
                f"{middle(rounds, 'p50_ms'):.0f}",
                f"{middle(rounds, 'p99_ms'):.0f}",
                f"{middle(rounds, 'client_cpu_ms'):.2f}",
                _equal(max(one["score_error"] for one in rounds)),
            ]
        )
    head = [
        "",
        "requests/s",
        "÷ Beholder",
        "CPU ms each",
        "÷ Beholder",
        "p50 ms",
        "p99 ms",
        "client's CPU ms",
        "scores",
    ]
    return table(head, rows)[0] + "\n"


def _equal(error: float) -> str:
    return f"equal within {error:.0e}" if 0 < error <= ROUNDING else "equal" if error == 0 else f"{error:.0e} off"


def _found(shown: Mapping[str, Any]) -> str:
    """Tell where a peer is better than Beholder, in this run's own numbers."""
    if OURS not in shown:
        return ""
    mine, lines = shown[OURS], list[tuple[str, list[str]]]()
    others = {key: entry for key, entry in shown.items() if not key.startswith(OURS)}
    for key, what, is_larger_better in (
        ("per_s", "more requests/s", True),
        ("cpu_ms", "less CPU each", False),
        ("p50_ms", "a lower p50", False),
        ("p99_ms", "a lower p99", False),
    ):
        sign = 1 if is_larger_better else -1
        ahead = {
            entry["name"]: sign * (_beside(_rounds(entry), _rounds(mine), key).median - 1) for entry in others.values()
        }
        lines.append((what, [name for name, by in ahead.items() if by > MARGIN]))
    for key, what in (("pss_mb", "less memory (PSS)"), ("start_s", "an earlier first answer")):
        most = (1 - MARGIN) * mine["alone"][key]
        lines.append((what, [entry["name"] for entry in others.values() if entry["alone"][key] < most]))
    most = mine["alone"]["idle"] - IDLE_MARGIN
    lines.append(("less idle CPU", [entry["name"] for entry in others.values() if entry["alone"]["idle"] < most]))
    told = "".join(f"- {what}: {', '.join(names)}\n" for what, names in lines if names)
    return (
        f"**Where others do better** than Beholder, by more than {MARGIN:.0%} of its value (idle: {IDLE_MARGIN:.1%} of "
        f"a core):\n\n{told or NOWHERE}\n"
    )


def _room(shown: Mapping[str, Any]) -> str:
    rows = []
    for entry in shown.values():
        alone = entry["alone"]
        rows.append(
            [
                entry["name"],
                f"{alone['processes']}",
                f"{alone['rss_mb']:.0f}",
                f"{alone['pss_mb']:.0f}",
                f"{alone['idle']:.1%}",
                f"{alone['start_s']:.1f}",
                f"{alone['stop_s']:.1f}" + (", killed" if alone["is_killed"] else ""),
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
        found = entry["alone"]["neighbours"]
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
