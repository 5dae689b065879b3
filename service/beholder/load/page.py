"""A result as one HTML page that needs nothing else: no script, no font, no address; readable in light and dark."""

import html
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from beholder.load.histogram import Histogram
from beholder.load.result import Result, of_json
from beholder.load.summary import HEAD, headlines, outcome_rows, rows, server_rows
from beholder.load.svg import Axis, Line, line_chart, stacked_bars

LIGHT = ("#0072b2", "#d55e00", "#009e73", "#a05195", "#8a6d00", "#3ba3dd", "#555555", "#c2185b")
DARK = ("#5ab4f0", "#ff9d5c", "#3ddc97", "#d79be8", "#e6c84f", "#9fd8ff", "#b0b0b0", "#ff7aa8")
DRAWN = ("p50", "p90", "p99", "p99.9")
NINES = ((2.0, "50 %"), (10.0, "90 %"), (100.0, "99 %"), (1e3, "99.9 %"), (1e4, "99.99 %"))
CURVES = 6
"""Legs whose percentiles are drawn one by one."""
MS = Axis("latency, ms", is_log=True)
NO_TEXT = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no page may hold, and a server's message might."""
Leg = dict[str, Any]


def page_of(result: Result) -> str:
    """Return the page, which is well-formed XML too."""
    title = f"Load on {result.config.get('target', 'a server')}"
    said = "".join(f"<p><strong>{html.escape(text)}</strong></p>" for text in headlines(result))
    doubts = "".join(f"<li>{html.escape(doubt)}</li>" for doubt in result.doubts)
    parts = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(str(result.config.get('started', '')))}</p>{said}",
        f'<ul class="doubts">{doubts}</ul>' if doubts else "",
        _table(HEAD, rows(result.legs)),
        "<p>Latency counts from the moment at which a request was meant to be sent; lost requests took for ever.</p>",
        *_over_rate(result.legs),
        *_over_in_flight(result.legs),
        _percentiles(result.legs),
        *_over_time(result.legs),
        *_of_server(result.legs),
        _section("What was not answered", ("leg", "kind", "code", "how many", "such as"), outcome_rows(result.legs)),
        _section(
            "What the server refused, dropped and had in its cache",
            ("leg", "what", "which", "how many"),
            server_rows(result.legs),
        ),
        _details("What was asked", result.config),
        _details("Versions", result.versions),
    ]
    head = f'<meta charset="utf-8"/><title>{html.escape(title)}</title><style>{_style()}</style>'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
    body = "\n".join(filter(None, parts))
    page = f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main>{body}</main></body></html>\n'
    return NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", page)


def _over_rate(legs: Sequence[Leg]) -> list[str]:
    its = sorted((leg for leg in legs if leg["rate"]), key=lambda leg: float(leg["rate"]))
    if len({leg["rate"] for leg in its}) < 2:
        return []
    axis = Axis("requests sent per second")
    lines = [Line(name, [(leg["rate"], of_json(leg["latency_ms"][name])) for leg in its]) for name in DRAWN]
    throughput = [
        Line("answered", [(leg["rate"], leg["throughput"]) for leg in its]),
        Line("good requests sent", [(leg["rate"], leg["good"] / leg["seconds"]) for leg in its]),
        Line("lost", [(leg["rate"], leg["lost"] / leg["seconds"]) for leg in its]),
    ]
    return [
        line_chart("Latency over rate", lines, axis, MS),
        line_chart("Throughput over rate", throughput, axis, Axis("per second")),
    ]


def _over_in_flight(legs: Sequence[Leg]) -> list[str]:
    its = sorted((leg for leg in legs if leg["in_flight"]), key=lambda leg: int(leg["in_flight"]))
    if len({leg["in_flight"] for leg in its}) < 2:
        return []
    axis = Axis("requests in flight")
    lines = [Line(name, [(leg["in_flight"], of_json(leg["latency_ms"][name])) for leg in its]) for name in DRAWN]
    throughput = [Line("answered", [(leg["in_flight"], leg["throughput"]) for leg in its])]
    return [
        line_chart("Latency over requests in flight", lines, axis, MS),
        line_chart("Throughput over requests in flight", throughput, axis, Axis("per second")),
    ]


