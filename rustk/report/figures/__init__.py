"""The figures of a run."""

from rustk.report.aggregate import MERIT, Aggregate
from rustk.report.figures.curves import example_trials, learning_curves
from rustk.report.figures.search import heat_map, parameter_panels, scatter, search_figure
from rustk.report.figures.style import Drawing

__all__ = [
    "Drawing",
    "example_trials",
    "heat_map",
    "learning_curves",
    "parameter_panels",
    "run_figures",
    "scatter",
    "search_figure",
]


def run_figures(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> list[Drawing]:
    """Every figure of one run: what its search found and example trials, where there was a search, and the best trial's
    learning curves. Raises BadData when no trial has a figure of merit.

    floor: what knowing only the view scores by the same figure of merit. note: said above each (`random weights`).
    """
    curves = learning_curves(aggregate, floor=floor, note=note)
    if not aggregate.results.hyperparameters:
        return [curves]
    found = [search_figure(aggregate, floor=floor, note=note)]
    if aggregate.trials[MERIT].notna().sum() > 1:
        found.append(example_trials(aggregate, floor=floor, note=note))
    return [*found, curves]
