"""What charts are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rustk.report.charts.base import join_notes
from rustk.report.charts.base.curves import TrialCurves, curves_by_trial
from rustk.report.data.aggregate import Aggregate

if TYPE_CHECKING:
    from rustk.report.evaluation.analysis import Analysis


class AnalysisPending(Exception):
    """A chart asked for the analysis of a run before there is one."""


@dataclass(frozen=True)
class ChartData:
    """What charts are made from. floor: what a predictor that looks at no image scores by the figure of merit, None
    where it is not known. analysed: everything else that is known of the run, None where only averages are; with
    `pending` it is still being computed."""

    aggregate: Aggregate
    floor: float | None = None
    floor_title: str = "View-only floor"
    note: str = ""
    analysed: "Analysis | None" = None
    pending: bool = False
    curves: Mapping[int, TrialCurves] = field(default_factory=dict)

    @classmethod
    def of(cls, aggregate: Aggregate, **more: object) -> "ChartData":
        """The data of a run, its histories grouped by trial once."""
        return cls(aggregate, curves=curves_by_trial(aggregate), **more)  # type: ignore[arg-type]

    @property
    def analysis(self) -> "Analysis | None":
        """What is known of the run besides its averages. Raises AnalysisPending: the chart is described later then."""
        if self.pending:
            raise AnalysisPending
        return self.analysed

    @property
    def notes(self) -> str:
        """What stands above every chart of the run."""
        return join_notes(self.aggregate.note, self.note)
