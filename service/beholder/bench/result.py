"""A whole run: rounds of the loop and of the service in turn, as JSON and in the lines of a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from beholder.bench.loop import STAGES, Ran
from beholder.bench.ratio import Spread, explain, limit_of, ratio_of, service_of
from beholder.bench.served import Served, Way
from beholder.load.doubts import all_doubts
from beholder.load.result import finite
from beholder.load.summary import number

FORMAT = 1
KEPT = ("answered", "throughput", "latency_ms", "client_cpu", "server")
"""What of a leg is written to files."""
HEAD = ("", "per s", "of limit", "client aside", "by CPU", "p50 ms", "p99 ms", "CPU ms", "client's ms")


@dataclass
class Result:
    """What came of a run; nothing of the loop, or of the service, where it was left out.

    Attributes:
        config: as it was asked for.
        versions: of what measured, and of the server.
        cores: that the process may use.
        device: kind of device that the loop ran on.
        batches: batch size -> images per second, as found before the rounds.
        batch_rows: the batch size of the rounds.
        ran: a run of the loop for each round.
        served: a leg of each way for each round.
    """

    config: dict[str, Any]
    versions: dict[str, Any]
    cores: int
    device: str = ""
    batches: dict[int, float] = field(default_factory=dict)
    batch_rows: int = 0
    ran: list[Ran] = field(default_factory=list)
    served: dict[Way, list[Served]] = field(default_factory=dict)

    def table(self) -> list[tuple[str, ...]]:
        """Return the rows of a table under `HEAD`."""
        rows = list[tuple[str, ...]]()
        if self.ran:
            limit = limit_of(self.ran)
            first = f"limit, batch {self.batch_rows}", f"{limit.per_s:.1f}", "1", "1", "1", "", ""
            rows.append((*first, f"{limit.cpu_ms:.2f}", ""))
        for way, served in self.served.items():
            service = service_of(way, served)
            ratios = ["", "", ""]
            if self.ran:
                ratio = ratio_of(self.ran, served, self.cores)
                ratios = [_spread(ratio.rate), _spread(ratio.aside), _spread(ratio.cpu)]
            times = number(service.p50_ms), number(service.p99_ms)
            cpu = f"{service.server_ms:.2f}", f"{service.client_ms:.2f}"
            rows.append((way.name, f"{service.per_s:.1f}", *ratios, *times, *cpu))
        return rows

    def sentences(self) -> list[str]:
        """Say what a table does not: what the loop spends, and where the difference goes."""
        if not self.ran:
            return []
        limit = limit_of(self.ran)
        parts = [f"{stage} {limit.stages_ms[stage]:.2f}" for stage in STAGES if limit.stages_ms[stage] >= 0.005]
        said = [f"the loop's CPU ms for an image: {', '.join(parts)}"]
        for way, served in self.served.items():
            ratio = ratio_of(self.ran, served, self.cores)
            said.append(explain(service_of(way, served), limit, ratio, self.cores))
        return said

    def doubts(self) -> list[str]:
        """Return why the figures may not say what they seem to."""
        return all_doubts([one.leg for served in self.served.values() for one in served])

    def to_json(self) -> str:
        """Return the file's text."""
        whole: dict[str, Any] = {"beholder_bench": FORMAT, "config": self.config, "versions": self.versions}
        whole |= {"cores": self.cores, "limit": self._limit(), "service": self._services(), "doubts": self.doubts()}
        return json.dumps(finite(whole | {"said": self.sentences()}), indent=1, allow_nan=False) + "\n"

    def _limit(self) -> dict[str, Any] | None:
        if not self.ran:
            return None
        rounds = [asdict(one) | {"per_s": one.rate, "cpu_ms": one.cpu_ms} for one in self.ran]
        batches = {str(rows): rate for rows, rate in self.batches.items()}
        more = {"device": self.device, "batches": batches, "batch_rows": self.batch_rows}
        return asdict(limit_of(self.ran)) | more | {"rounds": rounds}

    def _services(self) -> list[dict[str, Any]]:
        return [self._service(way, served) for way, served in self.served.items()]

    def _service(self, way: Way, served: Sequence[Served]) -> dict[str, Any]:
        service = service_of(way, served)
        ratio = asdict(ratio_of(self.ran, served, self.cores)) if self.ran else None
        rounds = [
            {"per_s": one.rate, "server_ms": one.server_ms, "client_ms": one.client_ms}
            | {key: one.leg[key] for key in KEPT}
            for one in served
        ]
        return asdict(service) | {"work_ms": service.work_ms, "ratio": ratio, "rounds": rounds}


def _spread(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
