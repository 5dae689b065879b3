"""Measures a server beside what the machine can do; writes docs/throughput.md.

    PYTHONPATH=tests python -m bench.performance                     all but memory, 40 min; to .cache/performance.json
    … --only memory                                                  100,000 requests, some minutes
    … --only limit idle --scorers image-safety --seconds 2 --rounds 3
    … --only perf-analyzer --perf-analyzer PATH                      NVIDIA's program; docs/triton.md tells where it is
    … --render                                                       take what was measured into docs/throughput.md

Each part is kept by itself, so one may be measured again alone. Settings of the servers are read from BEHOLDER_*.
"""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beholder.config import PREFIX
from bench.machine import about
from bench.performance import page
from bench.performance.asked import Asked
from bench.performance.parts.all import PARTS
from server_process import REPO

OUTPUT = REPO / ".cache" / "performance.json"
SCORERS = ("image-safety", "content-labels")
USUAL = {"rounds": 5, "seconds": 5.0, "warmup_s": 1.0, "idle_s": 60.0, "requests": 100_000}
QUICK = {"rounds": 1, "seconds": 1.0, "warmup_s": 0.2, "idle_s": 2.0, "requests": 500}
SECRET = ("TASTE_STORE",)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="default: all but memory")
    parser.add_argument("--scorers", nargs="+", default=SCORERS, help=f"default: {' '.join(SCORERS)}")
    parser.add_argument("--image", default="512x512", help="as `beholder load` takes it")
    parser.add_argument("--rounds", type=int, help=f"default: {USUAL['rounds']}")
    parser.add_argument("--seconds", type=float, help=f"of each run; default: {USUAL['seconds']}")
    parser.add_argument("--idle", type=float, dest="idle_s", help=f"seconds; default: {USUAL['idle_s']}")
    parser.add_argument("--requests", type=int, help=f"of the memory part; default: {USUAL['requests']}")
    parser.add_argument("--perf-analyzer", type=Path, help="the program; without it the part is left out")
    parser.add_argument("--quick", action="store_true", help="see that everything runs, in about two minutes")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="JSON; parts that are there and not measured stay")
    parser.add_argument("--render", action="store_true", help="measure nothing; write docs/throughput.md")
    return parser.parse_args(words)


def asked_of(arguments: argparse.Namespace) -> Asked:
    """Return what is to be measured."""
    usual = QUICK if arguments.quick else USUAL
    said = {name: getattr(arguments, name, None) for name in usual}
    amounts: dict[str, Any] = usual | {name: value for name, value in said.items() if value is not None}
    tool = arguments.perf_analyzer and arguments.perf_analyzer.resolve()
    return Asked(tuple(arguments.scorers), arguments.image, perf_analyzer=tool, environ=dict(os.environ), **amounts)


def measure(name: str, asked: Asked, command: str, is_quick: bool) -> dict[str, Any]:
    """Measure one part, with what to know of the run."""
    before, started = about(), time.monotonic()
    found = PARTS[name].measure(asked)
    settings = [f"{key}={text}" for key, text in sorted(asked.environ.items()) if key.startswith(PREFIX)]
    settings = [text for text in settings if not any(secret in text for secret in SECRET)]
    amounts = {"rounds": asked.rounds, "seconds": asked.seconds, "took_s": round(time.monotonic() - started)}
    run = {"command": command, "settings": settings, "is_quick": is_quick}
    return {"about": before | amounts | run, "found": found}


def main(words: Sequence[str] | None = None) -> None:
    """Measure what was asked, each part kept as soon as it is there; or write the page."""
    arguments = parse(words)
    if arguments.render:
        page.take(arguments.output)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C: servers are ended on the way out
    asked = asked_of(arguments)
    usual = [name for name, part in PARTS.items() if part.is_usual]
    failed = [name for name in arguments.only or usual if not _run(name, asked, _command(words), arguments)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _run(name: str, asked: Asked, command: str, arguments: argparse.Namespace) -> bool:
    """Measure and keep one part; return whether that went well, for the others go on."""
    if name == "perf-analyzer" and not asked.perf_analyzer:
        print("perf-analyzer: left out; --perf-analyzer tells where it is", file=sys.stderr)
        return True
    try:
        one = measure(name, asked, command, arguments.quick)
    except Exception as error:  # a server that failed, a tool that did
        traceback.print_exc()
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        return False
    print("\n\n".join([f"## {PARTS[name].title}", *PARTS[name].told(one["found"])]), end="\n\n", flush=True)
    output = arguments.output
    kept = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    output.parent.mkdir(parents=True, exist_ok=True)
    page.write(kept | {name: one}, output)
    return True


def _command(words: Sequence[str] | None) -> str:
    """Return the command as anyone would give it: without the folders of this machine."""
    given = list(sys.argv[1:] if words is None else words)
    told = [
        Path(word).name if before == "--perf-analyzer" else word
        for before, word in zip(["", *given], given, strict=False)
    ]
    if "--output" in told:
        del told[told.index("--output") : told.index("--output") + 2]
    return " ".join(["python -m bench.performance", *told])


if __name__ == "__main__":
    main()
