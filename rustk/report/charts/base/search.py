"""What the charts of a search have in common: the colour scale, the best trial's words, axes of hyperparameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rustk.report.charts.base import Axis, Key, Scale, linear_axis, log_axis, padded, ticks
from rustk.report.charts.base.data import ChartData
from rustk.report.data.aggregate import MERIT, Aggregate
from rustk.report.data.numbers import format_mean, is_absent
from rustk.report.data.words import counted, describe_row, describe_trial, hyperparameter_formats, title_of

# A hyperparameter that spans more than this ratio is shown on a logarithmic axis.
_LOG_RATIO = 100.0


def is_grid(aggregate: Aggregate) -> bool:
    """Whether the trials are every combination of the values of their hyperparameters, each once."""
    values = aggregate.results.trials[list(aggregate.results.hyperparameters)]
    return len(values) == int(np.prod(values.nunique())) and not values.duplicated().any()


def has_merit(aggregate: Aggregate) -> bool:
    """Whether any trial has a figure of merit to be compared by."""
    return bool(aggregate.whole[MERIT].notna().any())


def merit_scale(aggregate: Aggregate, floor: float | None) -> Scale:
    """From the least to the greatest figure of merit, with the floor among them, so that it is on the colour bar."""
    low, high = float(aggregate.whole[MERIT].min()), float(aggregate.whole[MERIT].max())
    if floor is not None:
        room = 0.02 * max(high - low, abs(floor - low), abs(floor - high))
        low, high = min(low, floor - room), max(high, floor + room)
    high = high if high > low else low + 1e-3
    marks = linear_axis("", low, high, about=6).ticks
    return Scale("Greatest mean validation AUROC", low, high, marks, floor)


@dataclass(frozen=True)
class SearchedAxis:
    """The axis of a hyperparameter, and where each of its values stands on it; words stand side by side."""

    axis: Axis
    words: Mapping[Any, float] = field(default_factory=dict)

    def place(self, value: Any) -> float:
        """Where a value stands on the axis; NaN for an absent one."""
        if is_absent(value):
            return float("nan")
        return self.words[value] if self.words else float(value)


def searched_axis(aggregate: Aggregate, name: str, room: int = 80) -> SearchedAxis:
    """The axis of a searched hyperparameter: logarithmic where its values were drawn so, are a geometric grid, or span
    decades. room: how many letters fit side by side along it; words are cut to it."""
    values = [value for value in aggregate.results.trials[name].tolist() if not is_absent(value)]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        written = hyperparameter_formats(aggregate)[name]
        words = {value: float(place) for place, value in enumerate(sorted(set(values), key=str))}
        longest = max(3, room // max(len(words), 1) - 1)
        ticks_ = tuple((place, shortened(written(value), longest)) for value, place in words.items())
        return SearchedAxis(Axis(title_of(name), -0.5, len(words) - 0.5, ticks_), words)
    low, high = min(values), max(values)
    geometric = is_geometric(values)
    if low > 0 and high > low and (geometric or spans_decades(values) or drawn_by_logarithm(aggregate, name)):
        return SearchedAxis(_log_axis(title_of(name), values, hyperparameter_formats(aggregate)[name], geometric))
    low, high = padded(values)
    axis = linear_axis(title_of(name), low, high)
    if all(isinstance(value, int) for value in values):
        whole = [value for value in ticks(low, high, whole=True) if value >= min(values) * 0]
        return SearchedAxis(Axis(axis.label, low, high, tuple((value, f"{value:.0f}") for value in whole)))
    return SearchedAxis(axis)


def shortened(text: str, longest: int) -> str:
    """The text, cut to a length."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def spans_decades(values: Sequence[float]) -> bool:
    """Whether fractions span so much that a linear axis would show only the largest."""
    return max(values) > _LOG_RATIO * min(values) and any(isinstance(value, float) for value in values)


def is_geometric(values: Sequence[float]) -> bool:
    """Whether the values are three or more, each the same multiple of the one before: 16, 32, 64."""
    distinct = np.unique(np.array(values, dtype=np.float64))
    if len(distinct) < 3 or distinct[0] <= 0:
        return False
    ratios = distinct[1:] / distinct[:-1]
    return bool(np.allclose(ratios, ratios[0], rtol=1e-6))


def drawn_by_logarithm(aggregate: Aggregate, name: str) -> bool:
    """Whether the study draws the hyperparameter on a logarithmic scale."""
    parameters = (aggregate.results.study.study.search or {}).get("parameters")
    if not isinstance(parameters, Mapping):
        return False
    ranges = (value for path, value in parameters.items() if str(path).rpartition(".")[2] == name)
    return any(isinstance(found, Mapping) and found.get("log") is True for found in ranges)


def _log_axis(label: str, values: Sequence[float], written: Callable[[Any], str], geometric: bool) -> Axis:
    """Ticks at the values themselves where they are a grid, else at round ones."""
    low, high = min(values), max(values)
    room = (high / low) ** 0.05
    axis = log_axis(label, low / room, high * room)
    if geometric:
        distinct = sorted(set(values))
        return replace(axis, ticks=tuple((value, written(value)) for value in distinct[:: -(-len(distinct) // 8)]))
    if high < 10 * low:
        return replace(axis, ticks=linear_axis(label, low / room, high * room, about=4).ticks)
    if low >= 1 and high < 1e5:
        return replace(axis, ticks=tuple((value, f"{value:.0f}") for value, _ in axis.ticks))
    return axis


def tell_trial(row: Mapping[Any, Any], formats: Mapping[str, Callable[[Any], str]]) -> str:
    """A trial in a line: `trial 3: dropout 0.2: 0.7512 ± 0.0103`. formats: as `hyperparameter_formats` gives them."""
    value = "no value" if is_absent(row[MERIT]) else format_mean(row[MERIT], row[f"{MERIT}_sd"])
    if is_dropped(row):
        value += f" over {counted(int(row['folds_used']), 'fold')}, {row['note']}"
    return f"trial {int(row['trial'])}: {describe_row(row, formats)}: {value}"


def is_dropped(row: Mapping[Any, Any]) -> bool:
    """Whether a race dropped the trial of a row of `Aggregate.trials`: its figure is not of every fold."""
    return not is_absent(row.get("dropped_round"))


def dropped_note(aggregate: Aggregate) -> str:
    """What the caption of a chart of whole trials says of those that a race dropped; empty without any."""
    count = len(aggregate.results.dropped)
    if not count:
        return ""
    return (
        f" {counted(count, 'trial')} that the race dropped {'has' if count == 1 else 'have'} no figure of every fold."
    )


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
    ranked = aggregate.whole[MERIT].dropna()
    told = (
        f"From {format_mean(ranked.min())} to {format_mean(ranked.max())}; {best_label(aggregate)}."
        if len(ranked)
        else "No trial has a value."
    )
    return f"{kind} of {len(aggregate.trials)} trials of {aggregate.results.title}. {told}{dropped_note(aggregate)}"
