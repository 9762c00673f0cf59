"""Learning curves: Figures 1.1 to 1.4, 1.6 and 1.7 of the thesis."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rustk.report.aggregate import MERIT, Aggregate
from rustk.report.figures import style
from rustk.report.numbers import format_mean, is_absent, with_superscripts
from rustk.report.tables import describe_trial

# Which figure of the thesis shows the curves of which study.
_NUMBERS = {
    "lenet": "1.1",
    "inception-scratch": "1.2",
    "inception-radimagenet": "1.3",
    "inception-imagenet": "1.4",
    "final": "1.7",
}
# Beyond this ratio of largest to smallest loss, a linear axis shows only the largest.
_LOG_LOSS_RATIO = 50.0


def learning_curves(
    aggregate: Aggregate, trial: int | None = None, *, floor: float | None = None, note: str = ""
) -> style.Drawing:
    """AUROC and loss by epoch of one trial (the best, unless one is named): the mean over folds in bold, folds faint.

    Training is red, validation blue; a dotted line stands at the best mean of the validation. A mean is drawn only
    where every fold has a value. floor: what knowing only the view scores. note: said above the figure.
    """
    row = aggregate.best if trial is None else aggregate.row(trial)
    trial = int(row["trial"])
    results = aggregate.results
    described = describe_trial(aggregate, trial)
    title = f"{results.title}, trial {trial}: {described}" if described else results.title
    with style.styled():
        figure = Figure(figsize=(style.FULL_WIDTH_INCHES, 3.6))
        auroc, loss = figure.subplots(1, 2)
        _draw_metric(auroc, aggregate, trial, "auroc")
        _draw_metric(loss, aggregate, trial, "loss")
        auroc.set_ylabel("AUROC")
        loss.set_ylabel("Loss (binary cross-entropy)")
        _scale_loss(loss, aggregate, [trial])
        best = _mark_best(auroc, row)
        lowest = _mark_lowest_loss(loss, aggregate, trial)
        if floor is not None:
            auroc.axhline(floor, color=style.FLOOR, linestyle=(0, (6, 3)), linewidth=1.1)
        handles = _legend(f"{row['folds_used']} folds", best, lowest, floor)
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        style.set_title(figure, with_superscripts(title), style.join_notes(aggregate.note, note, str(row["note"])))
    shown = f"mean validation AUROC is greatest at epoch {row['epoch']}: {format_mean(row[MERIT], row[f'{MERIT}_sd'])}"
    return style.Drawing(
        name="learning-curves",
        number=_NUMBERS.get(results.name),
        caption=f"{title}. AUROC and loss by epoch: mean over folds in bold, single folds faint, training red, "
        "validation blue; dotted, the best mean.",
        alt=f"Learning curves of {title}. The {shown}." if best else f"Learning curves of {title}.",
        figure=figure,
    )


def example_trials(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> style.Drawing:
    """AUROC by epoch of up to six trials, from the best to the worst, on shared axes."""
    examples = _choose_examples(aggregate.trials)
    columns = min(3, len(examples))
    rows = -(-len(examples) // columns)
    with style.styled():
        figure = Figure(figsize=(style.FULL_WIDTH_INCHES, 1.1 + 1.9 * rows))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(examples) :]:
            axes.set_axis_off()
        for axes, (label, row) in zip(grid.flat, examples, strict=False):
            _draw_metric(axes, aggregate, int(row["trial"]), "auroc")
            _mark_best(axes, row)
            if floor is not None:
                axes.axhline(floor, color=style.FLOOR, linestyle=(0, (6, 3)), linewidth=1.1)
            described = with_superscripts(describe_trial(aggregate, int(row["trial"])))
            heading = f"{label}: {format_mean(row[MERIT])}"
            axes.set_title("\n".join([heading, *textwrap.wrap(described, 36), *textwrap.wrap(row["note"], 36)]))
        for axes in grid[:, 0]:
            axes.set_ylabel("AUROC")
        for axes in grid[:-1].flat:
            axes.set_xlabel("")
        handles = _legend("folds", "best mean validation", "", floor)
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        style.set_title(figure, f"{aggregate.results.title}: example trials", style.join_notes(aggregate.note, note))
    told = "; ".join(f"{label} {format_mean(row[MERIT], row[f'{MERIT}_sd'])}" for label, row in examples)
    return style.Drawing(
        name="example-trials",
        number="1.6",
        caption=f"{aggregate.results.title}: AUROC by epoch of example trials from the best to the worst, with the "
        "greatest mean validation AUROC of each (dotted).",
        alt=f"Learning curves of example trials. Greatest mean validation AUROC: {told}.",
        figure=figure,
    )


def _choose_examples(trials: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """(label, row) of the trials at the ends and the quartiles of the ranking; each trial once."""
    ranked = trials[trials[MERIT].notna()]
    last = len(ranked) - 1
    places = {
        0: "Best",
        1: "Second best",
        round(last / 4): "Upper quartile",
        round(last / 2): "Median",
        round(3 * last / 4): "Lower quartile",
    }
    labelled = {**{place: label for place, label in places.items() if place < last}, last: "Worst"}
    labelled[0] = "Best"
    return [(f"{labelled[place]} (rank {place + 1})", ranked.iloc[place]) for place in sorted(labelled)]


def _draw_metric(axes: Axes, aggregate: Aggregate, trial: int, metric: str) -> None:
    """The folds of one trial, faint, and their mean, bold, for training and validation."""
    histories = aggregate.results.histories
    histories = histories[histories["trial"] == trial]
    means = aggregate.epochs[aggregate.epochs["trial"] == trial]
    # A line of a single point would not be seen.
    marker = "o" if histories["epoch"].nunique() == 1 else ""
    sides = ((metric, style.TRAIN), (f"val_{metric}", style.VALIDATION))
    for name, colour in sides:
        for _, fold in histories.groupby("fold"):
            axes.plot(fold["epoch"], fold[name], color=colour, alpha=0.3, linewidth=0.7, marker=marker, markersize=3)
    for name, colour in sides:
        axes.plot(means["epoch"], means[name], color=colour, linewidth=2.0, marker=marker, markersize=5, zorder=3)
    diverged = [epoch for (at, _), epoch in aggregate.results.diverged.items() if at == trial]
    if diverged:
        axes.axvline(min(diverged), color="black", linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_xlabel("Epoch")
    if marker:
        only = int(histories["epoch"].iloc[0])
        axes.set(xlim=(only - 1, only + 1), xticks=[only])
        return
    axes.set_xlim(left=max(axes.get_xlim()[0], 0.3))  # there is no epoch 0
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def _mark_best(axes: Axes, row: pd.Series) -> str:
    """Draw the best mean's dotted line and point; the words for the legend, empty where there is none."""
    if is_absent(row[MERIT]):
        return ""
    axes.axhline(row[MERIT], color=style.VALIDATION, linestyle=":", linewidth=1.2)
    axes.plot(
        [row["epoch"]], [row[MERIT]], "o", color=style.VALIDATION, markersize=4.5, markeredgecolor="white", zorder=4
    )
    return f"best mean AUROC {format_mean(row[MERIT], row[f'{MERIT}_sd'])}, epoch {row['epoch']}"


