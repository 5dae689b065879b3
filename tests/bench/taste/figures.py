"""Draws learning curves and reliability as SVG text, read at a glance on a white page or a dark one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

from bench.taste.found import Found
from bench.taste.ways import AMONG, ANOTHER, BOTH, LOGISTIC, NEAREST, POPULATION

WIDTH, HEIGHT, GAP, TOP, LEFT = 250, 210, 52, 34, 44
LOWEST_AUC = 0.4
COLOURS = {
    BOTH: "#0b6e4f",
    AMONG: "#56b4e9",
    POPULATION: "#d55e00",
    LOGISTIC: "#7b3fa0",
    NEAREST: "#8a8a8a",
    ANOTHER: "#e6a700",
}
"""Told apart by the colour-blind too; and by dashes."""
DASHES = {BOTH: "", AMONG: "", POPULATION: "7 3", LOGISTIC: "3 2", NEAREST: "1 3", ANOTHER: "9 3 2 3"}
RELIABLE = {"1": "#56b4e9", "3": "#e6a700", "8": "#0b6e4f"}
FEWEST_IN_TENTH = 30

Point = tuple[float, float]


@dataclass
class Panel:
    """One drawing among several, by its own measures.

    Attributes:
        place: to the right of the others, from 0.
        x, y: from a number to its share of the width and of the height.
    """

    title: str
    place: int
    x: Callable[[float], float]
    y: Callable[[float], float]
    parts: list[str] = field(default_factory=list)

    def at(self, point: Point) -> str:
        """Return a point in pixels."""
        left = LEFT + self.place * (WIDTH + GAP)
        return f"{left + WIDTH * self.x(point[0]):.1f},{TOP + HEIGHT * (1 - self.y(point[1])):.1f}"

    def line(self, points: Sequence[Point], colour: str, dash: str = "", width: float = 2) -> None:
        """Draw a line."""
        self.parts.append(
            f'<polyline points="{" ".join(map(self.at, points))}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}"' + (f' stroke-dasharray="{dash}"' if dash else "") + "/>"
        )

    def band(self, low: Sequence[Point], high: Sequence[Point], colour: str) -> None:
        """Fill what lies between two lines."""
        points = " ".join(map(self.at, [*low, *reversed(high)]))
        self.parts.append(f'<polygon points="{points}" fill="{colour}" fill-opacity="0.15"/>')

    def dots(self, points: Iterable[Point], colour: str) -> None:
        """Draw dots."""
        for point in points:
            x, y = self.at(point).split(",")
            self.parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>')

    def axes(self, ticks: tuple[Sequence[float], Sequence[float]], names: tuple[str, str]) -> None:
        """Draw title, frame, ticks and what the axes are."""
        left, bottom = LEFT + self.place * (WIDTH + GAP), TOP + HEIGHT
        self.parts.append(f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>')
        self.text(left + WIDTH / 2, TOP - 10, self.title, "middle", "font-weight='bold'")
        self.text(left + WIDTH / 2, bottom + 32, names[0], "middle")
        self.text(left, TOP - 10, names[1], "start")
        for value in ticks[0]:
            x, _ = self.at((value, 0)).split(",")
            self.text(float(x), bottom + 16, f"{value:g}", "middle")
        for value in ticks[1]:
            _, y = self.at((ticks[0][0], value)).split(",")
            self.text(left - 6, float(y) + 4, f"{value:g}", "end")
            self.parts.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>')

    def text(self, x: float, y: float, said: str, anchor: str, more: str = "") -> None:
        """Write a word."""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{said}</text>')


def curves(sets: Sequence[Found]) -> str:
    """Return the learning curves, a panel for each set; the band is the 95 % interval of likes and dislikes."""
    panels = []
    for place, found in enumerate(sets):
        panel = Panel(found.name, place, lambda n: log(n) / log(20), lambda auc: (auc - LOWEST_AUC) / (1 - LOWEST_AUC))
        panel.axes(((1, 2, 3, 5, 8, 20), (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)), ("n likes and n dislikes", "AUC"))
        for way, colour in COLOURS.items():
            means = {float(n): found.mean(way, n) for n in found.counts(way)}
            known = {n: one for n, one in means.items() if one.people}
            if way == BOTH and all(one.is_known for one in known.values()):
                band = [[(n, bound) for n, bound in zip(known, side, strict=True)] for side in _bounds(known.values())]
                panel.band(band[0], band[1], colour)
            if known:
                points = [(n, one.mean) for n, one in known.items()]
                panel.line(points, colour, DASHES[way], 3 if way == BOTH else 2)
        panels.append(panel)
    return _svg(panels, [(way, colour, DASHES[way]) for way, colour in COLOURS.items()])


def _bounds(estimates: Iterable[Any]) -> tuple[list[float], list[float]]:
    known = list(estimates)
    return [one.low for one in known], [one.high for one in known]


def reliability(sets: Sequence[Found]) -> str:
    """Return how often pictures were liked by what P(like) said, told by likes and dislikes; a panel for each set."""
    panels = []
    for place, found in enumerate(sets):
        panel = Panel(found.name, place, lambda said: said, lambda true: true)
        panel.axes(((0, 0.25, 0.5, 0.75, 1), (0, 0.25, 0.5, 0.75, 1)), ("P(like) as said", "share liked"))
        panel.line([(0, 0), (1, 1)], "#999", "4 4", 1)
        for count, colour in RELIABLE.items():
            one = found.kept["calibration"][BOTH].get(count)
            full = [tenth for tenth in one["tenths"] if tenth[0] >= FEWEST_IN_TENTH] if one else []
            points = [(said / many, liked / many) for many, said, liked in full]
            if points:
                panel.line(points, colour)
                panel.dots(points, colour)
        panels.append(panel)
    return _svg(panels, [(f"n = {count}", colour, "") for count, colour in RELIABLE.items()])


def _svg(panels: Sequence[Panel], legend: Sequence[tuple[str, str, str]]) -> str:
    width, height = LEFT + len(panels) * (WIDTH + GAP) - GAP + 16, TOP + HEIGHT + 92
    each = (width - LEFT) / 3
    for place, (said, colour, dash) in enumerate(legend):
        x, y = LEFT + place % 3 * each, TOP + HEIGHT + 58 + place // 3 * 20
        style = f'stroke="{colour}" stroke-width="3"' + (f' stroke-dasharray="{dash}"' if dash else "")
        panels[0].parts.append(f'<line x1="{x:.0f}" x2="{x + 34:.0f}" y1="{y}" y2="{y}" {style}/>')
        panels[0].text(x + 42, y + 4, said, "start")
    body = "\n".join(part for panel in panels for part in panel.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n'
    )
