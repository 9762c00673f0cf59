"""What a full grid over two hyperparameters found: the figure of merit of each cell, and its deviation over folds."""

from rustk.report.charts.base import Axis, Cell, Chart, Key, Panel, join_notes
from rustk.report.charts.base.data import ChartData
from rustk.report.charts.base.search import (
    alt_of,
    best_label,
    dropped_note,
    floor_key,
    has_merit,
    is_dropped,
    is_grid,
    merit_scale,
    tell_trial,
)
from rustk.report.data.aggregate import MERIT
from rustk.report.data.numbers import is_absent
from rustk.report.data.words import hyperparameter_formats, thesis_number, title_of

ORDER = 10
_CROWDED = 9  # more columns leave no room for the deviations


def describe(data: ChartData) -> Chart | None:
    """The heat map; None for any other search. A cell without a value says why. The best is framed."""
    aggregate = data.aggregate
    names = aggregate.results.hyperparameters
    if len(names) != 2 or not has_merit(aggregate) or not is_grid(aggregate):
        return None
    down, across = names
    trials = aggregate.trials
    rows, columns = sorted(trials[down].unique()), sorted(trials[across].unique())
    formats = hyperparameter_formats(aggregate)
    scale = merit_scale(aggregate, data.floor)
    best = int(aggregate.best["trial"])
    cells = []
    for row in trials.to_dict(orient="records"):
        value, place = row[MERIT], (columns.index(row[across]), rows.index(row[down]))
        if is_dropped(row):
            cells.append(Cell(*place, None, "dropped", f"round {row['dropped_round']}", tell_trial(row, formats)))
            continue
        if is_absent(value):
            why = "missing" if is_absent(row["diverged_epoch"]) else "diverged"
            since = "" if why == "missing" else f"epoch {row['diverged_epoch']}"
            cells.append(Cell(*place, None, why, since, tell_trial(row, formats)))
            continue
        spread = row[f"{MERIT}_sd"]
        below = "" if len(columns) > _CROWDED or is_absent(spread) else f"±{spread:.3f}"
        text = f"{value:.3f}{'*' if row['note'] else ''}"
        tip, is_best = tell_trial(row, formats), int(row["trial"]) == best
        cells.append(Cell(*place, scale.share(value), text, below, tip, is_best))
    cells.sort(key=lambda cell: cell.best)  # nothing covers the frame of the best

    def axis(name: str, values: list[float]) -> Axis:
        marks = tuple((float(place), formats[name](value)) for place, value in enumerate(values))
        return Axis(title_of(name), -0.5, len(values) - 0.5, marks)

    title, titles = aggregate.results.title, [title_of(name).lower() for name in names]
    starred = "* see the note in the table" if (aggregate.whole["note"] != "").any() else ""
    panel = Panel(axis(across, columns), axis(down, rows), tuple(cells), alt=alt_of(aggregate, "Heat map"), grid=False)
    return Chart(
        name="search-heat-map",
        number=thesis_number(aggregate.results, "search-heat-map"),
        title=f"{title}: grid search",
        note=join_notes(data.notes, starred),
        caption=f"{title}: greatest mean validation AUROC of each {titles[0]} and {titles[1]}, and its standard "
        f"deviation over folds (ddof = 1). The best is framed.{dropped_note(aggregate)}",
        alt=alt_of(aggregate, "Heat map"),
        panels=(panel,),
        height=0.42 * len(rows) + 0.1,
        legend=(Key("outline", best_label(aggregate), "s"), *floor_key(data, on_scale=True)),
        scale=scale,
    )
