"""Learning curves: AUROC and loss by epoch of one trial, the mean over folds in bold, folds faint.

Training is red, validation blue; a dotted line stands at the best mean of the validation. A mean is drawn only where
every fold has a value.
"""

from typing import Any

import numpy as np

from rustk.report.charts.base import (
    Axis,
    Chart,
    Dot,
    Key,
    Line,
    Mark,
    Panel,
    Readout,
    Rule,
    join_notes,
    linear_axis,
    log_axis,
    padded,
)
from rustk.report.charts.base.curves import TrialCurves
from rustk.report.charts.base.data import ChartData
from rustk.report.data.aggregate import MERIT, describe_folds
from rustk.report.data.numbers import format_mean, is_absent
from rustk.report.data.results import rounds_words
from rustk.report.data.words import counted, describe_trial, thesis_number, title_of

ORDER = 90
# Beyond this ratio of largest to smallest loss, a linear axis shows only the largest.
_LOG_LOSS_RATIO = 50.0
_METRICS = ("auroc", "loss")


def describe(data: ChartData) -> Chart:
    """The curves of the best trial."""
    return describe_curves(data, int(data.aggregate.best["trial"]))


def describe_curves(data: ChartData, trial: int) -> Chart:
    """The curves of one trial, a panel a metric that the run has."""
    row, results = data.aggregate.row(trial), data.aggregate.results
    described = describe_trial(data.aggregate, trial)
    title = f"{results.title}, trial {trial}: {described}" if described else results.title
    curves = data.curves[trial]
    panels = trial_panels(data, trial, row)
    legend = legend_of(counted(int(row["folds_used"]), "fold"))
    if not is_absent(row[MERIT]):
        told = f"best mean AUROC {format_mean(row[MERIT], row[f'{MERIT}_sd'])}, epoch {row['epoch']}"
        legend.append(Key("best", told, "-o"))
    if len(panels) > 1 and (lowest := _lowest_loss(curves)) is not None:
        epoch, value, deviation = lowest
        legend.append(Key("best", f"best mean loss {format_mean(value, deviation)}, epoch {epoch}", "-o"))
    if data.floor is not None:
        legend.append(Key("floor", f"{data.floor_title.lower()} {format_mean(data.floor)}"))
    told = (
        ""
        if is_absent(row[MERIT])
        else (
            f" The mean validation AUROC is greatest at epoch {row['epoch']}: "
            f"{format_mean(row[MERIT], row[f'{MERIT}_sd'])}."
        )
    )
    shown = " and loss" if len(panels) > 1 else ""
    return Chart(
        name="learning-curves",
        number=thesis_number(results, "learning-curves"),
        title=title,
        note=join_notes(data.notes, str(row["note"])),
        caption=f"{title}. AUROC{shown} by epoch: mean over folds in bold, single folds faint, training red, "
        "validation blue; dotted, the best mean.",
        alt=f"Learning curves of {title}.{told}",
        panels=panels,
        columns=2,
        height=2.5,
        legend=tuple(legend),
    )


def trial_panels(data: ChartData, trial: int, row: Any) -> tuple[Panel, ...]:
    """A panel for each of AUROC and loss that the trial has values of. row: the trial's, of `Aggregate.trials`."""
    curves = data.curves.get(trial)
    if curves is None:
        return ()
    made = (curve_panel(data, trial, curves, row, metric) for metric in _METRICS)
    return tuple(panel for panel in made if panel is not None)


