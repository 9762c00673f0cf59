"""Everything a reviewer asks about one set of predictions, with intervals: docs/evaluation.md explains each figure.

The same function evaluates a trial's out-of-fold predictions, the view floor and a final model on the test split, so
that their figures can be set side by side, and subtracted: all are counted on the same resamples of the same
patients.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics.bootstrap import RESAMPLES, Interval, multiplicities, percentile_interval, resampled_auroc
from rustk.metrics.calibration import Reliability, reliability
from rustk.metrics.decisions import decisions
from rustk.metrics.ordinal import (
    confusion,
    expected_score,
    mean_absolute_error,
    most_probable_score,
    quadratic_weighted_kappa,
    rounded,
)
from rustk.metrics.ranking import FloatArray, IntArray, Weights, keras_bins, macro, mean_defined
from rustk.metrics.selection import figure_under_weights
from rustk.report.cohort import Cohort
from rustk.vocabulary.labels import CORTICES, LABELS, SCORES, VIEW_LABELS

_CORTEX_COLUMNS = slice(len(VIEW_LABELS), len(LABELS))
TOTAL_SCORES = range(len(CORTICES) * min(SCORES), len(CORTICES) * max(SCORES) + 1)  # the RUST total, 4 to 16


@dataclass(frozen=True)
class Figure:
    """One number about predictions, with its interval and what a reader must know of it."""

    key: str
    title: str
    interval: Interval
    better: str = "higher"  # or "lower"
    chance: float | None = None  # what no knowledge at all scores, where that is a fixed number
    undefined: int = 0  # labels that had no value and are not in the mean
    note: str = ""
    resampled: FloatArray = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @property
    def value(self) -> float:
        return self.interval.value

    def minus(self, other: "Figure") -> Interval:
        """The paired difference to `other`, counted on the same resamples, with its interval."""
        return percentile_interval(self.value - other.value, self.resampled - other.resampled)


@dataclass(frozen=True)
class CortexAgreement:
    """One cortex, over the images on which it is scored."""

    cortex: str
    confusion: FloatArray  # [4, 4]: true score x predicted score
    calibration: Reliability  # of its four labels together, over the images of its view


@dataclass(frozen=True)
class Evaluation:
    """All figures of one set of predictions over one cohort."""

    figures: dict[str, Figure]
    labels: pd.DataFrame  # one row a label: label, images, auroc, in_view_auroc, precision, recall, f1 (NaN: undefined)
    cortices: tuple[CortexAgreement, ...]
    images: int
    patients: int
    visits: int  # with a RUST total

    def __getitem__(self, key: str) -> Figure:
        return self.figures[key]


def resamples_of(cohort: Cohort, seed: int, resamples: int = RESAMPLES) -> Weights:
    """The patients' multiplicities [patients, R] to evaluate a cohort with."""
    return multiplicities(cohort.cluster_count, resamples, seed)


def evaluate(cohort: Cohort, probabilities: NDArray[np.float32], weights: Weights) -> Evaluation:
    """Evaluate probabilities [n, 18] of the cohort's images, with resamples `weights` [patients, R].

    The AUROCs named after folds are means over the folds; in-view ones are counted over pairs within one view and fold.
    """
    # The figure itself is one more resample, that in which every patient is drawn once.
    columns = np.concatenate([np.ones((len(weights), 1), dtype=weights.dtype), weights], axis=1)
    per_image = columns[cohort.clusters]
    area = resampled_auroc(cohort.truth, probabilities, cohort.folds, cohort.clusters, columns, mean_of_strata=True)
    in_view = resampled_auroc(
        cohort.truth, probabilities, cohort.view_and_fold, cohort.clusters, columns, cohort.label_in_view
    )
    decided = decisions(cohort.truth, probabilities, weights=per_image)
    binned = figure_under_weights(cohort.truth, keras_bins(probabilities), cohort.folds, cohort.clusters, columns)

    figures = [
        _figure("auroc_200", "Macro AUROC, 18 labels, 200 thresholds (the studies' figure)", binned, 0.5),
        _macro_figure("auroc_18", "Macro AUROC, 18 labels, exact", area, 0.5),
        _macro_figure("auroc_16", "Macro AUROC, 16 cortex labels, exact", area[_CORTEX_COLUMNS], 0.5),
        _macro_figure("auroc_in_view", "In-view AUROC, 16 cortex labels, exact", in_view[_CORTEX_COLUMNS], 0.5),
    ]
    agreements, ordinal = _cortices(cohort, probabilities, per_image)
    totals, total_figures = _totals(cohort, probabilities, columns)
    parts = [("Precision", decided.precision), ("Recall", decided.recall), ("F1", decided.f1)]
    figures += [*ordinal, *total_figures]
    figures += [_macro_figure(name.lower(), f"{name} at 0.5, macro, 18 labels", values) for name, values in parts]
    labels = pd.DataFrame(
        {
            "label": LABELS,
            "images": cohort.truth.sum(axis=0),
            "auroc": area[:, 0],
            "in_view_auroc": in_view[:, 0],
            **{name.lower(): values[:, 0] for name, values in parts},
        }
    )
    return Evaluation(
        {figure.key: figure for figure in figures}, labels, agreements, len(cohort), cohort.cluster_count, totals
    )


