"""What a search found: Figures 1.5 (scatter) and 1.8 (heat map) of the thesis, and one for any other number of
hyperparameters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from rustk.report.aggregate import MERIT, Aggregate
from rustk.report.figures import style
from rustk.report.numbers import format_mean, is_absent, with_superscripts
from rustk.report.tables import describe_trial, hyperparameter_formats, title_of

_MERIT_TITLE = "Greatest mean validation AUROC"
# A hyperparameter that spans more than this ratio is shown on a logarithmic axis.
_LOG_RATIO = 100.0
# On a colour of more than this relative luminance, black stands out better than white (WCAG 2.2: equal contrast).
_LIGHT = 0.179
_LEGEND_CHARACTERS = 95


def search_figure(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> style.Drawing:
    """The figure that suits the search: a heat map of a grid over two hyperparameters, a scatter of two drawn at
    random, and one panel a hyperparameter for any other number of them."""
    names = aggregate.results.hyperparameters
    if len(names) != 2 or not _has_merit(aggregate):
        return parameter_panels(aggregate, floor=floor, note=note)
    if is_grid(aggregate):
        return heat_map(aggregate, floor=floor, note=note)
    numeric = all(pd.api.types.is_numeric_dtype(aggregate.trials[name]) for name in names)
    draw = scatter if numeric else parameter_panels
    return draw(aggregate, floor=floor, note=note)


def is_grid(aggregate: Aggregate) -> bool:
    """Whether the trials are every combination of the values of their hyperparameters, each once."""
    values = aggregate.results.trials[list(aggregate.results.hyperparameters)]
    return len(values) == int(np.prod(values.nunique())) and not values.duplicated().any()


def heat_map(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> style.Drawing:
    """The figure of merit of every cell of a grid over two hyperparameters, with its standard deviation over folds.

    The second hyperparameter runs along the horizontal axis. The best cell is framed; a cell without a value says why.
    """
    down, across = aggregate.results.hyperparameters
    trials = aggregate.trials
    rows = sorted(trials[down].unique(), reverse=True)
    columns = sorted(trials[across].unique())
    formats = hyperparameter_formats(aggregate)
    with style.styled():
        figure = Figure(figsize=(style.FULL_WIDTH_INCHES, 1.9 + 0.52 * len(rows)))
        axes = figure.subplots()
        norm = _norm(trials[MERIT], floor)
        colours = ScalarMappable(norm, style.COLOURS)
        for row in trials.to_dict(orient="records"):
            _draw_cell(axes, columns.index(row[across]), rows.index(row[down]), row, colours, crowded=len(columns) > 9)
        best = aggregate.best
        place = (columns.index(best[across]) - 0.5, rows.index(best[down]) - 0.5)
        axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor="black", linewidth=2.0, zorder=3, clip_on=False))
        axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xlabel(title_of(across))
        axes.set_ylabel(title_of(down))
        axes.set_xticks(range(len(columns)), [with_superscripts(formats[across](value)) for value in columns])
        axes.set_yticks(range(len(rows)), [with_superscripts(formats[down](value)) for value in rows])
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        _draw_colour_bar(figure, axes, colours, floor)
        handles: list[Any] = [Patch(facecolor="none", edgecolor="black", linewidth=2.0, label=_best_label(aggregate))]
        _draw_legend(figure, handles, floor, on_colour_bar=True)
        starred = "* see the note in the table" if (trials["note"] != "").any() else ""
        said = style.join_notes(aggregate.note, note, starred)
        style.set_title(figure, f"{aggregate.results.title}: grid search", said)
    return style.Drawing(
        name="search-heat-map",
        number="1.8" if {down, across} == {"learning_rate", "epsilon"} else None,
        caption=f"{aggregate.results.title}: greatest mean validation AUROC of each {title_of(down).lower()} and "
        f"{title_of(across).lower()}, and its standard deviation over folds (ddof = 1). The best is framed.",
        alt=_alt(aggregate, "Heat map"),
        figure=figure,
    )


def scatter(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> style.Drawing:
    """Every trial of a search over two hyperparameters, coloured by its figure of merit; the best is ringed."""
    across, up = aggregate.results.hyperparameters
    trials = aggregate.trials
    ranked = trials[trials[MERIT].notna()].iloc[::-1]  # the best is drawn last, so that nothing covers it
    unranked = trials[trials[MERIT].isna()]
    with style.styled():
        figure = Figure(figsize=(style.FULL_WIDTH_INCHES, 4.4))
        axes = figure.subplots()
        norm = _norm(trials[MERIT], floor)
        colours = ScalarMappable(norm, style.COLOURS)
        handles: list[Any] = []
        diverged = ranked["diverged_epoch"].notna()
        partial = (ranked["folds_used"] < ranked["folds_planned"]) & ~diverged
        for shown, marker in ((ranked[~partial & ~diverged], "o"), (ranked[partial], "D"), (ranked[diverged], "v")):
            axes.scatter(
                shown[across],
                shown[up],
                c=colours.to_rgba(shown[MERIT].to_numpy()),
                s=42,
                marker=marker,
                edgecolors="white",
                linewidths=0.5,
                zorder=2,
            )
        axes.scatter(unranked[across], unranked[up], c="#999999", s=34, marker="x", linewidths=1.0, zorder=2)
        best = aggregate.best
        axes.plot(
            [best[across]], [best[up]], "o", markersize=12, markerfacecolor="none", markeredgecolor="black", zorder=3
        )
        handles.append(_marker("o", _best_label(aggregate), markersize=9, markerfacecolor="none"))
        if partial.any():
            handles.append(_marker("D", "fewer folds than planned", markersize=5, markerfacecolor="#999999"))
        if diverged.any():
            handles.append(
                _marker("v", "a fold diverged: best epoch before it", markersize=6, markerfacecolor="#999999")
            )
        if len(unranked):
            handles.append(_marker("x", "no value: diverged or missing", markersize=5, markeredgecolor="#999999"))
        for name, axis in ((across, axes.xaxis), (up, axes.yaxis)):
            _set_scale(axes, axis.axis_name, trials[name])
            axis.set_label_text(title_of(name))
        _draw_colour_bar(figure, axes, colours, floor)
        _draw_legend(figure, handles, floor, on_colour_bar=True)
        title = f"{aggregate.results.title}: {len(trials)} trials"
        style.set_title(figure, title, style.join_notes(aggregate.note, note))
    return style.Drawing(
        name="search-scatter",
        number="1.5" if {across, up} == {"batch_size", "dropout"} else None,
        caption=f"{aggregate.results.title}: {title_of(across).lower()} and {title_of(up).lower()} of each trial, "
        "coloured by its greatest mean validation AUROC. The best is ringed.",
        alt=_alt(aggregate, "Scatter plot"),
        figure=figure,
    )


def parameter_panels(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> style.Drawing:
    """The figure of merit against each hyperparameter in turn; bars are the standard deviation over folds."""
    names = aggregate.results.hyperparameters
    ranked = aggregate.trials[aggregate.trials[MERIT].notna()]
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    with style.styled():
        figure = Figure(figsize=(style.FULL_WIDTH_INCHES, 1.2 + 2.2 * rows))
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(grid.flat, names, strict=False):
            axes.errorbar(
                ranked[name],
                ranked[MERIT],
                yerr=ranked[f"{MERIT}_sd"].fillna(0.0),
                fmt="o",
                color=style.VALIDATION,
                ecolor="#A9CCE3",
                elinewidth=0.9,
                markersize=4,
            )
            if floor is not None:
                axes.axhline(floor, color=style.FLOOR, linestyle=(0, (6, 3)), linewidth=1.1)
            if len(ranked):
                best = aggregate.best
                axes.plot(
                    [best[name]], [best[MERIT]], "o", markersize=9, markerfacecolor="none", markeredgecolor="black"
                )
            _set_scale(axes, "x", ranked[name])
            axes.set_xlabel(title_of(name))
        for axes in grid[:, 0]:
            axes.set_ylabel("Best mean AUROC")
        handles: list[Any] = []
        if len(ranked):
            handles.append(_marker("o", _best_label(aggregate), markersize=9, markerfacecolor="none"))
        _draw_legend(figure, handles, floor, on_colour_bar=False)
        title = f"{aggregate.results.title}: {len(aggregate.trials)} trials"
        style.set_title(figure, title, style.join_notes(aggregate.note, note))
    return style.Drawing(
        name="search-panels",
        number=None,
        caption=f"{aggregate.results.title}: greatest mean validation AUROC against each hyperparameter; bars are the "
        "standard deviation over folds (ddof = 1). The best trial is ringed.",
        alt=_alt(aggregate, "One panel a hyperparameter"),
        figure=figure,
    )


def _draw_cell(
    axes: Axes, column: int, line: int, row: dict[str, Any], colours: ScalarMappable, *, crowded: bool
) -> None:
    absent = is_absent(row[MERIT])
    colour = style.ABSENT if absent else to_rgb(colours.to_rgba(row[MERIT]))
    axes.add_patch(
        Rectangle(
            (column - 0.5, line - 0.5),
            1,
            1,
            facecolor=colour,
            edgecolor="white",
            linewidth=1.0,
            hatch="////" if absent else None,
        )
    )
    ink = "black" if absent or _luminance(colour) > _LIGHT else "white"
    if absent:
        why = "missing" if is_absent(row["diverged_epoch"]) else f"diverged\nepoch {row['diverged_epoch']}"
        axes.text(column, line, why, ha="center", va="center", fontsize=6.5, color=ink)
        return
    mark = "*" if row["note"] else ""
    axes.text(column, line - 0.1, f"{row[MERIT]:.3f}{mark}", ha="center", va="center", fontsize=8, color=ink)
    if not crowded and not is_absent(row[f"{MERIT}_sd"]):
        spread = f"±{row[f'{MERIT}_sd']:.3f}"
        axes.text(column, line + 0.2, spread, ha="center", va="center", fontsize=6.2, color=ink)


def _luminance(colour: str | Sequence[float]) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _norm(values: pd.Series, floor: float | None) -> Normalize:
    """From the least to the greatest value, with the floor among them, so that it can be seen on the colour bar."""
    low, high = values.min(), values.max()
    if floor is not None:
        room = 0.02 * max(high - low, abs(floor - low), abs(floor - high))
        low, high = min(low, floor - room), max(high, floor + room)
    return Normalize(low, high if high > low else low + 1e-3)


def _draw_colour_bar(figure: Figure, axes: Axes, colours: ScalarMappable, floor: float | None) -> None:
    bar: Colorbar = figure.colorbar(colours, ax=axes, pad=0.015, aspect=28)
    bar.set_label(_MERIT_TITLE)
    bar.outline.set_visible(False)
    if floor is not None:
        bar.ax.axhline(floor, color="white", linewidth=3.2)
        bar.ax.axhline(floor, color="black", linewidth=1.6, linestyle=(0, (2.2, 1.1)))


def _draw_legend(figure: Figure, handles: list[Any], floor: float | None, *, on_colour_bar: bool) -> None:
    if floor is not None:
        label = f"view-only floor {format_mean(floor)}" + (" (on the colour bar)" if on_colour_bar else "")
        handles.append(
            Line2D([], [], color="black", linewidth=1.6, linestyle=(0, (2.2, 1.1)), label=label)
            if on_colour_bar
            else Line2D([], [], color=style.FLOOR, linewidth=1.1, linestyle=(0, (6, 3)), label=label)
        )
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=_legend_columns(handles))


def _legend_columns(handles: Sequence[Any]) -> int:
    """As many columns as fit the figure's width, of one line, two columns and one column."""
    lengths = [len(handle.get_label()) for handle in handles]
    half = -(-len(lengths) // 2)
    if sum(lengths) < _LEGEND_CHARACTERS:
        return len(lengths)
    return 2 if max(lengths[:half]) + max(lengths[half:], default=0) < _LEGEND_CHARACTERS else 1


def _set_scale(axes: Axes, axis: str, values: pd.Series) -> None:
    if not pd.api.types.is_float_dtype(values) or values.empty or values.min() <= 0:
        return
    if values.max() > _LOG_RATIO * values.min():
        axes.set(**{f"{axis}scale": "log"})


def _marker(shape: str, label: str, **looks: Any) -> Line2D:
    return Line2D([], [], linestyle="none", marker=shape, label=label, **{"markeredgecolor": "black", **looks})


def _best_label(aggregate: Aggregate) -> str:
    best = aggregate.best
    described = with_superscripts(describe_trial(aggregate, int(best["trial"])))
    return f"best, {format_mean(best[MERIT], best[f'{MERIT}_sd'])}: {described}"


def _has_merit(aggregate: Aggregate) -> bool:
    return bool(aggregate.trials[MERIT].notna().any())


def _alt(aggregate: Aggregate, kind: str) -> str:
    trials = aggregate.trials
    ranked = trials[MERIT].dropna()
    told = (
        f"From {format_mean(ranked.min())} to {format_mean(ranked.max())}; {_best_label(aggregate)}."
        if len(ranked)
        else "No trial has a value."
    )
    return f"{kind} of {len(trials)} trials of {aggregate.results.title}. {told}"
