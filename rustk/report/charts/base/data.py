"""What charts are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rustk.report.charts.base import join_notes
from rustk.report.charts.base.curves import TrialCurves, curves_by_trial
from rustk.report.data.aggregate import Aggregate

if TYPE_CHECKING:
    from rustk.report.evaluation.analysis import Analysis


@dataclass(frozen=True)
class ChartData:
    """What charts are made from. floor: what a predictor that looks at no image scores by the figure of merit, None
    where it is not known. analysis: everything else that is known of the run, None where only averages are."""

    aggregate: Aggregate
    floor: float | None = None
    floor_title: str = "View-only floor"
    note: str = ""
    analysis: "Analysis | None" = None
    curves: Mapping[int, TrialCurves] = field(default_factory=dict)

    @classmethod
    def of(cls, aggregate: Aggregate, **more: object) -> "ChartData":
        """The data of a run, its histories grouped by trial once."""
        return cls(aggregate, curves=curves_by_trial(aggregate), **more)  # type: ignore[arg-type]

    @property
    def notes(self) -> str:
        """What stands above every chart of the run."""
        return join_notes(self.aggregate.note, self.note)
