"""From a panel to lines, dots and words at their places, on a canvas: the print renderer's, or the page's SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rustk.report.charts.base import Axis, Cell, Dot, Label, Line, Mark, Panel, Rule

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """Where a panel's marks go, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def x(self, axis: Axis, value: float) -> float:
        return self.left + axis.place(value) * (self.right - self.left)

    def y(self, axis: Axis, value: float) -> float:
        """Kept within the box, and a little beyond it for what has no place there."""
        place = min(max(axis.place(value), 0.0), 1.0)
        return self.bottom - place * (self.bottom - self.top)


class Canvas(Protocol):
    """What marks are drawn on."""

    def line(
        self, points: Sequence[Point], role: str, key: str = "", share: float | None = None, tip: str = ""
    ) -> None:
        """A line through the points."""

    def dot(self, x: float, y: float, dot: Dot) -> None: ...

    def cell(self, x: float, y: float, width: float, height: float, cell: Cell) -> None: ...

    def text(self, x: float, y: float, text: str, role: str, anchor: str = "middle") -> None:
        """Words whose base line is at y; the role `upright` turns them to be read from below, `over` keeps them
        readable over lines."""


def draw_panel(
    canvas: Canvas, panel: Panel, box: Box, *, size: float, tick_texts: tuple[bool, bool] = (True, True), gap: float = 4
) -> None:
    """Draw a panel's axes and marks. size: of the tick texts; tick_texts: whether x and y have theirs."""
    for value, text in panel.y.ticks:
        at = box.y(panel.y, value)
        if panel.grid:
            canvas.line([(box.left, at), (box.right, at)], "grid")
        if tick_texts[1]:
            canvas.text(box.left - gap, at + size * 0.35, text, "tick", "end")
    if tick_texts[0]:
        for value, text in panel.x.ticks:
            canvas.text(box.x(panel.x, value), box.bottom + size + gap, text, "tick")
    for mark in panel.marks:
        _draw(canvas, panel, box, mark, size)


def _draw(canvas: Canvas, panel: Panel, box: Box, mark: Mark, size: float) -> None:
    match mark:
        case Line():
            _draw_line(canvas, panel, box, mark)
        case Label():
            base = box.y(panel.y, mark.y) + size * 0.35
            canvas.text(box.x(panel.x, mark.x), base, mark.text, "over", mark.anchor)
        case Rule():
            if mark.upright:
                at = box.x(panel.x, mark.value)
                canvas.line([(at, box.top), (at, box.bottom)], mark.role)
            elif 0 <= panel.y.place(mark.value) <= 1:
                at = box.y(panel.y, mark.value)
                canvas.line([(box.left, at), (box.right, at)], mark.role)
        case Dot():
            at = box.x(panel.x, mark.x)
            if mark.bar is not None:
                low, high = mark.bar
                canvas.line([(at, box.y(panel.y, low)), (at, box.y(panel.y, high))], "bar")
            canvas.dot(at, box.y(panel.y, mark.y), mark)
        case Cell():
            width = box.x(panel.x, 1.0) - box.x(panel.x, 0.0)
            height = abs(panel.y.place(1.0) - panel.y.place(0.0)) * (box.bottom - box.top)
            canvas.cell(box.x(panel.x, mark.x) - width / 2, box.y(panel.y, mark.y) - height / 2, width, height, mark)


def _draw_line(canvas: Canvas, panel: Panel, box: Box, line: Line) -> None:
    points: list[Point] = []
    origin, step = box.x(panel.x, panel.x.low), (box.right - box.left) / ((panel.x.high - panel.x.low) or 1.0)
    straight = not panel.x.logarithmic  # most points are on a line of epochs: the way to their x is short
    for x, y in zip(line.x, line.y, strict=True):
        if math.isfinite(y):
            points.append((origin + (x - panel.x.low) * step if straight else box.x(panel.x, x), box.y(panel.y, y)))
        elif points:
            canvas.line(points, line.role, line.key, line.share, line.tip)
            points = []
    if points:
        canvas.line(points, line.role, line.key, line.share, line.tip)
