"""Plots as SVG text: lines over linear or logarithmic axes, and stacked bars; the page's style has the colours."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 44
BAR, GAP, LABELS = 20, 10, 150
COLOURS = 8
"""Classes c0 to c7 (filled) and s0 to s7 (drawn) that the page's style must have."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A named line; what is not finite is left out, and breaks it."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Axis:
    """An axis: what it says, and whether it is logarithmic (values above 0 alone)."""

    label: str
    is_log: bool = False
    ticks: Sequence[tuple[float, str]] = ()
    """Where and what to write; none: chosen by the values."""


class _Scale:
    def __init__(self, axis: Axis, values: Sequence[float], first_px: float, last_px: float) -> None:
        self.axis = axis
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if axis.is_log:
            self._low, self._high = math.log10(low), math.log10(high)
        else:
            self._low, self._high = min(0.0, low), high
        if self._high - self._low < 1e-9:
            self._high = self._low + 1.0
        self._first_px, self._last_px = first_px, last_px

    def px(self, value: float) -> float:
        place = (math.log10(value) if self.axis.is_log else value) - self._low
        return self._first_px + place / (self._high - self._low) * (self._last_px - self._first_px)

    def ticks(self) -> list[tuple[float, str]]:
        if self.axis.ticks:
            return list(self.axis.ticks)
        if self.axis.is_log:
            decades = range(math.floor(self._low), math.ceil(self._high) + 1)
            steps = (1, 2, 5) if self._high - self._low < 3 else (1,)
            values = [step * 10.0**decade for decade in decades for step in steps]
            return [(value, _short(value)) for value in values if self._low <= math.log10(value) <= self._high + 1e-9]
        step = _nice((self._high - self._low) / 5)
        count = math.floor(self._high / step + 1e-9)
        return [(number * step, _short(number * step)) for number in range(count + 1)]


def line_chart(title: str, lines: Sequence[Line], x_axis: Axis, y_axis: Axis, marks: Sequence[float] = ()) -> str:
    """Return a plot of lines; empty where there is nothing to draw.

    Args:
        marks: places on the x axis with a thin line each.
    """
    drawn = [(place, line.name, _pieces(line, x_axis, y_axis)) for place, line in enumerate(lines)]
    points = [point for _, _, pieces in drawn for piece in pieces for point in piece]
    if not points:
        return ""
    x = _Scale(x_axis, [point[0] for point in points], LEFT, WIDTH - RIGHT)
    y = _Scale(y_axis, [point[1] for point in points], HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, y), *(_mark(x, mark) for mark in marks if _is_inside(x, mark))]
    parts += [_piece(x, y, place, name, piece) for place, name, pieces in drawn for piece in pieces]
    parts.append(_legend([(place, name) for place, name, pieces in drawn if pieces]))
    return _svg(title, "".join(parts), HEIGHT)


def stacked_bars(title: str, rows: Sequence[tuple[str, Mapping[str, float]]], unit: str) -> str:
    """Return a horizontal bar for each row, its parts one after the other; empty where there is nothing to draw."""
    names = list(dict.fromkeys(name for _, parts in rows for name, value in parts.items() if value > 0))
    longest = max((sum(parts.values()) for _, parts in rows), default=0.0)
    if not names or longest <= 0:
        return ""
    height = TOP + len(rows) * (BAR + GAP) + BOTTOM
    scale = _Scale(Axis(unit), [0.0, longest], LABELS, WIDTH - RIGHT)
    drawn = []
    for tick, text in scale.ticks():
        at = scale.px(tick)
        drawn.append(f'<path class="grid" d="M{at:.1f} {TOP}V{height - BOTTOM}"/>')
        drawn.append(_text(at, height - BOTTOM + 16, text, "middle"))
    drawn.append(_text((LABELS + WIDTH - RIGHT) / 2, height - 8, unit, "middle"))
    for number, (label, parts) in enumerate(rows):
        top, reached = TOP + number * (BAR + GAP) + GAP / 2, 0.0
        drawn.append(_text(LABELS - 8, top + BAR * 0.72, label, "end"))
        for name, value in parts.items():
            if value <= 0:
                continue
            begin, end = scale.px(reached), scale.px(reached + value)
            told = html.escape(f"{label}, {name}: {_short(value)} {unit}")
            drawn.append(
                f'<rect class="c{names.index(name) % COLOURS}" x="{begin:.1f}" y="{top:.1f}" '
                f'width="{max(0.5, end - begin):.1f}" height="{BAR}"><title>{told}</title></rect>'
            )
            reached += value
    drawn.append(_legend(list(enumerate(names))))
    return _svg(title, "".join(drawn), height)


def _pieces(line: Line, x_axis: Axis, y_axis: Axis) -> list[list[Point]]:
    pieces, piece = list[list[Point]](), list[Point]()
    for x, y in line.points:
        if math.isfinite(x) and math.isfinite(y) and (x > 0 or not x_axis.is_log) and (y > 0 or not y_axis.is_log):
            piece.append((x, y))
        elif piece:
            pieces, piece = [*pieces, piece], []
    return [*pieces, piece] if piece else pieces


def _piece(x: _Scale, y: _Scale, place: int, name: str, points: Sequence[Point]) -> str:
    path = "L".join(f"{x.px(one):.1f} {y.px(two):.1f}" for one, two in points)
    drawn = f'<path class="line s{place % COLOURS}" d="M{path}"/>'
    if len(points) > 60:
        return drawn
    for one, two in points:
        told = html.escape(f"{name}: {_short(two)} at {_short(one)}")
        where = f'cx="{x.px(one):.1f}" cy="{y.px(two):.1f}"'
        drawn += f'<circle class="c{place % COLOURS}" {where} r="3"><title>{told}</title></circle>'
    return drawn


def _axes(x: _Scale, y: _Scale) -> str:
    drawn = []
    for tick, text in y.ticks():
        at = y.px(tick)
        drawn.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        drawn.append(_text(LEFT - 6, at + 4, text, "end"))
    for tick, text in x.ticks():
        if _is_inside(x, tick):
            drawn.append(_text(x.px(tick), HEIGHT - BOTTOM + 16, text, "middle"))
    drawn.append(f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>')
    drawn.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x.axis.label, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 14 {middle})"'
    drawn.append(f'<text x="14" y="{middle}" text-anchor="middle" {turned}>{html.escape(y.axis.label)}</text>')
    return "".join(drawn)


def _is_inside(x: _Scale, value: float) -> bool:
    return (value > 0 or not x.axis.is_log) and LEFT - 1 <= x.px(value) <= WIDTH - RIGHT + 1


def _mark(x: _Scale, value: float) -> str:
    return f'<path class="mark" d="M{x.px(value):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'


def _legend(entries: Sequence[tuple[int, str]]) -> str:
    drawn, at = [], float(LEFT)
    for place, name in entries:
        drawn.append(f'<rect class="c{place % COLOURS}" x="{at:.0f}" y="8" width="12" height="12"/>')
        drawn.append(_text(at + 17, 18, name, "start"))
        at += 34 + 7.2 * len(name)
    return "".join(drawn)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(title: str, inside: str, height: float) -> str:
    said = html.escape(title)
    return (
        f'<figure><figcaption>{said}</figcaption><svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {height:.0f}"><title>{said}</title>{inside}</svg></figure>'
    )


def _nice(step: float) -> float:
    decade = 10.0 ** math.floor(math.log10(step))
    return decade * next(factor for factor in (1, 2, 5, 10) if factor * decade >= step * 0.999)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
