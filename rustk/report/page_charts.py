"""The page's charts: SVG drawn here, coloured by the page's style sheet and made interactive by its script.

Each chart is complete without the script: the script only adds what appears under the pointer. Colours are classes,
so that one drawing serves light, dark and paper. Numbers the script shows stand in a `data-` attribute of the drawing
itself."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
import pandas as pd

from rustk.metrics.calibration import Reliability
from rustk.report.numbers import column_format, with_superscripts

_WIDTH, _HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 14, 40


@dataclass(frozen=True)
class _Scale:
    """From values to places on the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within the scale: multiples of 1, 2, 2.5 or 5 times a power of ten."""
        span = self.high - self.low
        if not span > 0:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(span / about))
        step = next(power * times for times in (1, 2, 2.5, 5, 10) if span / (power * times) <= about)
        first = math.ceil(self.low / step - 1e-9)
        return [first * step + place * step for place in range(int((self.high - first * step) / step + 1e-9) + 1)]


def learning_curves(
    rows: pd.DataFrame, metric: str, title: str, best_epoch: int | None = None, floor: float | None = None
) -> str:
    """A trial's `metric` over epochs: folds faint, means bold, training and validation; the floor and best epoch.

    `rows` are the trial's rows of the histories. The mean is drawn where every fold has a value.
    """
    sides = {"train": metric, "val": f"val_{metric}"}
    tables = {side: rows.pivot(index="epoch", columns="fold", values=column) for side, column in sides.items()}
    finite = np.concatenate([table.to_numpy().ravel() for table in tables.values()])
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return _nothing(f"{title}: no epoch has a finite value.")
    shown = np.append(finite, floor) if floor is not None and metric == "auroc" else finite
    low, high = float(shown.min()), float(shown.max())
    if metric == "loss":  # one runaway epoch would flatten everything else
        high = min(high, float(np.quantile(finite, 0.98)) * 1.15)
    margin = (high - low) * 0.06 or 0.01
    y = _Scale(low - margin, high + margin, _HEIGHT - _BOTTOM, _TOP)
    epochs = [int(epoch) for epoch in tables["val"].index]
    x = _Scale(min(epochs), max(epochs), _LEFT + 6, _WIDTH - _RIGHT - 6)
    parts = [_axes(x, y, "Epoch", whole=True)]
    means: dict[str, list[float | None]] = {}
    for side, table in tables.items():
        kind = f"fold {side}"
        parts += [_line(x, y, epochs, table[f].tolist(), kind, f' data-fold="{f}"') for f in table.columns]
    if floor is not None and metric == "auroc":
        parts.append(_rule(y(floor), "floor"))
    for side, table in tables.items():
        mean = table.mean(axis=1).where(table.notna().all(axis=1))
        means[side] = [None if not math.isfinite(value) else round(float(value), 5) for value in mean]
        parts.append(_line(x, y, epochs, mean.tolist(), f"mean {side}"))
    if best_epoch is not None and best_epoch in epochs:
        best = means["val"][epochs.index(best_epoch)]
        if best is not None:
            parts.append(_rule(y(best), "best"))
            parts.append(f'<circle class="mark" cx="{x(best_epoch):.1f}" cy="{y(best):.1f}" r="4"/>')
    parts.append(f'<line class="cursor" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" x1="0" x2="0"/>')
    places = [round(x(epoch), 1) for epoch in epochs]
    data = {"x": places, "label": "epoch", "at": epochs, "train": means["train"], "validation": means["val"]}
    return _svg(title, "".join(parts), data=data)


def heat_map(trials: pd.DataFrame, names: Sequence[str], merit: str, titles: Mapping[str, str], best: int) -> str:
    """What a full grid over two hyperparameters found. `trials` has the columns trial, `merit` (NaN: none) and
    `names`."""
    down, across = sorted(names, key=lambda name: trials[name].nunique())
    rows, columns = sorted(trials[down].unique(), reverse=True), sorted(trials[across].unique())
    written = {name: column_format(trials[name].tolist()) for name in names}
    left, top, height = 58, 12, 34
    width = (760 - left - 8) / len(columns)
    low, high = trials[merit].min(), trials[merit].max()
    cells = []
    for _, trial in trials.iterrows():
        row, column = rows.index(trial[down]), columns.index(trial[across])
        value = trial[merit]
        share = (value - low) / (high - low) if high > low else 0.5
        known = math.isfinite(value)
        what = ", ".join(f"{titles[name].lower()} {written[name](trial[name])}" for name in names)
        told = f"trial {int(trial['trial'])}: {what}: {f'{value:.4f}' if known else 'no value'}"
        place = f'x="{left + column * width:.1f}" y="{top + row * height}"'
        size = f'width="{width - 2:.1f}" height="{height - 2}"'
        kind = "cell best-cell" if int(trial["trial"]) == best else "cell"
        shade = f"--t:{share:.3f}" if known else "--t:0"
        cells.append(f'<g class="hit" data-tip="{_text(told)}"><rect class="{kind}" style="{shade}" {place} {size}/>')
        text = f"{value:.3f}" if known else "–"
        strong = " strong" if known and share > 0.55 else ""
        middle = f'x="{left + (column + 0.5) * width - 1:.1f}" y="{top + (row + 0.5) * height + 3:.1f}"'
        cells.append(f'<text class="value{strong}" {middle} text-anchor="middle">{text}</text></g>')
    for row, value in enumerate(rows):
        at = f'x="{left - 8}" y="{top + (row + 0.5) * height + 3:.1f}"'
        cells.append(f'<text {at} text-anchor="end">{_text(written[down](value))}</text>')
    bottom = top + len(rows) * height
    for column, value in enumerate(columns):
        at = f'x="{left + (column + 0.5) * width:.1f}" y="{bottom + 14}"'
        cells.append(f'<text {at} text-anchor="middle">{_text(written[across](value))}</text>')
    cells.append(
        f'<text class="axis" x="{left + 380 - 29}" y="{bottom + 32}" text-anchor="middle">{titles[across]}</text>'
    )
    at = f'transform="translate(12 {top + len(rows) * height / 2:.0f}) rotate(-90)"'
    cells.append(f'<text class="axis" {at} text-anchor="middle">{titles[down]}</text>')
    title = f"{titles[down]} against {titles[across].lower()}: figure of merit of each trial, {low:.3f} to {high:.3f}"
    return _svg(title, "".join(cells), width=760, height=bottom + 42, kind="wide")


def scatters(trials: pd.DataFrame, names: Sequence[str], merit: str, titles: Mapping[str, str], best: int) -> str:
    """What any other search found: each hyperparameter against the figure of merit."""
    return "".join(_scatter(trials, name, merit, titles, best) for name in names)


def _scatter(trials: pd.DataFrame, name: str, merit: str, titles: Mapping[str, str], best: int) -> str:
    known = trials[np.isfinite(trials[merit])]
    if not len(known):
        return _nothing(f"{titles[name]}: no trial has a figure of merit.")
    written = column_format(known[name].tolist())
    if not pd.api.types.is_numeric_dtype(known[name]):
        return _nothing(f"{titles[name]}: not numbers; the table has them.")
    values = known[name].astype(float)
    logarithmic = bool((values > 0).all()) and values.max() / values.min() >= 1000
    places = np.log10(values) if logarithmic else values
    x = _padded(places, _LEFT, _WIDTH - _RIGHT)
    y = _padded(known[merit], _HEIGHT - _BOTTOM, _TOP)
    parts = [_axes(x, y, titles[name], logarithmic=logarithmic)]
    for trial, place, value, merit_ in zip(known["trial"], places, values, known[merit], strict=True):
        kind = "dot best-dot" if int(trial) == best else "dot"
        told = f"trial {int(trial)}: {titles[name].lower()} {written(value)}: {merit_:.4f}"
        at = f'cx="{x(place):.1f}" cy="{y(merit_):.1f}" r="{6 if int(trial) == best else 4}"'
        parts.append(f'<circle class="{kind} hit" {at} data-tip="{_text(told)}"/>')
    return _svg(f"{titles[name]} of each trial against its figure of merit", "".join(parts))


def reliability_curve(curve: Reliability, title: str) -> str:
    """Observed share against predicted probability, with the diagonal; dots grow with the bin's images."""
    side, left, bottom = 240, 40, 38
    x, y = _Scale(0, 1, left, side - 10), _Scale(0, 1, side - bottom, 10)
    parts = [
        _axes(x, y, "Predicted probability", width=side, height=side, left=left, bottom=bottom, about=4),
        f'<line class="diagonal" x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}"/>',
    ]
    filled = curve.count > 0
    predicted, observed, counts = curve.predicted[filled], curve.observed[filled], curve.count[filled]
    points = " ".join(f"{x(p):.1f},{y(o):.1f}" for p, o in zip(predicted, observed, strict=True))
    parts.append(f'<polyline class="mean val" points="{points}"/>')
    largest = counts.max(initial=1)
    for p, o, count in zip(predicted, observed, counts, strict=True):
        told = f"predicted {p:.3f}, observed {o:.3f}, {count:,} labels"
        size = 2.5 + 4 * math.sqrt(count / largest)
        at = f'cx="{x(p):.1f}" cy="{y(o):.1f}" r="{size:.1f}"'
        parts.append(f'<circle class="dot hit" {at} data-tip="{told}"/>')
    return _svg(title, "".join(parts), width=side, height=side, kind="small")