def _percentiles(legs: Sequence[Leg]) -> str:
    some = legs if len(legs) <= CURVES else [legs[len(legs) * place // CURVES] for place in range(CURVES)]
    lines = [Line(leg["name"], _curve(Histogram.from_json(leg["latency"]), leg["lost"])) for leg in some]
    return line_chart("Latency by percentile", lines, Axis("share of requests", is_log=True, ticks=NINES), MS)


def _curve(latency: Histogram, lost: int) -> list[tuple[float, float]]:
    """Return (1 / share that took longer, ms) as far out as ten requests reach."""
    total = latency.count + lost
    last = math.log10(max(2.0, total / 10)) if total else 0.0
    places = [10 ** (last * step / 40) for step in range(41)]
    return [(place, latency.percentile_s(100 * (1 - 1 / place), lost) * 1e3) for place in places if place > 1]


def _over_time(legs: Sequence[Leg]) -> list[str]:
    counts: dict[str, list[tuple[float, float]]] = {name: [] for name in ("sent", "answered", "failed", "cancelled")}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("p50", "p99")}
    marks, begin = list[float](), 0.0
    for leg in legs:
        for second in _shown(leg):
            at = begin + second["second"]
            for name, points in (counts | times).items():
                points.append((at, of_json(second[name])))
        begin += len(leg["seconds_seen"])
        for points in (counts | times).values():
            points.append((begin, math.nan))  # the line breaks between legs
        marks.append(begin - 0.5)
    axis = Axis("seconds")
    lines = [Line(name, points) for name, points in counts.items() if any(y > 0 for _, y in points)]
    answered = [Line(name, points) for name, points in times.items()]
    return [
        line_chart("Requests over time", lines, axis, Axis("per second"), marks[:-1]),
        line_chart("Latency over time, of what was answered in each second", answered, axis, MS, marks[:-1]),
    ]


def _shown(leg: Leg) -> list[Leg]:
    """Return the seconds of a leg without the last one, where only what was left over was answered."""
    seconds = list[Leg](leg["seconds_seen"])
    return seconds[:-1] if seconds and seconds[-1]["second"] >= leg["warmup_s"] + leg["seconds"] else seconds


def _of_server(legs: Sequence[Leg]) -> list[str]:
    told = [(leg["name"], leg["server"]) for leg in legs if leg["server"]]
    stages = [(name, _stages(server)) for name, server in told]
    batches = [(name, _batch_sizes(server)) for name, server in told]
    waiting, in_flight, begin = list[tuple[float, float]](), list[tuple[float, float]](), 0.0
    for leg in legs:
        for second, queued, flying in (leg["server"] or {}).get("over_time", ()):
            waiting.append((begin + second, queued))
            in_flight.append((begin + second, flying))
        begin += len(leg["seconds_seen"])
    return [
        stacked_bars("Where the time goes in the server: mean of each passage through a stage", stages, "ms"),
        stacked_bars("Batch sizes: share of batches by rows", batches, "%"),
        line_chart(
            "Rows in the server",
            [Line("waiting for the device", waiting), Line("in flight", in_flight)],
            Axis("seconds"),
            Axis("rows"),
        ),
    ]


def _stages(server: dict[str, Any]) -> dict[str, float]:
    """Return stage -> mean milliseconds over all graphs."""
    sums: dict[str, tuple[float, float]] = {}
    for stage in server["stages"]:
        total, count = sums.get(stage["stage"], (0.0, 0.0))
        sums[stage["stage"]] = total + stage["mean_ms"] * stage["count"], count + stage["count"]
    order = ("decode", "prepare", "queue", "run", "head", "fit")
    known = [stage for stage in order if stage in sums] + sorted(set(sums) - set(order))
    return {stage: sums[stage][0] / sums[stage][1] for stage in known}


def _batch_sizes(server: dict[str, Any]) -> dict[str, float]:
    """Return "up to so many rows" -> percent of batches, over all graphs."""
    at_most: dict[str, float] = {}
    for batch in server["batches"]:
        below = 0.0
        for rows_, count in batch["at_most"].items():
            name = "more" if rows_ == "+Inf" else f"{float(rows_):g}"
            at_most[name] = at_most.get(name, 0.0) + count - below
            below = count
    total = sum(at_most.values())
    return {name: 100 * count / total for name, count in at_most.items()} if total else {}


def _section(title: str, head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    return f"<h2>{html.escape(title)}</h2>{_table(head, cells)}" if cells else ""


def _table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    def line(tag: str, texts: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts) + "</tr>"

    body = "".join(line("td", row) for row in cells)
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


def _details(title: str, what: dict[str, Any]) -> str:
    text = html.escape(json.dumps(what, indent=2, ensure_ascii=False))
    return f"<details><summary>{html.escape(title)}</summary><pre>{text}</pre></details>"


def _style() -> str:
    def colours(palette: Sequence[str]) -> str:
        return "".join(f"--c{place}:{colour};" for place, colour in enumerate(palette))

    classes = "".join(
        f".c{place}{{fill:var(--c{place})}}.s{place}{{stroke:var(--c{place})}}" for place in range(len(LIGHT))
    )
    light = f"--paper:#fff;--ink:#1c1c1c;--soft:#666;--rule:#ddd;--doubt:#fff4d6;{colours(LIGHT)}"
    dark = f"--paper:#16181c;--ink:#e8e8e8;--soft:#a0a0a0;--rule:#3a3d44;--doubt:#3d3315;{colours(DARK)}"
    return (
        f":root{{color-scheme:light dark;{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        "body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;margin:0}"
        "main{max-width:60rem;margin:auto;padding:1rem}h1{font-size:1.5rem}h2,figcaption{font-size:1.1rem;"
        "font-weight:600;margin:1.5rem 0 .3rem}figure{margin:0}svg{width:100%;height:auto}"
        "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}.line{fill:none;stroke-width:2}"
        ".grid{stroke:var(--rule);fill:none}.axis{stroke:var(--soft);fill:none}"
        ".mark{stroke:var(--soft);fill:none;stroke-dasharray:2 4}"
        ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
        "th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--rule)}"
        ".doubts{background:var(--doubt);padding:.6rem 1rem .6rem 2rem}pre{overflow-x:auto}" + classes
    )
