"""What an audit is asked, and what it says: one sentence, how bad it is, and the particulars.

A file of this folder is a question: its `audit(context)` answers it in findings, and its `ORDER` says where it stands
among those of one severity. That is all: a new file is a new question of every report.
"""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rustk.report.data.aggregate import Aggregate
from rustk.report.data.cohort import Cohort
from rustk.report.data.evaluated import Evaluation
from rustk.report.data.results import RunResults
from rustk.vocabulary.kinds import kinds

# fault: figures are wrong or biased by it. warning: they may be read wrongly. note: something could not be checked.
Severity = Literal["fault", "warning", "note", "clean"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note", "clean")

_ROOM = "report/audits"


@dataclass(frozen=True)
class Finding:
    key: str
    severity: Severity
    sentence: str
    details: tuple[str, ...] = ()

    @property
    def flagged(self) -> bool:
        """Whether a reader must see it before any number."""
        return self.severity in ("fault", "warning")


@dataclass(frozen=True)
class Context:
    """What is known of a run when it is audited; an audit that lacks what it needs finds nothing.

    cohort: the images that the folds were cut from. judged: those of them that the best trial was validated on, and
    probabilities [n, L]: what it predicted of them at its best epoch. floor, best: evaluations over `judged`. unlike:
    (trial, epoch, fold) of what it was chosen from whose predictions don't give the figure that is recorded.
    """

    aggregate: Aggregate
    cohort: Cohort | None = None
    judged: Cohort | None = None
    floor: Evaluation | None = None
    probabilities: NDArray[np.float32] | None = None
    best: Evaluation | None = None
    unlike: tuple[tuple[int, int, int], ...] = ()

    @property
    def results(self) -> RunResults:
        return self.aggregate.results


def run_audits(context: Context) -> tuple[Finding, ...]:
    """The findings of every question, the worst first. Raises BadData for files that contradict each other."""
    modules = [importlib.import_module(f"rustk.{_ROOM.replace('/', '.')}.{name}") for name in kinds(_ROOM)]
    modules.sort(key=lambda module: module.ORDER)
    return by_severity(finding for module in modules for finding in module.audit(context))


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; the order within a severity is kept."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def first_few(items: list[str], limit: int = 8) -> tuple[str, ...]:
    """At most `limit` particulars, and how many were left out."""
    left_out = len(items) - limit
    return (*items[:limit], f"and {left_out:,} more") if left_out > 0 else tuple(items)