def _figure(
    key: str, title: str, values: FloatArray, chance: float | None = None, better: str = "higher", note: str = ""
) -> Figure:
    """From [1 + R] values, the figure first."""
    interval = percentile_interval(float(values[0]), values[1:])
    return Figure(key, title, interval, better, chance, note=note, resampled=values[1:])


def _macro_figure(key: str, title: str, by_label: FloatArray, chance: float | None = None) -> Figure:
    """From values [labels, 1 + R]. A label that a resample happens to lack is left out of that resample's mean."""
    undefined = macro(by_label[:, 0]).undefined
    values = mean_defined(by_label, axis=0)
    interval = percentile_interval(float(values[0]), values[1:])
    return Figure(key, title, interval, chance=chance, undefined=undefined, resampled=values[1:])


def _cortices(
    cohort: Cohort, probabilities: NDArray[np.float32], per_image: Weights
) -> tuple[tuple[CortexAgreement, ...], list[Figure]]:
    agreements, kappas, errors = [], [], []
    for number, cortex in enumerate(CORTICES):
        labels = slice(_CORTEX_COLUMNS.start + 4 * number, _CORTEX_COLUMNS.start + 4 * number + 4)
        rows, seen = cohort.scored[:, number], cohort.cortex_in_view[:, number]
        score = expected_score(probabilities[rows, labels])
        true, decided = cohort.scores[rows, number], most_probable_score(probabilities[rows, labels])
        places = true.astype(np.intp) - 1, decided - 1
        kappa = quadratic_weighted_kappa(confusion(*places, len(SCORES), per_image[rows]))
        error = mean_absolute_error(true, score, per_image[rows])
        kappas.append(_figure(f"kappa_{cortex}", f"Quadratic weighted kappa, {cortex} cortex", kappa, 0.0))
        errors.append(_figure(f"mae_{cortex}", f"Mean absolute error, {cortex} cortex", error, better="lower"))
        curve = reliability(cohort.truth[seen, labels], probabilities[seen, labels])
        agreements.append(CortexAgreement(cortex, confusion(*places, len(SCORES)), curve))
    return tuple(agreements), kappas + errors


def _totals(cohort: Cohort, probabilities: NDArray[np.float32], columns: Weights) -> tuple[int, list[Figure]]:
    """(visits with a RUST total, its figures)."""
    totals = rust_totals(cohort, probabilities)
    per_visit, low = columns[totals.clusters], TOTAL_SCORES.start
    places = rounded(totals.true) - low, rounded(totals.decided) - low
    kappa = quadratic_weighted_kappa(confusion(*places, len(TOTAL_SCORES), per_visit))
    error = mean_absolute_error(totals.true, totals.expected, per_visit)
    note = "" if len(totals.true) else "no visit of a known patient has scores of all four cortices"
    return len(totals.true), [
        _figure("kappa_total", "Quadratic weighted kappa, RUST total", kappa, 0.0, note=note),
        _figure("mae_total", "Mean absolute error, RUST total", error, better="lower", note=note),
    ]


@dataclass(frozen=True)
class RustTotals:
    """The RUST total, 4 to 16, of v visits: each array [v]."""

    true: FloatArray
    expected: FloatArray  # sums of the cortices' expected scores
    decided: FloatArray  # sums of the cortices' most probable scores
    clusters: IntArray  # whose visit it is


def rust_totals(cohort: Cohort, probabilities: NDArray[np.float32]) -> RustTotals:
    """The totals of the visits whose four cortices are scored, true and as predicted.

    A visit is a patient's, with both known. Where several of its images score the same cortex, their scores are
    averaged, and so are the scores predicted from just those images; the total is the sum over the four cortices.
    """
    four = probabilities[:, _CORTEX_COLUMNS].reshape(len(cohort), len(CORTICES), len(SCORES))
    kinds = {"true": cohort.scores, "expected": expected_score(four), "decided": most_probable_score(four)}
    table = pd.DataFrame({"patient": cohort.patients, "visit": cohort.visits, "cluster": cohort.clusters})
    for kind, scores in kinds.items():
        for number, cortex in enumerate(CORTICES):
            table[f"{kind}_{cortex}"] = np.where(cohort.scored[:, number], scores[:, number], np.nan)
    known = table.dropna(subset=["patient", "visit"])
    visits = known.groupby(["patient", "visit"], sort=True).mean(numeric_only=True).dropna()
    true, expected, decided = (
        visits[[f"{kind}_{cortex}" for cortex in CORTICES]].sum(axis=1).to_numpy(dtype=np.float64) for kind in kinds
    )
    return RustTotals(true, expected, decided, visits["cluster"].to_numpy().astype(np.intp))
