"""A run's report before it is written anywhere: its tables and charts, by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rustk.report.charts import early_charts, run_charts
from rustk.report.charts.base import Chart
from rustk.report.charts.base.data import ChartData
from rustk.report.data.aggregate import Aggregate
from rustk.report.data.race import race_of
from rustk.report.data.words import weights_note
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.floor import floor_title
from rustk.report.evaluation.sealed import SealedTest
from rustk.report.methods.composing import Methods, write_methods
from rustk.report.page.checklist import checklist_table, filled_items
from rustk.report.tables.evaluation import context_of, effects, figures, labels, scores
from rustk.report.tables.race import race_table
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
    methods: Methods

    @property
    def floor(self) -> float | None:
        """What a predictor that looks at no image scores by the study's own figure of merit."""
        return self.data.floor

    @property
    def first_table(self) -> Table:
        """What is shown first of the run: its best trials or, without a search, its metrics."""
        return next(iter(self.tables.values()))


def describe_early(aggregate: Aggregate, floor: float | None) -> dict[str, Chart | None]:
    """By kind, the charts that need no analysis, so that they can be printed while it is computed.

    floor: what a predictor that looks at no image scores by the figure of merit, None where it is not known.
    """
    results = aggregate.results
    title = floor_title(results.instrument)
    return early_charts(
        ChartData.of(aggregate, floor=floor, floor_title=title, note=weights_note(results), pending=True)
    )


def make_report(
    analysis: Analysis, sealed: SealedTest | None = None, early: Mapping[str, Chart | None] | None = None
) -> Report:
    """The tables and charts of one run. early: the charts that were described already.

    Raises BadData when no trial has a figure of merit.
    """
    aggregate, context = analysis.aggregate, context_of(analysis)
    results = aggregate.results
    data = ChartData.of(
        aggregate,
        floor=context.floor,
        floor_title=context.floor_title,
        note=weights_note(results),
        analysed=analysis,
    )
    tables = run_tables(aggregate, context)
    if results.index is not None and results.instrument is not None:
        tables.append(scores(results.index, results.instrument))
    if analysis.effects:
        tables.append(effects(analysis.effects))
    if analysis.best is not None:
        tables += [figures(analysis), labels(analysis)]
    if (race := race_of(results)) is not None:
        tables.append(race_table(results, race))
    tables.append(checklist_table(filled_items(analysis, sealed)))
    charts = run_charts(data, early)
    return Report(
        analysis,
        sealed,
        data,
        {table.name: table for table in tables},
        {chart.name: chart for chart in charts},
        write_methods(analysis, sealed),
    )


def table_files(tables: Iterable[Table]) -> dict[str, bytes]:
    """Path below the report's folder to content: tables/best-trials.csv, ..."""
    return {f"{TABLES}/{name}": data for table in tables for name, data in table.files().items()}


def chart_paths(files: dict[str, bytes]) -> dict[str, bytes]:
    """Printed charts by their path below the report's folder: figures/search-heat-map.svg, ..."""
    return {f"{FIGURES}/{name}": data for name, data in files.items()}
