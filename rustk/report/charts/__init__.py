"""The charts of a run. A kind is a file of this folder with ORDER (its place in the report) and `describe(data)`, which
gives the chart, or None where the run has nothing for it."""

import contextlib
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rustk.report.charts.base import Chart
    from rustk.report.charts.base.data import ChartData

_ROOM = "report/charts"


def early_charts(data: "ChartData") -> "dict[str, Chart | None]":
    """By kind, what can be described before the analysis is there (`data.pending`): most charts show averages alone."""
    from rustk.report.charts.base.data import AnalysisPending

    found = {}
    for name, module in _modules().items():
        with contextlib.suppress(AnalysisPending):
            found[name] = module.describe(data)
    return found


def run_charts(data: "ChartData", early: "Mapping[str, Chart | None] | None" = None) -> "list[Chart]":
    """Every chart that the run has something for, in order; those in `early` are not described again.

    Raises BadData when no trial has a figure of merit.
    """
    known = early or {}
    charts = (known[name] if name in known else module.describe(data) for name, module in _modules().items())
    return [chart for chart in charts if chart is not None]


def _modules() -> dict[str, ModuleType]:
    from rustk.vocabulary.kinds import kinds, load_kind

    found = {name: load_kind(_ROOM, name, "chart") for name in kinds(_ROOM)}
    return dict(sorted(found.items(), key=lambda item: item[1].ORDER))