def _mark_lowest_loss(axes: Axes, aggregate: Aggregate, trial: int) -> str:
    means = aggregate.epochs[aggregate.epochs["trial"] == trial].dropna(subset=["val_loss"])
    if means.empty:
        return ""
    row = means.loc[means["val_loss"].idxmin()]
    axes.axhline(row["val_loss"], color=style.VALIDATION, linestyle=":", linewidth=1.2)
    axes.plot(
        [row["epoch"]],
        [row["val_loss"]],
        "o",
        color=style.VALIDATION,
        markersize=4.5,
        markeredgecolor="white",
        zorder=4,
    )
    return f"best mean loss {format_mean(row['val_loss'], row['val_loss_sd'])}, epoch {int(row['epoch'])}"


def _scale_loss(axes: Axes, aggregate: Aggregate, trials: Sequence[int]) -> None:
    histories = aggregate.results.histories
    values = histories.loc[histories["trial"].isin(trials), ["loss", "val_loss"]].to_numpy()
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > _LOG_LOSS_RATIO * values.min():
        axes.set_yscale("log")


def _legend(over: str, best: str, lowest: str, floor: float | None) -> list[Line2D]:
    handles = [
        Line2D([], [], color=style.TRAIN, linewidth=2.0, label=f"training, mean over {over}"),
        Line2D([], [], color=style.VALIDATION, linewidth=2.0, label=f"validation, mean over {over}"),
        Line2D([], [], color="#888888", linewidth=0.7, label="single folds"),
    ]
    handles += [
        Line2D(
            [],
            [],
            color=style.VALIDATION,
            linestyle=":",
            linewidth=1.2,
            marker="o",
            markersize=4.5,
            markeredgecolor="white",
            label=words,
        )
        for words in (best, lowest)
        if words
    ]
    if floor is not None:
        label = f"view-only floor {format_mean(floor)}"
        handles.append(Line2D([], [], color=style.FLOOR, linestyle=(0, (6, 3)), linewidth=1.1, label=label))
    return handles
