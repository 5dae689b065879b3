"""What was asked of `beholder load`: one value for all options, checked as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from beholder.load.arrivals import Recorded
from beholder.load.plan import closed_legs, rate_legs, recorded_leg
from beholder.load.slo import Objective
from beholder.load.words import BurstWords, RateWords
from beholder.load.worker import Leg

PLAIN = (
    "prompt", "even", "seconds", "warmup_s", "repeats", "bad", "repeated", "samples", "stream", "timeout_s",
    "processes", "connections", "seed",
)  # fmt: skip
"""Options that a result holds as they are."""


@dataclass(frozen=True)
class Asked:
    """What was asked for; each field is the option of its name."""

    address: str
    scorers: Sequence[str]
    images: Sequence[str]
    prompt: str
    rate: RateWords
    burst: BurstWords | None
    even: bool
    trace: Path | None
    in_flight: tuple[int, ...]
    seconds: float
    warmup_s: float
    repeats: int
    slo: list[Objective]
    bad: float
    cancel: tuple[float, float]
    deadline: tuple[float, float]
    repeated: float
    samples: int
    stream: bool
    timeout_s: float
    processes: int
    connections: int
    metrics: Sequence[str]
    json: Path | None
    html: Path | None
    seed: int
    said: dict[str, Any]
    """The options as a result holds them."""

    @property
    def needs_capacity(self) -> bool:
        """Whether rates depend on what the server can do."""
        return self.rate.is_auto and not self.trace and not self.in_flight

    def legs(self, recorded: Recorded | None) -> list[Leg]:
        """Return the legs; none where they depend on what the server can do."""
        if recorded:
            return [recorded_leg(recorded, self.trace.name if self.trace else "trace")]
        if self.in_flight:
            return closed_legs(self.in_flight, self.warmup_s, self.seconds)
        return rate_legs(self.rate, self.burst, self.warmup_s, self.seconds, is_even=self.even)

    def repeats_or(self, default: int) -> int:
        """Return how often each leg is run."""
        return self.repeats or default


def check(asked: Asked) -> None:
    """Refuse options that don't go together.

    Raises:
        click.UsageError: they don't.
    """
    ways = {"--rate": not asked.rate.is_auto, "--trace": bool(asked.trace), "--in-flight": bool(asked.in_flight)}
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise click.UsageError(f"want one of --rate, --trace and --in-flight, got {' and '.join(given)}")
    if asked.burst and not asked.rate.steps:
        raise click.UsageError("--burst wants a --rate between the bursts")
    if asked.bad + asked.deadline[0] + asked.cancel[0] > 1:
        raise click.UsageError("--bad, --deadline and --cancel are more than 100% together")
    if asked.deadline[0] == 1:
        raise click.UsageError("--deadline is for a part of the requests; --timeout is the deadline of all others")
    if asked.slo and asked.bad + asked.deadline[0] + asked.cancel[0] == 1:
        raise click.UsageError("--slo judges good requests, and there would be none")
    for name, seconds in (("--for", asked.seconds), ("--timeout", asked.timeout_s)):
        if not seconds:
            raise click.UsageError(f"{name}: want more than 0 seconds")
    for path in filter(None, (asked.json, asked.html)):
        if not path.parent.is_dir():
            raise click.UsageError(f"no folder {path.parent}")


def typed(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that change what is measured, as JSON holds them."""
    burst, trace = given["burst"], given["trace"]
    return {
        "scorers": list(given["scorers"]),
        "images": list(given["images"]),
        "rate": "auto" if given["rate"].is_auto else list(given["rate"].steps or given["rate"].ramp),
        "burst": list(vars(burst).values()) if burst else None,
        "trace": str(trace) if trace else None,
        "in_flight": list(given["in_flight"]),
        "slo": ",".join(map(str, given["slo"])),
        "cancel": list(given["cancel"]),
        "deadline": list(given["deadline"]),
        **{name: given[name] for name in PLAIN},
    }
