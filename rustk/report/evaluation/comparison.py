"""Several runs side by side: each one's figure with its interval, and every pair's difference with its p-value.

Two runs are compared in two ways, each where it holds. Over patients: the difference of a figure on the same
resamples of the same images (any folds). Over folds: the Nadeau-Bengio test, when both runs cut the same folds; its
p-values are Holm-adjusted over all pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rustk.metrics.bootstrap import Interval
from rustk.metrics.comparison import PairedTest, corrected_resampled_t_test, holm
from rustk.report.data.aggregate import MERIT
from rustk.report.data.evaluated import Evaluation, Figure
from rustk.report.evaluation.analysis import Analysis

COMPARED = ("auroc_200", "auroc_in_view", "kappa_mean", "mae_mean", "kappa_total", "mae_total")


@dataclass(frozen=True)
class Pair:
    """Two runs' best trials, first minus second."""

    first: str
    second: str
    differences: dict[str, Interval]  # by figure; empty where `reason` says why
    test: PairedTest | None  # of val_auroc over the folds
    adjusted_p: float  # Holm, over all tested pairs; NaN untested
    reasons: tuple[str, ...]  # why something of the above is not there
    drawn: str = "patients"  # what the differences' resamples are drawn of


def compare(analyses: Sequence[Analysis]) -> list[Pair]:
    """Every pair of the runs, in the order given."""
    pairs = [_compare(first, second) for first, second in combinations(analyses, 2)]
    adjusted = holm([pair.test.p if pair.test else float("nan") for pair in pairs])
    return [replace(pair, adjusted_p=float(p)) for pair, p in zip(pairs, adjusted, strict=True)]


def _compare(first: Analysis, second: Analysis) -> Pair:
    reasons = []
    differences: dict[str, Interval] = {}
    if first.best is None or second.best is None or first.cohort is None or second.cohort is None:
        reasons.append("no interval of the difference: not both runs have predictions, folds and dataset")
    elif first.cohort.instrument.encoding() != second.cohort.instrument.encoding():
        reasons.append("no interval of the difference: the runs score by different instruments")
    elif first.best.images != second.best.images or not _same_images(first, second):
        reasons.append("no interval of the difference: the runs were validated on different images")
    else:
        differences = {
            key: figure.minus(other)
            for key in COMPARED
            if (figure := compared_figure(first.best, key)) and (other := compared_figure(second.best, key))
        }
    test = None
    if (why := _different_folds(first, second)) is not None:
        reasons.append(f"no test over folds: {why}")
    else:
        test = corrected_resampled_t_test(_fold_figures(first), _fold_figures(second))
    runs = first.aggregate.results.run, second.aggregate.results.run
    return Pair(*runs, differences, test, float("nan"), tuple(reasons), first.drawn)


def compared_figure(evaluation: Evaluation, key: str) -> Figure | None:
    """The figure of a key of `COMPARED`: of an instrument with one site, the mean over the sites is that site's."""
    if key.endswith("_mean") and len(evaluation.sites) == 1:
        key = key.removesuffix("mean") + evaluation.sites[0].site
    return evaluation.figures.get(key)


def _same_images(first: Analysis, second: Analysis) -> bool:
    one, other = first.cohort, second.cohort
    return one is not None and other is not None and bool(np.array_equal(one.sample_ids, other.sample_ids))


def _different_folds(first: Analysis, second: Analysis) -> str | None:
    """Why the folds can't be paired; None when they can."""
    one, other = first.aggregate.results, second.aggregate.results
    if one.planned_folds != other.planned_folds:
        return f"{one.planned_folds} folds of one run, {other.planned_folds} of the other"
    if one.folds is None or other.folds is None:
        return "not both runs have a folds.parquet that says which images each fold holds"
    sides = [run.folds.sort_values("sample_id", ignore_index=True) for run in (one, other) if run.folds is not None]
    if not sides[0].equals(sides[1]):
        return "the runs cut different folds"
    if len(_fold_figures(first)) != one.planned_folds or len(_fold_figures(second)) != one.planned_folds:
        return "a fold is missing"
    return None


def _fold_figures(analysis: Analysis) -> list[float]:
    """val_auroc of the best trial at its best epoch, by fold."""
    rows = analysis.aggregate.results.histories
    here = rows[(rows["trial"] == analysis.trial) & (rows["epoch"] == analysis.epoch)]
    return here.sort_values("fold")[MERIT].tolist()
