"""The charts of a run. A kind is a file of this folder with ORDER (its place in the report) and `describe(data)`, which
gives the chart, or None where the run has nothing for it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustk.report.charts.base import Chart
    from rustk.report.charts.base.data import ChartData

_ROOM = "report/charts"


def run_charts(data: "ChartData") -> "list[Chart]":
    """Every chart that the run has something for, in order. Raises BadData when no trial has a figure of merit."""
    from rustk.vocabulary.kinds import kinds, load_kind

    found = [load_kind(_ROOM, name, "chart") for name in kinds(_ROOM)]
    charts = (module.describe(data) for module in sorted(found, key=lambda module: module.ORDER))
    return [chart for chart in charts if chart is not None]
