"""A panel as SVG for the page: coloured by the page's style sheet, its values told by the page's script.

Each drawing is complete without the script. Colours are classes, so that one drawing serves light, dark and paper.
"""

import json
import math
from collections.abc import Sequence
from html import escape

from rustk.report.charts.base import Cell, Dot, Panel
from rustk.report.charts.base.layout import Box, Point, draw_panel
from rustk.report.data.numbers import with_superscripts

_SIZE = 11.0


class SvgCanvas:
    """Marks as the elements of an SVG drawing."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def line(
        self, points: Sequence[Point], role: str, key: str = "", share: float | None = None, tip: str = ""
    ) -> None:
        held = f' data-fold="{key}"' if key else ""
        if tip:
            role, held = f"{role} hit", f'{held} data-tip="{_words(tip)}"'
        if share is not None:
            role, held = f"{role} traced", f'{held} style="--t:{share:.3f}"'
        path = "L".join([f"{x:.1f} {y:.1f}" for x, y in points])
        if len(points) == 1:  # a round cap makes a line of one point a dot
            path += "h0"
        self.parts.append(f'<path class="{role}"{held} d="M{path}"/>')

    def dot(self, x: float, y: float, dot: Dot) -> None:
        role = f"dot {dot.role}" if dot.role != "mark" else "mark"
        role += " shaded" if dot.share is not None else ""
        told = f' data-tip="{_words(dot.tip)}"' if dot.tip else ""
        hit = " hit" if dot.tip else ""
        shade = f' style="--t:{dot.share:.3f}"' if dot.share is not None else ""
        r = dot.size * 1.25
        if dot.shape == "o":
            where = f'<circle class="{role}{hit}" cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"'
        else:
            where = f'<path class="{role}{hit}" d="{_shape(dot.shape, x, y, r)}"'
        self.parts.append(f"{where}{shade}{told}/>")

    def cell(self, x: float, y: float, width: float, height: float, cell: Cell) -> None:
        shade = "--t:0" if cell.share is None else f"--t:{cell.share:.3f}"
        role = f"cell{' best-cell' if cell.best else ''}{' absent' if cell.share is None else ''}"
        place = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{width - 2:.1f}" height="{height - 2:.1f}"'
        middle = x + width / 2
        line = y + height / 2 + (1 if cell.below else 4)
        at = f'x="{middle:.1f}" y="{line:.1f}" text-anchor="middle"'
        texts = f'<text class="value" {at}>{_words(cell.text)}</text>'
        if cell.below:
            texts += (
                f'<text class="value below" x="{middle:.1f}" y="{line + 11:.1f}" text-anchor="middle">'
                f"{_words(cell.below)}</text>"
            )
        self.parts.append(
            f'<g class="hit" data-tip="{_words(cell.tip)}"><rect class="{role}" style="{shade}" {place}/>{texts}</g>'
        )

    def text(self, x: float, y: float, text: str, role: str, anchor: str = "middle") -> None:
        turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if role == "upright" else ""
        kind = ' class="axis"' if role in ("axis", "upright") else ' class="over"' if role == "over" else ""
        self.parts.append(f'<text{kind}{turned} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_words(text)}</text>')


def panel_svg(panel: Panel, title: str, *, width: float = 460, height: float = 280, kind: str = "") -> str:
    """One panel as an `svg` element. title: its words for who can't see it. kind: more classes (small, wide)."""
    if not panel.marks:
        return f'<p class="nothing">{escape(title)}: nothing to draw.</p>'
    canvas = SvgCanvas()
    widest = max((len(text) for _, text in panel.y.ticks), default=1)
    left = 24 + max(26.0, widest * 6.6) if panel.y.label else 10 + max(26.0, widest * 6.6)
    box = Box(left, 12, width - 12, height - 42)
    draw_panel(canvas, panel, box, size=_SIZE)
    canvas.text((box.left + box.right) / 2, height - 6, panel.x.label, "axis")
    if panel.y.label:
        canvas.text(12, (box.top + box.bottom) / 2, panel.y.label, "upright")
    held = ""
    if panel.readout is not None:
        places = [round(box.x(panel.x, x), 1) for x in panel.readout.x]
        data = json.dumps({"x": places, "words": panel.readout.words}, separators=(",", ":"), ensure_ascii=False)
        held = f' data-series="{escape(data, quote=True)}"'
        canvas.parts.append(f'<line class="cursor" y1="{box.top}" y2="{box.bottom}" x1="0" x2="0"/>')
    points = any(getattr(mark, "tip", "") for mark in panel.marks)
    reached = ' tabindex="0"' if held or points else ""
    label = _words(title)
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}"'
        f"{reached}{held}>"
        f"{''.join(canvas.parts)}</svg>"
    )


def interval_strip(low: float, value: float, high: float, bounds: tuple[float, float], floor: float | None) -> str:
    """One row of a forest plot: an interval, its value, and the floor as a tick; for a table's cell, so without
    text. bounds: what the ends of the strip stand for."""
    if not math.isfinite(value):
        return ""

    def x(of: float) -> str:
        share = (of - bounds[0]) / (bounds[1] - bounds[0])
        return f"{min(max(2 + 96 * share, 0), 100):.2f}%"

    parts = []
    if floor is not None and math.isfinite(floor):
        parts.append(f'<line class="floor" x1="{x(floor)}" x2="{x(floor)}" y1="1" y2="19"/>')
    if math.isfinite(low) and math.isfinite(high):
        parts.append(f'<line class="interval" x1="{x(low)}" x2="{x(high)}" y1="10" y2="10"/>')
    parts.append(f'<circle class="mark" cx="{x(value)}" cy="10" r="4"/>')
    return f'<svg class="strip" width="100%" height="20" aria-hidden="true">{"".join(parts)}</svg>'


def _shape(shape: str, x: float, y: float, r: float) -> str:
    if shape == "D":
        return f"M{x:.1f} {y - r:.1f}L{x + r:.1f} {y:.1f}L{x:.1f} {y + r:.1f}L{x - r:.1f} {y:.1f}Z"
    if shape == "v":
        return f"M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y - r:.1f}L{x:.1f} {y + r:.1f}Z"
    return f"M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}M{x + r:.1f} {y - r:.1f}L{x - r:.1f} {y + r:.1f}"


def _words(text: str) -> str:
    return escape(with_superscripts(text))
