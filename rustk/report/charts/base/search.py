"""What the charts of a search have in common: the colour scale, the best trial's words, axes of hyperparameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rustk.report.charts.base import Axis, Key, Scale, linear_axis, log_axis, padded, ticks
from rustk.report.charts.base.data import ChartData
from rustk.report.data.aggregate import MERIT, Aggregate
from rustk.report.data.numbers import format_mean, is_absent
from rustk.report.data.words import describe_row, describe_trial, title_of

# A hyperparameter that spans more than this ratio is shown on a logarithmic axis.
_LOG_RATIO = 100.0


def is_grid(aggregate: Aggregate) -> bool:
    """Whether the trials are every combination of the values of their hyperparameters, each once."""
    values = aggregate.results.trials[list(aggregate.results.hyperparameters)]
    return len(values) == int(np.prod(values.nunique())) and not values.duplicated().any()


def has_merit(aggregate: Aggregate) -> bool:
    """Whether any trial has a figure of merit."""
    return bool(aggregate.trials[MERIT].notna().any())


def merit_scale(aggregate: Aggregate, floor: float | None) -> Scale:
    """From the least to the greatest figure of merit, with the floor among them, so that it is on the colour bar."""
    low, high = float(aggregate.trials[MERIT].min()), float(aggregate.trials[MERIT].max())
    if floor is not None:
        room = 0.02 * max(high - low, abs(floor - low), abs(floor - high))
        low, high = min(low, floor - room), max(high, floor + room)
    high = high if high > low else low + 1e-3
    marks = linear_axis("", low, high, about=6).ticks
    return Scale("Greatest mean validation AUROC", low, high, marks, floor)


def searched_axis(name: str, values: Sequence[Any]) -> Axis:
    """The axis of a hyperparameter's values; logarithmic where they span decades."""
    numbers = [float(value) for value in values if not is_absent(value)] or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    if low > 0 and high > _LOG_RATIO * low and any(isinstance(value, float) for value in values):
        room = (high / low) ** 0.05
        return log_axis(title_of(name), low / room, high * room)
    low, high = padded(numbers)
    axis = linear_axis(title_of(name), low, high)
    if all(isinstance(value, int) for value in values):
        whole = [value for value in ticks(low, high, whole=True) if value >= min(numbers) * 0]
        return Axis(axis.label, low, high, tuple((value, f"{value:.0f}") for value in whole))
    return axis


def tell_trial(row: Mapping[Any, Any], formats: Mapping[str, Callable[[Any], str]]) -> str:
    """A trial in a line: `trial 3: dropout 0.2: 0.7512 ± 0.0103`. formats: as `hyperparameter_formats` gives them."""
    value = "no value" if is_absent(row[MERIT]) else format_mean(row[MERIT], row[f"{MERIT}_sd"])
    return f"trial {int(row['trial'])}: {describe_row(row, formats)}: {value}"


def best_label(aggregate: Aggregate) -> str:
    """`best, 0.7969 ± 0.0123: learning rate 1e-3, epsilon 1e-7`."""
    best = aggregate.best
    described = describe_trial(aggregate, int(best["trial"]))
    return f"best, {format_mean(best[MERIT], best[f'{MERIT}_sd'])}: {described}"


def floor_key(data: ChartData, *, on_scale: bool) -> tuple[Key, ...]:
    """The legend's entry for the floor, where it is known."""
    if data.floor is None:
        return ()
    where = " (on the colour bar)" if on_scale else ""
    return (Key("floor", f"{data.floor_title.lower()} {format_mean(data.floor)}{where}"),)


def alt_of(aggregate: Aggregate, kind: str) -> str:
    """What a chart of the search shows, in words."""
    ranked = aggregate.trials[MERIT].dropna()
    told = (
        f"From {format_mean(ranked.min())} to {format_mean(ranked.max())}; {best_label(aggregate)}."
        if len(ranked)
        else "No trial has a value."
    )
    return f"{kind} of {len(aggregate.trials)} trials of {aggregate.results.title}. {told}"
