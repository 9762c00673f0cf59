"""Every trial of a search over two hyperparameters that is no grid, coloured by its figure of merit; the best is
ringed."""

from rustk.report.charts.base import Chart, Dot, Key, Panel
from rustk.report.charts.base.data import ChartData
from rustk.report.charts.base.search import (
    alt_of,
    best_label,
    floor_key,
    has_merit,
    is_dropped,
    is_grid,
    merit_scale,
    searched_axis,
    tell_trial,
)
from rustk.report.data.aggregate import MERIT
from rustk.report.data.numbers import is_absent
from rustk.report.data.words import hyperparameter_formats, thesis_number, title_of

ORDER = 20


def describe(data: ChartData) -> Chart | None:
    """The scatter; None for any other search."""
    aggregate = data.aggregate
    names = aggregate.results.hyperparameters
    if len(names) != 2 or not has_merit(aggregate) or is_grid(aggregate):
        return None
    trials = aggregate.trials
    across, up = names
    x, y = (searched_axis(aggregate, name) for name in names)
    scale = merit_scale(aggregate, data.floor)
    dots, formats = [], hyperparameter_formats(aggregate)
    for row in trials.iloc[::-1].to_dict(orient="records"):  # the best is drawn last, so that nothing covers it
        if is_absent(row[across]) or is_absent(row[up]):
            continue
        role, shape = _kind(row)
        share = None if role in ("unranked", "dropped") else scale.share(row[MERIT])
        dots.append(Dot(x.place(row[across]), y.place(row[up]), role, shape, share, tip=tell_trial(row, formats)))
    best = aggregate.best
    dots.append(Dot(x.place(best[across]), y.place(best[up]), "ring", size=6.0))
    kinds = {(dot.role, dot.shape) for dot in dots}
    legend = [Key("ring", best_label(aggregate), "o")]
    if ("trial", "D") in kinds:
        legend.append(Key("partial", "fewer folds than planned", "D"))
    if ("trial", "v") in kinds:
        legend.append(Key("partial", "a fold diverged: best epoch before it", "v"))
    if ("dropped", "o") in kinds:
        legend.append(Key("dropped", "dropped by the race: no figure of every fold", "o"))
    if ("unranked", "x") in kinds:
        legend.append(Key("unranked", "no value: diverged or missing", "x"))
    title = aggregate.results.title
    panel = Panel(x.axis, y.axis, tuple(dots), alt=alt_of(aggregate, "Scatter plot"))
    return Chart(
        name="search-scatter",
        number=thesis_number(aggregate.results, "search-scatter"),
        title=f"{title}: {len(trials)} trials",
        note=data.notes,
        caption=f"{title}: {title_of(across).lower()} and {title_of(up).lower()} of each trial, coloured by its "
        "greatest mean validation AUROC. The best is ringed.",
        alt=alt_of(aggregate, "Scatter plot"),
        panels=(panel,),
        height=3.1,
        legend=(*legend, *floor_key(data, on_scale=True)),
        scale=scale,
    )


def _kind(row: dict[str, object]) -> tuple[str, str]:
    """(role, shape) of a trial's dot."""
    if is_dropped(row):
        return "dropped", "o"
    if is_absent(row[MERIT]):
        return "unranked", "x"
    if not is_absent(row["diverged_epoch"]):
        return "trial", "v"
    return "trial", "D" if row["folds_used"] < row["folds_planned"] else "o"  # type: ignore[operator]