def curve_panel(
    data: ChartData, trial: int, curves: TrialCurves, row: Any, metric: str, span: tuple[float, float] | None = None
) -> Panel | None:
    """One metric over epochs; None where no epoch has a value. span: the axis's (low, high), where others share it."""
    name = f"val_{metric}"
    values = np.concatenate([curves.values(metric), curves.values(name)])
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    trained = sorted(curves.folds)
    few = " few" if trial in data.aggregate.results.dropped else ""
    marks: list[Mark] = []
    for side in ("train", "val"):
        column = name if side == "val" else metric
        for fold, (epochs, of_fold) in curves.folds.items():
            marks.append(Line(epochs.tolist(), of_fold[column].tolist(), f"fold {side}", str(fold)))
    floor = data.floor if metric == "auroc" else None
    if floor is not None:
        marks.append(Rule(floor, "floor"))
    marks += [
        Line(curves.mean_epochs.tolist(), curves.means[column].tolist(), f"mean {side}{few}")
        for side, column in (("train", metric), ("val", name))
    ]
    marks += [
        Rule(epoch, "diverged", upright=True)
        for epoch in [min((e for (t, _), e in data.aggregate.results.diverged.items() if t == trial), default=0)]
        if epoch
    ]
    if metric == "loss":
        best = _lowest_loss(curves)
    else:
        best = None if is_absent(row[MERIT]) else (int(row["epoch"]), float(row[MERIT]), 0.0)
    if best is not None:
        marks += [Rule(best[1], "best"), Dot(best[0], best[1], "mark", size=2.6)]
    label = "Loss" if metric == "loss" else title_of(metric)
    return Panel(
        x=epoch_axis(curves.epochs),
        y=_value_axis(label, finite, floor, span),
        marks=tuple(marks),
        alt=f"{label} of trial {trial} by epoch{_only(data, trial, trained)}",
        readout=_readout(curves, metric),
    )


def _only(data: ChartData, trial: int, trained: list[int]) -> str:
    """Which folds a trial has that a race dropped."""
    told = rounds_words(data.aggregate.results, trial)
    return f", {describe_folds((trial, fold) for fold in trained).partition(': ')[2]} only: {told}" if told else ""


def span_of(all_curves: list[TrialCurves], metric: str, floor: float | None) -> tuple[float, float] | None:
    """(low, high) of an axis that several trials share."""
    values = np.concatenate([curves.values(name) for curves in all_curves for name in (metric, f"val_{metric}")])
    finite = values[np.isfinite(values)]
    return padded([*_ends(finite), *([] if floor is None else [floor])]) if len(finite) else None


def epoch_axis(epochs: list[int]) -> Axis:
    first, last = epochs[0], epochs[-1]
    if first == last:
        return Axis("Epoch", first - 1, first + 1, ((first, str(first)),))
    margin = (last - first) * 0.03
    axis = linear_axis("Epoch", first, last, about=6, whole=True)
    return Axis("Epoch", first - margin, last + margin, axis.ticks)


def legend_of(over: str) -> list[Key]:
    """The entries that all learning curves have. over: `6 folds`."""
    return [
        Key("mean train", f"training, mean over {over}"),
        Key("mean val", f"validation, mean over {over}"),
        Key("fold", "single folds"),
    ]


def _value_axis(label: str, finite: Any, floor: float | None, span: tuple[float, float] | None) -> Axis:
    if label == "Loss" and finite.min() > 0 and finite.max() > _LOG_LOSS_RATIO * finite.min():
        return log_axis(label, float(finite.min()) * 0.85, float(finite.max()) * 1.18)
    low, high = span or padded([*_ends(finite), *([] if floor is None else [floor])])
    return linear_axis(label, low, high)


def _ends(values: Any) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _lowest_loss(curves: TrialCurves) -> tuple[int, float, float] | None:
    """(epoch, mean, deviation) where the mean validation loss is least."""
    losses = curves.means["val_loss"]
    if not np.isfinite(losses).any():
        return None
    at = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
    return int(curves.mean_epochs[at]), float(losses[at]), float(curves.deviations["val_loss"][at])


def _readout(curves: TrialCurves, metric: str) -> Readout:
    def written(value: float) -> str:
        return f"{value:.4f}" if np.isfinite(value) else "–"

    sides = zip(
        curves.mean_epochs.tolist(),
        curves.means[metric].tolist(),
        curves.means[f"val_{metric}"].tolist(),
        strict=True,
    )
    told = [(epoch, f"epoch {epoch}\ntraining {written(a)}\nvalidation {written(b)}") for epoch, a, b in sides]
    return Readout(tuple(epoch for epoch, _ in told), tuple(words for _, words in told))
