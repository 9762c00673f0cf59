"""A run's report: its tables and figures as files, by their path below the report's folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rustk.report.aggregate import Aggregate
from rustk.report.figures import Drawing, run_figures
from rustk.report.results import RunResults
from rustk.report.table_formats import Table
from rustk.report.tables import run_tables

TABLES = "tables"
FIGURES = "figures"


@dataclass(frozen=True)
class Report:
    """What is said of a run (or of several compared), before it is written anywhere."""

    tables: tuple[Table, ...]
    figures: tuple[Drawing, ...] = ()

    def files(self) -> dict[str, bytes]:
        """Path below the report's folder to content: tables/best-trials.csv, figures/search-heat-map.svg, ...

        Figures are drawn here, which is what takes time.
        """
        return {
            **_below(TABLES, (table.files() for table in self.tables)),
            **_below(FIGURES, (drawing.files() for drawing in self.figures)),
        }


def make_report(aggregate: Aggregate, *, floor: float | None = None) -> Report:
    """The tables and figures of one run.

    floor: what knowing only the view scores by the figure of merit on the same folds, where that is known.
    Raises BadData when no trial has a figure of merit.
    """
    note = weights_note(aggregate.results)
    return Report(
        tables=tuple(run_tables(aggregate, floor=floor, note=note)),
        figures=tuple(run_figures(aggregate, floor=floor, note=note)),
    )


def weights_note(results: RunResults) -> str:
    """What must be said of a run whose frozen backbone was never trained: its figures are no one's result."""
    model: Any = results.study["study"].get("model")
    weights: Any = results.study.get("weights")
    if not isinstance(model, dict) or model.get("trainable") is not False:
        return ""
    name = weights.get("name") if isinstance(weights, dict) else model.get("weights")
    return "frozen backbone with random weights" if name == "random" else ""


def _below(folder: str, parts: Iterable[dict[str, bytes]]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for part in parts for name, data in part.items()}
