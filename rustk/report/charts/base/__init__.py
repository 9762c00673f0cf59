"""What a chart shows, said once: panels with axes and marks, a legend, words. Print and page draw from this alone.

A kind of chart is a file of `report/charts/` with an ORDER and a `describe`. It makes a `Chart`, and knows nothing of
pixels, colours or formats: a mark has a *role* (`mean val`, `floor`), which `printing` and the page's style sheet give
its looks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Numbers = Sequence[float]


@dataclass(frozen=True)
class Axis:
    """From low to high; ticks are (value, text). logarithmic: places go by the logarithm of the value."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value stands: 0 at `low`, 1 at `high`."""
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = (math.log10(v) if v > 0 else -math.inf for v in (value, low, high))
        return (value - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True)
class Line:
    """A line through the finite points. key: the fold that it is of, empty for none. share: 0 to 1 on the colour
    scale, None for the role's own colour. tip: what is told at it."""

    x: Numbers
    y: Numbers
    role: str
    key: str = ""
    share: float | None = None
    tip: str = ""


@dataclass(frozen=True)
class Rule:
    """A straight line across the panel at a value of y, or with `upright` of x."""

    value: float
    role: str
    upright: bool = False


@dataclass(frozen=True)
class Dot:
    """A point. share: 0 to 1 on the colour scale, None for the role's own colour. bar: (low, high) of y.
    tip: what is told at it. size: the radius in points."""

    x: float
    y: float
    role: str
    shape: str = "o"  # o, D, v, x
    share: float | None = None
    bar: tuple[float, float] | None = None
    tip: str = ""
    size: float = 3.2


@dataclass(frozen=True)
class Cell:
    """A cell of a heat map at the middle (x, y), one wide and high, with its text and what stands below it."""

    x: float
    y: float
    share: float | None
    text: str
    below: str = ""
    tip: str = ""
    best: bool = False


@dataclass(frozen=True)
class Label:
    """Words at a place, on a ground of the paper's colour that keeps them readable over lines. They begin, are centred
    or end at x."""

    x: float
    y: float
    text: str
    anchor: str = "start"


Mark = Line | Rule | Dot | Cell | Label


@dataclass(frozen=True)
class Readout:
    """What is told where a reader points along x: each place's words."""

    x: Numbers
    words: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """One pair of axes with what is drawn in them, in order. heading: lines above it."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    heading: tuple[str, ...] = ()
    alt: str = ""
    readout: Readout | None = None
    grid: bool = True


@dataclass(frozen=True)
class Key:
    """An entry of the legend."""

    role: str
    label: str
    shape: str = "-"  # - a line, else as a Dot's, or a square for a cell


@dataclass(frozen=True)
class Scale:
    """The colour scale: what share 0 and share 1 are, and the floor where it is known. dark_high: whether, in print,
    the high end is the dark one: lines on white paper are seen by it."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    floor: float | None = None
    dark_high: bool = False

    def share(self, value: float) -> float | None:
        """Where a value is on the scale, 0 to 1; None for what is no number."""
        return (value - self.low) / (self.high - self.low) if math.isfinite(value) else None


@dataclass(frozen=True)
class Chart:
    """A figure. name: the stem of its files. number: of the figure in the thesis, as `1.8`, or None.

    note: what must be said above it (folds missing, random weights). alt: what it shows, in words.
    columns: how many panels stand side by side; shared: whether they have the same axes. height: of a panel, in inches.
    """

    name: str
    title: str
    caption: str
    alt: str
    panels: tuple[Panel, ...]
    number: str | None = None
    note: str = ""
    columns: int = 1
    height: float = 2.4
    shared: bool = False
    legend: tuple[Key, ...] = ()
    scale: Scale | None = None


def join_notes(*notes: str) -> str:
    """The notes there are, in one line."""
    return " · ".join(note for note in notes if note)


def linear_axis(label: str, low: float, high: float, *, about: int = 5, whole: bool = False) -> Axis:
    """An axis with round ticks: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    values = ticks(low, high, about, whole=whole)
    digits = _digits(values)
    return Axis(label, low, high, tuple((value, f"{value:.{digits}f}") for value in values))


def log_axis(label: str, low: float, high: float) -> Axis:
    """A logarithmic axis over positive values, with a tick a decade, or several where it spans few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1,) if last - first > 3 else (1, 2, 5)
    found = [(step * 10.0**power, f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    shown = [(value, text) for value, text in found if low <= value <= high]
    return Axis(label, low, high, tuple(shown[:: max(1, -(-len(shown) // 8))]), logarithmic=True)


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """(low, high) of the values with a margin on both sides."""
    low, high = min(values), max(values)
    margin = (high - low) * share or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


def ticks(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """Round values from low to high, at most `about` + 1 or so; with `whole`, whole ones."""
    span = high - low
    if not span > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if span / (power * times) <= about)
    if whole:
        step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if size >= step)
    first = math.ceil(low / step - 1e-9)
    return [first * step + place * step for place in range(int((high - first * step) / step + 1e-9) + 1)]


def _digits(values: Sequence[float]) -> int:
    """Decimals that tell the ticks apart."""
    step = min((abs(after - before) for before, after in pairwise(values)), default=1.0)
    return next((digits for digits in range(6) if abs(round(step, digits) - step) < step * 1e-6), 6)
