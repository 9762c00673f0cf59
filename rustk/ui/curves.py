"""The curves of the live page, drawn by the report's own hand: the best trials as they grow, and one fold."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rustk.report.charts.base import Axis, Line, Mark, Panel, linear_axis, padded
from rustk.report.charts.base.svg import panel_svg
from rustk.report.data.histories import History
from rustk.report.data.words import title_of
from rustk.ui.figures import TrialFigure

# As many as colours and dashes tell apart.
MOST_CURVES = 5


def best_curves(ranked: Sequence[TrialFigure]) -> str:
    """The means of the best trials by epoch, as an `svg` element; empty where there are none.

    The style sheet gives the n-th best the looks of `best-n`.
    """
    shown = ranked[:MOST_CURVES]
    values = [value for one in shown for value in one.curve if math.isfinite(value)]
    if not values:
        return ""
    marks: list[Mark] = [
        Line(list(one.epochs), list(one.curve), f"mean best-{place}") for place, one in enumerate(shown, start=1)
    ]
    told = "; ".join(f"trial {one.trial} reaches {one.merit:.4f} at epoch {one.epoch}" for one in shown)
    epochs = sorted({epoch for one in shown for epoch in one.epochs})
    panel = Panel(
        x=_epochs(epochs), y=linear_axis("Mean validation AUROC", *padded(values)), marks=tuple(reversed(marks))
    )
    return panel_svg(panel, f"Mean validation AUROC by epoch: {told}", width=760, height=300, kind="wide")


def fold_curves(history: History) -> list[tuple[str, str]]:
    """(metric, `svg` element) for AUROC and loss of one fold, training and validation; those that it has."""
    rows: Mapping[str, list[Any]] = history.rows.to_pydict()
    drawn = []
    for metric in ("auroc", "loss"):
        lines = {side: [_value(v) for v in rows[name]] for side, name in (("train", metric), ("val", f"val_{metric}"))}
        values = [value for line in lines.values() for value in line if math.isfinite(value)]
        if not values:
            continue
        marks = tuple(Line(rows["epoch"], line, f"mean {side}") for side, line in lines.items())
        title = title_of(metric)
        ends = ", ".join(
            f"{'training' if side == 'train' else 'validation'} {line[-1]:.4f}"
            for side, line in lines.items()
            if math.isfinite(line[-1])
        )
        panel = Panel(x=_epochs(rows["epoch"]), y=linear_axis(title, *padded(values)), marks=marks)
        drawn.append((title, panel_svg(panel, f"{title} by epoch; at the last epoch {ends}")))
    return drawn


def _epochs(epochs: Sequence[int]) -> Axis:
    first, last = epochs[0], epochs[-1]
    if first == last:
        return Axis("Epoch", first - 1, first + 1, ((first, str(first)),))
    margin = (last - first) * 0.03
    return Axis("Epoch", first - margin, last + margin, linear_axis("Epoch", first, last, about=8, whole=True).ticks)


def _value(value: float | None) -> float:
    return math.nan if value is None else value
