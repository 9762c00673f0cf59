"""A run's report before it is written anywhere: its tables and charts, by name."""

from collections.abc import Iterable
from dataclasses import dataclass

from rustk.report.charts import run_charts
from rustk.report.charts.base import Chart
from rustk.report.charts.base.data import ChartData
from rustk.report.data.words import weights_note
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.sealed import SealedTest
from rustk.report.page.checklist import checklist_table, filled_items
from rustk.report.tables.evaluation import context_of, effects, figures, labels, scores
from rustk.report.tables.run import run_tables
from rustk.report.tables.table import Table

TABLES = "tables"
FIGURES = "figures"
CHART_FORMATS = ("png", "svg", "pdf")
TABLE_FORMATS = ("csv", "md", "tex")


@dataclass(frozen=True)
class Report:
    """What is said of a run. tables and charts: by name, in the order of the report."""

    analysis: Analysis
    sealed: SealedTest | None
    data: ChartData
    tables: dict[str, Table]
    charts: dict[str, Chart]

    @property
    def floor(self) -> float | None:
        """What a predictor that looks at no image scores by the study's own figure of merit."""
        return self.data.floor

    @property
    def first_table(self) -> Table:
        """What is shown first of the run: its best trials or, without a search, its metrics."""
        return next(iter(self.tables.values()))


def make_report(analysis: Analysis, sealed: SealedTest | None = None) -> Report:
    """The tables and charts of one run. Raises BadData when no trial has a figure of merit."""
    aggregate, context = analysis.aggregate, context_of(analysis)
    results = aggregate.results
    data = ChartData.of(
        aggregate,
        floor=context.floor,
        floor_title=context.floor_title,
        note=weights_note(results),
        analysis=analysis,
    )
    tables = run_tables(aggregate, context)
    if results.index is not None and results.instrument is not None:
        tables.append(scores(results.index, results.instrument))
    if analysis.effects:
        tables.append(effects(analysis.effects))
    if analysis.best is not None:
        tables += [figures(analysis), labels(analysis)]
    tables.append(checklist_table(filled_items(analysis, sealed)))
    charts = run_charts(data)
    return Report(
        analysis,
        sealed,
        data,
        {table.name: table for table in tables},
        {chart.name: chart for chart in charts},
    )


def table_files(tables: Iterable[Table]) -> dict[str, bytes]:
    """Path below the report's folder to content: tables/best-trials.csv, ..."""
    return {f"{TABLES}/{name}": data for table in tables for name, data in table.files().items()}


def chart_paths(files: dict[str, bytes]) -> dict[str, bytes]:
    """Printed charts by their path below the report's folder: figures/search-heat-map.svg, ..."""
    return {f"{FIGURES}/{name}": data for name, data in files.items()}
