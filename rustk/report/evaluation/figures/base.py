"""A figure as a specification: what it is called, how it is drawn, what chance gives, and how it is computed.

A file of this folder is a group of figures: its `figures(instrument)` lists their specifications, and its `ORDER` says
where the group stands among the others. That is all: a new file's figures appear in the page's table, on the card of a
final model and in the checklist.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics.bootstrap import resampled_auroc
from rustk.metrics.decisions import Decisions, decisions
from rustk.metrics.ordinal import expected_score, most_probable_score
from rustk.metrics.ranking import FloatArray, IntArray, Weights
from rustk.report.data.cohort import Cohort
from rustk.report.data.evaluated import Better
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.kinds import kinds

_ROOM = "report/evaluation/figures"


@dataclass(frozen=True)
class Totals:
    """The instrument's total of v visits: each array [v]."""

    true: FloatArray
    expected: FloatArray  # sums of the sites' expected scores
    decided: FloatArray  # sums of the sites' most probable scores
    clusters: IntArray  # whose visit it is


@dataclass(frozen=True)
class Judged:
    """What figures are computed from: probabilities [n, L] of a cohort's n images, under R resamples of its patients.

    columns: the patients' multiplicities [patients, 1 + R]; in the first each patient is drawn once, which is the
    figure itself. What several figures share is computed once.
    """

    cohort: Cohort
    probabilities: NDArray[np.float32]
    columns: Weights

    @property
    def instrument(self) -> Instrument:
        return self.cohort.instrument

    @cached_property
    def per_image(self) -> Weights:
        """How often each image is drawn, [n, 1 + R]."""
        return self.columns[self.cohort.clusters]

    @cached_property
    def auroc(self) -> FloatArray:
        """Exact AUROC of each label, the mean over the folds, [L, 1 + R]."""
        cohort = self.cohort
        return resampled_auroc(
            cohort.truth, self.probabilities, cohort.folds, cohort.clusters, self.columns, mean_of_strata=True
        )

    @cached_property
    def in_view_auroc(self) -> FloatArray:
        """Exact AUROC of each label over the pairs within one view and fold, [L, 1 + R]."""
        cohort = self.cohort
        return resampled_auroc(
            cohort.truth,
            self.probabilities,
            cohort.view_and_fold,
            cohort.clusters,
            self.columns,
            cohort.label_in_view,
        )

    @cached_property
    def decided(self) -> Decisions:
        """Precision, recall and F1 of each label at 0.5, each [L, 1 + R]."""
        return decisions(self.cohort.truth, self.probabilities, weights=self.per_image)

    def site_probabilities(self, number: int) -> NDArray[np.float32]:
        """The probabilities of the scores of the site of this number, [n, its scores]."""
        return self.probabilities[:, self.instrument.site_columns[number]]

    @cached_property
    def totals(self) -> Totals:
        """The totals of the visits of which every site is scored, true and as predicted."""
        return visit_totals(self.cohort, self.probabilities)


@dataclass(frozen=True)
class FigureSpec:
    """One figure. `compute` gives it and its resamples, [1 + R], or, of a mean over labels, each label's,
    [labels, 1 + R] with NaN where a label has none. `note`: what a reader must know of it on these images."""

    key: str
    title: str
    compute: Callable[[Judged], FloatArray]
    bounds: tuple[float, float] = (0.0, 1.0)
    chance: float | None = None
    better: Better = "higher"
    note: Callable[[Judged], str] = lambda judged: ""


def figure_specs(instrument: Instrument) -> list[FigureSpec]:
    """Every figure of an instrument, group by group."""
    groups = [importlib.import_module(f"rustk.{_ROOM.replace('/', '.')}.{name}") for name in kinds(_ROOM)]
    return [spec for group in sorted(groups, key=lambda group: group.ORDER) for spec in group.figures(instrument)]


def site_title(instrument: Instrument, site: str) -> str:
    """`upper zone`; of an instrument with one site, its name alone."""
    return site if len(instrument.sites) == 1 else f"{site} {instrument.words.site}"


def visit_totals(cohort: Cohort, probabilities: NDArray[np.float32]) -> Totals:
    """The totals of the visits of which every site is scored, true and as predicted from `probabilities` [n, L].

    A visit is a patient's, with both known; with a single view, which shows every site, an image of no known visit is
    one of its own. Where several images of a visit score the same site, their scores are averaged, and so are the
    scores predicted from just those images; the total is the sum over the sites.
    """
    instrument = cohort.instrument
    table = pd.DataFrame({"patient": cohort.patients, "visit": cohort.visits, "cluster": cohort.clusters})
    for number, (site, columns) in enumerate(zip(instrument.sites, instrument.site_columns, strict=True)):
        given, scored = probabilities[:, columns], cohort.scored[:, number]
        for kind, scores in (
            ("true", cohort.scores[:, number]),
            ("expected", expected_score(given, site.scores)),
            ("decided", most_probable_score(given, site.scores)),
        ):
            table[f"{kind}_{site.name}"] = np.where(scored, scores, np.nan)
    unknown = table["patient"].isna() | table["visit"].isna()
    table["image"] = np.where(unknown, np.arange(len(table)), -1)
    if len(instrument.views) > 1:
        table = table[~unknown]
    by_visit = table.groupby(["patient", "visit", "image"], sort=True, dropna=False)
    visits = by_visit.mean(numeric_only=True).dropna()
    true, expected, decided = (
        visits[[f"{kind}_{site}" for site in instrument.site_names]].sum(axis=1).to_numpy(dtype=np.float64)
        for kind in ("true", "expected", "decided")
    )
    return Totals(true, expected, decided, visits["cluster"].to_numpy().astype(np.intp))
