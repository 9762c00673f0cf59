"""Each trial of a search over many hyperparameters as a line across an axis for each, coloured by its figure of merit.

`search_panels` shows each hyperparameter against the figure of merit, one at a time. What it can't show is which values
go together: a line keeps them together, and a matrix of scatter plots of m hyperparameters would need m (m - 1) / 2
panels for it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rustk.report.charts.base import Axis, Chart, Dot, Key, Label, Line, Mark, Panel, Rule
from rustk.report.charts.base.data import ChartData
from rustk.report.charts.base.search import (
    SearchedAxis,
    alt_of,
    best_label,
    floor_key,
    has_merit,
    is_dropped,
    merit_scale,
    searched_axis,
    shortened,
    tell_trial,
)
from rustk.report.data.aggregate import MERIT
from rustk.report.data.numbers import is_absent
from rustk.report.data.words import hyperparameter_formats, thesis_number, title_of

ORDER = 40
_AXES = 6  # of hyperparameters in one panel: more would leave no room for what stands on them
_TICKS = 6
_LONGEST = 14  # letters of a word beside an axis


def describe(data: ChartData) -> Chart | None:
    """The lines, as many panels below each other as the hyperparameters need; None for fewer than three of them."""
    aggregate = data.aggregate
    names = aggregate.results.hyperparameters
    if len(names) < 3 or not has_merit(aggregate):
        return None
    scale = replace(merit_scale(aggregate, data.floor), dark_high=True)
    rows = aggregate.trials.iloc[::-1].to_dict(orient="records")  # the best is drawn last, so that nothing covers it
    formats = hyperparameter_formats(aggregate)
    tips = {int(row["trial"]): tell_trial(row, formats) for row in rows}
    merit = Axis("Mean AUROC", scale.low, scale.high, scale.ticks)
    panels = []
    for first in range(0, len(names), _AXES):
        shown = names[first : first + _AXES]
        axes = [(name, searched_axis(aggregate, name)) for name in shown]
        panels.append(_panel(axes, merit, rows, tips, int(aggregate.best["trial"]), data.floor))
    title = aggregate.results.title
    roles = {mark.role for panel in panels for mark in panel.marks if isinstance(mark, Line)}
    legend = [Key("trace-best", best_label(aggregate))]
    if "trace-untold" in roles:
        legend.append(Key("trace-untold", "no value: diverged or missing"))
    if "trace-dropped" in roles:
        legend.append(Key("trace-dropped", "dropped by the race: no figure of every fold"))
    return Chart(
        name="parallel-coordinates",
        number=thesis_number(aggregate.results, "parallel-coordinates"),
        title=f"{title}: {len(aggregate.trials)} trials",
        note=data.notes,
        caption=f"{title}: each trial as a line across its hyperparameters to its greatest mean validation AUROC, "
        "which also gives its colour. The best is in bold.",
        alt=alt_of(aggregate, "Parallel coordinates"),
        panels=tuple(panels),
        height=2.7,
        legend=(*legend, *floor_key(data, on_scale=True)),
        scale=scale,
    )


def _panel(
    axes: list[tuple[str, SearchedAxis]],
    merit: Axis,
    rows: list[dict[Any, Any]],
    tips: Mapping[int, str],
    best: int,
    floor: float | None,
) -> Panel:
    last = len(axes)
    marks: list[Mark] = [Rule(place, "axis-line", upright=True) for place in range(last + 1)]
    if floor is not None:
        marks.append(Line((last - 0.08, last + 0.08), (merit.place(floor),) * 2, "floor"))
    for row in rows:
        trial = int(row["trial"])
        heights = [axis.axis.place(axis.place(row[name])) for name, axis in axes]
        ranked = not is_absent(row[MERIT])
        role, share = "trace-best" if trial == best else "trace" if ranked else "trace-untold", None
        if is_dropped(row):
            role, ranked = "trace-dropped", False
        if ranked:
            heights.append(merit.place(row[MERIT]))
            share = heights[-1] if role == "trace" else None
        marks.append(Line(range(len(heights)), heights, role, share=share, tip=tips[trial]))
        if trial == best:
            marks.append(Dot(last, heights[-1], "ring", size=4.0))
    for place, (_, axis) in enumerate(axes):
        marks += _labels(place, axis.axis)
    marks += _labels(last, merit)
    titles = [*(title_of(name) for name, _ in axes), merit.label]
    ticks = tuple((float(place), shortened(title, 17)) for place, title in enumerate(titles))
    words = f"A line a trial across {', '.join(title.lower() for title in titles[:-1])} and its figure of merit"
    return Panel(Axis("", -0.3, last + 0.45, ticks), Axis("", 0.0, 1.0, ()), tuple(marks), alt=words, grid=False)


def _labels(place: int, axis: Axis) -> list[Mark]:
    """What the places of an axis mean, beside it."""
    inside = [(value, text) for value, text in axis.ticks if 0.02 <= axis.place(value) <= 0.98]
    step = -(-len(inside) // _TICKS) if len(inside) > 2 * _TICKS else max(1, round(len(inside) / _TICKS))
    return [
        Label(place + 0.05, axis.place(value), shortened(text, _LONGEST))
        for value, text in inside[:: 1 if _is_words(axis) else step]
    ]


def _is_words(axis: Axis) -> bool:
    return axis.low == -0.5 and not axis.logarithmic and all(float(value).is_integer() for value, _ in axis.ticks)
