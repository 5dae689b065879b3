"""Draws goodput over load as SVG text: a panel for each machine, a line for each policy."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.taste.figures import GAP, HEIGHT, LEFT, TOP, WIDTH, Panel
from load.replica import BEHOLDER, FIFO, FIFO_DROPS, FIXED_DELAY

STYLES = {
    BEHOLDER.name: ("#0b6e4f", "", 3),
    FIFO.name: ("#d55e00", "7 3", 2),
    FIFO_DROPS.name: ("#7b3fa0", "3 2", 2),
    FIXED_DELAY.name: ("#56b4e9", "9 3 2 3", 2),
}
"""Colour, dashes and width; told apart by the colour-blind too."""


def drawing(found: Sequence[Mapping[str, Any]], loads: Sequence[float]) -> str:
    """Return the picture.

    Args:
        found: runs of one scenario, with machine, policy, load and goodput.
        loads: offered, ascending.
    """
    panels = []
    for place, machine in enumerate(dict.fromkeys(one["machine"] for one in found)):
        panel = Panel(machine, place, lambda load: load / loads[-1], lambda share: share / 1.1)
        panel.axes(((0, 1, 2, 3, 4, 5), (0, 0.25, 0.5, 0.75, 1)), ("offered load / capacity", "goodput"))
        for policy, (colour, dash, width) in reversed(STYLES.items()):
            mine = [one for one in found if (one["machine"], one["policy"]) == (machine, policy)]
            panel.line([(one["load"], one["goodput"]) for one in mine], colour, dash, width)
        panels.append(panel)
    return _svg(panels)


def _svg(panels: Sequence[Panel]) -> str:
    width, height = LEFT + len(panels) * (WIDTH + GAP) - GAP + 16, TOP + HEIGHT + 92
    for place, (policy, (colour, dash, thick)) in enumerate(STYLES.items()):
        x, y = LEFT + place % 2 * (width - LEFT) / 2, TOP + HEIGHT + 58 + place // 2 * 20
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        line = (
            f'<line x1="{x:.0f}" x2="{x + 34:.0f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="{thick}"{dashes}/>'
        )
        panels[0].parts.append(line)
        panels[0].text(x + 42, y + 4, policy, "start")
    body = "\n".join(part for panel in panels for part in panel.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n'
    )
