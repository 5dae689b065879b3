"""The table of a run: what pays, what it costs, and what is the bottleneck by arithmetic from the parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.gpu import ways
from bench.gpu.options import BUDGET, IN_FLOAT16, OPTIONS, fastest, worst_apart
from bench.gpu.rows import Report, Row
from bench.gpu.subjects import Subject

DECODE, COPY, SESSION = "decode and prepare", "copy to the device", "session"
LOOP, SERVICE = "the loop without a service", "the service"
WIRE = "wire and queue alone (known to the cache)"
FRONTS = ", with fronts"
ALONE = f"{DECODE}, threads", COPY, f"{SESSION}, {ways.KEPT}", WIRE
"""The parts of a service in one process."""
WITH_FRONTS = f"{DECODE}, processes", COPY, f"{SESSION}, {ways.KEPT}", WIRE + FRONTS
"""The parts of one with fronts."""
NO_GPU = "**No GPU: these are figures of the CPU, which show that the bench runs, and nothing of a GPU.**"


def page(report: Report, subjects: Sequence[Subject], about: Mapping[str, Any], is_gpu: bool) -> str:
    """Return the page."""
    parts = ["# On a GPU" if is_gpu else "# The bench of GPUs, on a CPU", *([] if is_gpu else [NO_GPU])]
    parts.append("Made by `make gpu-bench`. " + "; ".join(f"{name}: {its}" for name, its in about.items()) + ".")
    for subject in subjects:
        parts += _subject(report, subject)
    parts += ["## Copies", _copies(report), "## The service", _service(report)]
    parts += ["## Decoding on the device", _decoders(report), "## What could not be measured", _errors(report)]
    return "\n\n".join(parts) + "\n"


def _subject(report: Report, subject: Subject) -> list[str]:
    name = subject.name
    ways_found = report.of("ways", name)
    sizes = sorted({row.rows for row in ways_found if row.rows})
    names = [*ways.WAYS, ways.OVERLAPPED, ways.GRAPH]
    parts = [
        f"## {name}",
        f"Images per second by batch size; {subject.bytes_per_row / 1e3:.0f} kB of pixels for each.",
        _matrix("way", names, sizes, ways_found, lambda row: f"{row.per_s:.0f}"),
        "Milliseconds for a batch, median:",
        _matrix("way", names, sizes, ways_found, lambda row: f"{row.ms:.2f}"),
    ]
    found = report.of("options", name)
    sizes = sorted({row.rows for row in found if row.rows})
    parts += [
        f"Options, in images per second / milliseconds of the first run; apart: {subject.compared}, at most.",
        _options(report, name, sizes, found),
        "Batches of two sizes in turn, and two threads:",
        _table(
            ("", "per s", "times the steady ms", "wrong results"),
            [
                (row.what, f"{row.per_s:.0f}", _number(row, "times"), _number(row, "wrong"))
                for row in [*report.of("turns", name), *report.of("threads", name)]
            ],
        ),
        "The share of the time in which a run keeps all other threads of Python from running, by batch:",
        _table(
            ("way", "batch", "share"),
            [(row.what, str(row.rows), _number(row, "share")) for row in report.of("held", name)],
        ),
        _bottleneck(report, subject),
    ]
    return parts


def _options(report: Report, name: str, sizes: Sequence[int], found: Sequence[Row]) -> str:
    rows = []
    for what in [*OPTIONS, *IN_FLOAT16]:
        by_size = {row.rows: row for row in found if row.what == what}
        cells = [
            f"{by_size[size].per_s:.0f} / {by_size[size].first_ms:.0f}" if size in by_size else "" for size in sizes
        ]
        apart = worst_apart(report, name, what)
        verdict = "" if apart is None else f"{apart:.2g}" + ("" if apart <= BUDGET else f", over {BUDGET:g}")
        rows.append((what, *cells, verdict))
    return _table(("option", *map(str, sizes), "apart"), rows)


def rates(report: Report, subject: Subject) -> dict[str, float]:
    """Return the images per second of each part that an image goes through, as far as they were measured."""
    name, found = subject.name, dict[str, float]()
    for what in (f"{DECODE}, threads", f"{DECODE}, processes"):
        if best := fastest([row for row in report.of("host", name) if row.what.startswith(what)]):
            found[what] = best.per_s
    for what in ("to the device", "to the device, pinned"):
        for row in report.of("copies", what=what):
            speed = row.more["GB_per_s"]
            found[f"copy {what} ({speed:.1f} GB/s)"] = speed * 1e9 / subject.bytes_per_row
    for what in (ways.RESIDENT, ways.KEPT):
        if best := fastest(report.of("ways", name, what)):
            found[f"{SESSION}, {what} (batch {best.rows})"] = best.per_s
    readers = [name, *(scorer.spec.name for scorer in subject.scorers)]
    served = [row for reader in dict.fromkeys(readers) for row in report.of("service", reader) if row.per_s]
    if best := fastest([row for row in served if "the loop" in row.what]):
        found[LOOP] = best.per_s
    for title, is_fronts in (("", False), (FRONTS, True)):
        asked = [row for row in served if "the loop" not in row.what and ("fronts" in row.what) == is_fronts]
        for what, is_known in ((WIRE, True), (SERVICE, False)):
            if best := fastest([row for row in asked if ("known to the cache" in row.what) == is_known]):
                found[what + title] = best.per_s
    return found


def _bottleneck(report: Report, subject: Subject) -> str:
    found = rates(report, subject)
    lines = [_table(("part", "images per s"), [(what, f"{rate:.0f}") for what, rate in found.items()])]
    raw = fastest(report.of("ways", subject.name, ways.KEPT))
    for title, names in (("", ALONE), (FRONTS, WITH_FRONTS)):
        parts = sorted((rate, what) for what, rate in found.items() if any(_is(what, name) for name in names))
        service = found.get(SERVICE + title)
        if not service or not parts or not raw:
            continue
        (least, first), *others = parts
        after = f"; the next, {others[0][1]}, does {others[0][0] / least:.1f} times as many" if others else ""
        loop = found.get(LOOP, float("nan"))
        lines.append(
            f"{SERVICE.capitalize()}{title} does {service:.0f} images per second: {service / raw.per_s:.2f} of the raw "
            f"session, which decodes nothing, and {service / loop:.2f} of the loop, which does. "
            f"By its parts the bottleneck is {first}: {least:.0f} images per second{after}."
        )
    return "\n\n".join(lines)


def _is(what: str, name: str) -> bool:
    """Tell a part by its name, which may go on in brackets."""
    return what == name or what.startswith(f"{name} (")


def _copies(report: Report) -> str:
    return _table(("", "GB/s"), [(row.what, f"{row.more['GB_per_s']:.1f}") for row in report.of("copies") if row.more])


def _service(report: Report) -> str:
    head = ("scorer", "", "images per s", "p50 ms", "p99 ms", "server's cores", "its loop's", "callers'")
    rows = []
    for row in report.of("service"):
        busy = [_number(row, cores) for cores in ("server_cores", "loop_cores", "client_cores")]
        rows.append((row.subject, row.what, f"{row.per_s:.0f}", f"{row.ms:.1f}", f"{row.p99_ms:.1f}", *busy))
    return _table(head, [cells for cells in rows if cells[2] != "0"])


def _decoders(report: Report) -> str:
    head = ("decoder", "images per s", "mean difference of a pixel", "largest", "largest of a score")
    return _table(
        head,
        [
            (row.what, f"{row.per_s:.0f}", _number(row, "mean_pixel"), _number(row, "max_pixel"), _number(row, "score"))
            for row in report.of("decoders")
        ],
    )


def _errors(report: Report) -> str:
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for row in report.rows:
        if row.error:
            grouped.setdefault((row.subject, row.what, row.error), []).append(str(row.rows or ""))
    return _table(
        ("subject", "what", "batches", "why"),
        [
            (subject, what, " ".join(sizes), error.replace("|", "\\|"))
            for (subject, what, error), sizes in grouped.items()
        ],
    )


def _matrix(head: str, names: Sequence[str], sizes: Sequence[int], found: Sequence[Row], cell: Any) -> str:
    by_place = {(row.what, row.rows): row for row in found}
    rows = [
        (name, *(cell(by_place[name, size]) if (name, size) in by_place else "" for size in sizes)) for name in names
    ]
    return _table((head, *map(str, sizes)), rows)


def _number(row: Row, name: str) -> str:
    return f"{row.more[name]:.3g}" if name in row.more else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "Nothing."
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)
