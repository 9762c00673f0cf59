"""Learning curves of a few trials of a search, from the best to the worst, on shared axes."""

from typing import Any

import pandas as pd

from rustk.report.charts.base import Chart, Key
from rustk.report.charts.base.data import ChartData
from rustk.report.charts.base.search import dropped_note
from rustk.report.charts.learning_curves import curve_panel, legend_of, span_of
from rustk.report.data.aggregate import MERIT
from rustk.report.data.numbers import format_mean
from rustk.report.data.words import describe_trial, thesis_number

ORDER = 50
# Nine, as the thesis shows: the two best, the worst, and what lies evenly between.
_EIGHTHS = {
    1: "Upper eighth",
    2: "Upper quartile",
    3: "Above median",
    4: "Median",
    5: "Below median",
    6: "Lower quartile",
    7: "Lower eighth",
}


def describe(data: ChartData) -> Chart | None:
    """AUROC by epoch of up to nine trials; None without a search, or with a single trial to show."""
    aggregate = data.aggregate
    if not aggregate.results.hyperparameters or aggregate.whole[MERIT].notna().sum() < 2:
        return None
    examples = choose_examples(aggregate.whole)
    span = span_of([data.curves[int(row["trial"])] for _, row in examples], "auroc", data.floor)
    panels = []
    for label, row in examples:
        trial = int(row["trial"])
        panel = curve_panel(data, trial, data.curves[trial], row, "auroc", span)
        if panel is not None:
            notes = (str(row["note"]),) if row["note"] else ()
            heading = (f"{label}: {format_mean(row[MERIT])}", describe_trial(aggregate, trial), *notes)
            panels.append(type(panel)(**{**vars(panel), "heading": heading}))
    legend = [*legend_of("folds"), Key("best", "best mean validation", "-o")]
    if data.floor is not None:
        legend.append(Key("floor", f"{data.floor_title.lower()} {format_mean(data.floor)}"))
    told = "; ".join(f"{label} {format_mean(row[MERIT], row[f'{MERIT}_sd'])}" for label, row in examples)
    return Chart(
        name="example-trials",
        number=thesis_number(aggregate.results, "example-trials"),
        title=f"{aggregate.results.title}: example trials",
        note=data.notes,
        caption=f"{aggregate.results.title}: AUROC by epoch of example trials from the best to the worst, with the "
        f"greatest mean validation AUROC of each (dotted).{dropped_note(aggregate)}",
        alt=f"Learning curves of example trials. Greatest mean validation AUROC: {told}.",
        panels=tuple(panels),
        columns=3,
        height=1.45,
        shared=True,
        legend=tuple(legend),
    )


def choose_examples(trials: pd.DataFrame) -> list[tuple[str, Any]]:
    """(label, row) of the two best trials, the worst, and those at the eighths of the ranking; each trial once."""
    ranked = trials[trials[MERIT].notna()]
    last = len(ranked) - 1
    places: dict[int, str] = {round(eighth * last / 8): label for eighth, label in _EIGHTHS.items()}
    # What has a name of its own keeps it, where places fall together.
    places |= {round(last / 4): "Upper quartile", round(3 * last / 4): "Lower quartile", round(last / 2): "Median"}
    places |= {1: "Second best", last: "Worst", 0: "Best"}
    chosen = [place for place in sorted(places) if place <= last]
    if len(chosen) > 9:  # the two best beside the eighths make ten
        chosen.remove(round(last / 8))
    return [(f"{places[place]} (rank {place + 1})", ranked.iloc[place]) for place in chosen]
