"""The figure of merit against each hyperparameter in turn, for searches that no one picture shows."""

from rustk.report.charts import search_heat_map, search_scatter
from rustk.report.charts.base import Chart, Dot, Key, Mark, Panel, Rule, linear_axis, padded
from rustk.report.charts.base.data import ChartData
from rustk.report.charts.base.search import (
    alt_of,
    best_label,
    dropped_note,
    floor_key,
    has_merit,
    searched_axis,
    tell_trial,
)
from rustk.report.data.aggregate import MERIT
from rustk.report.data.numbers import is_absent
from rustk.report.data.words import hyperparameter_formats, thesis_number, title_of

ORDER = 30


def describe(data: ChartData) -> Chart | None:
    """A panel a hyperparameter, bars the standard deviation over folds; None where another chart shows the search."""
    aggregate = data.aggregate
    names = aggregate.results.hyperparameters
    if not names or search_heat_map.describe(data) or search_scatter.describe(data):
        return None
    ranked = aggregate.whole[aggregate.whole[MERIT].notna()]
    records = ranked.to_dict(orient="records")
    bars = [(row[MERIT] - (_spread(row)), row[MERIT] + _spread(row)) for row in records]
    ends = [end for bar in bars for end in bar] + ([] if data.floor is None else [data.floor])
    y = linear_axis("Best mean AUROC", *padded(ends or [0.0, 1.0]))
    panels, formats = [], hyperparameter_formats(aggregate)
    for name in names:
        x = searched_axis(aggregate, name, room=40)
        marks: list[Mark] = [] if data.floor is None else [Rule(data.floor, "floor")]
        marks += [
            Dot(x.place(row[name]), row[MERIT], "trial", bar=bar, tip=tell_trial(row, formats), size=2.6)
            for row, bar in zip(records, bars, strict=True)
            if not is_absent(row[name])
        ]
        if has_merit(aggregate) and not is_absent(aggregate.best[name]):
            best = aggregate.best
            marks.append(Dot(x.place(best[name]), best[MERIT], "ring", size=5.0))
        panels.append(Panel(x.axis, y, tuple(marks), alt=f"{title_of(name)} of each trial against its figure of merit"))
    legend = [Key("ring", best_label(aggregate), "o")] if has_merit(aggregate) else []
    title = aggregate.results.title
    return Chart(
        name="search-panels",
        number=thesis_number(aggregate.results, "search-panels"),
        title=f"{title}: {len(aggregate.trials)} trials",
        note=data.notes,
        caption=f"{title}: greatest mean validation AUROC against each hyperparameter; bars are the standard deviation "
        f"over folds (ddof = 1). The best trial is ringed.{dropped_note(aggregate)}",
        alt=alt_of(aggregate, "One panel a hyperparameter"),
        panels=tuple(panels),
        columns=2,
        height=1.75,
        legend=(*legend, *floor_key(data, on_scale=False)),
    )


def _spread(row: dict[str, object]) -> float:
    value = row[f"{MERIT}_sd"]
    return 0.0 if is_absent(value) else float(value)  # type: ignore[arg-type]