def interval_strip(low: float, value: float, high: float, bounds: tuple[float, float], floor: float | None) -> str:
    """One row of a forest plot: an interval, its value, and the floor as a tick; for a table's cell, so without
    text."""
    if not math.isfinite(value):
        return ""
    place = _Scale(*bounds, 2, 98)

    def x(of: float) -> str:
        return f"{min(max(place(of), 0), 100):.2f}%"

    parts = []
    if floor is not None and math.isfinite(floor):
        parts.append(f'<line class="floor" x1="{x(floor)}" x2="{x(floor)}" y1="1" y2="19"/>')
    if math.isfinite(low) and math.isfinite(high):
        parts.append(f'<line class="interval" x1="{x(low)}" x2="{x(high)}" y1="10" y2="10"/>')
    parts.append(f'<circle class="mark" cx="{x(value)}" cy="10" r="4"/>')
    return f'<svg class="strip" width="100%" height="20" aria-hidden="true">{"".join(parts)}</svg>'


def _padded(values: pd.Series, start: float, end: float) -> _Scale:
    low, high = float(values.min()), float(values.max())
    margin = (high - low) * 0.06 or 0.5 * abs(high) or 0.5
    return _Scale(low - margin, high + margin, start, end)


def _axes(
    x: _Scale,
    y: _Scale,
    label: str,
    whole: bool = False,
    logarithmic: bool = False,
    width: int = _WIDTH,
    height: int = _HEIGHT,
    left: int = _LEFT,
    bottom: int = _BOTTOM,
    about: int = 5,
) -> str:
    parts = []
    ticks = y.ticks(about)
    digits = _digits(ticks)
    for value in ticks:
        at = y(value)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 3.5:.1f}" text-anchor="end">{value:.{digits}f}</text>')
    ticks = x.ticks(about + 1)
    if whole or logarithmic:
        ticks = [value for value in ticks if abs(value - round(value)) < 1e-9] or ticks
    digits = _digits(ticks)
    for value in ticks:
        shown = f"1e{round(value)}" if logarithmic else f"{value:.{digits}f}"
        place = f'x="{x(value):.1f}" y="{height - bottom + 15}"'
        parts.append(f'<text {place} text-anchor="middle">{_text(shown)}</text>')
    middle = (left + width - _RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{height - 6}" text-anchor="middle">{escape(label)}</text>')
    return "".join(parts)


def _digits(ticks: Sequence[float]) -> int:
    """Decimals that tell the ticks apart."""
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0)
    return next((digits for digits in range(6) if abs(round(step, digits) - step) < step * 1e-6), 6)


def _line(x: _Scale, y: _Scale, at: Sequence[int], values: Sequence[float], kind: str, more: str = "") -> str:
    """A path through the finite values, broken where there are none and clipped to the axes."""
    path, pen = [], "M"
    top, bottom = min(y.start, y.end), max(y.start, y.end)
    for place, value in zip(at, values, strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        path.append(f"{pen}{x(place):.1f} {min(max(y(value), top), bottom):.1f}")
        pen = "L"
    return f'<path class="{kind}"{more} d="{"".join(path)}"/>' if path else ""


def _rule(at: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'


def _text(text: str) -> str:
    return escape(with_superscripts(text))


def _nothing(why: str) -> str:
    return f'<p class="nothing">{escape(why)}</p>'


def _svg(
    title: str,
    content: str,
    data: Mapping[str, object] | None = None,
    width: int = _WIDTH,
    height: int = _HEIGHT,
    kind: str = "",
) -> str:
    held = f" data-series='{escape(json.dumps(data, separators=(',', ':')), quote=True)}'" if data else ""
    label = escape(title)
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}"{held}>'
        f"<title>{label}</title>{content}</svg>"
    )
