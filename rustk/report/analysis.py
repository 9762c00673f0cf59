"""One run, evaluated: everything the page says about it, or why it can't be said.

A run may lack its predictions, its folds or its dataset (others wrote it, or the store was cleared). What then can't
be computed is named in `Analysis.absent` with the reason; nothing is filled in.
"""

from dataclasses import dataclass, field

import numpy as np

from rustk.metrics import thresholded
from rustk.metrics.bootstrap import Interval
from rustk.report.aggregate import MERIT, Aggregate, describe_folds
from rustk.report.audit import audit_leakage
from rustk.report.cohort import Cohort, develop_cohort
from rustk.report.effect import Effect, audit_hyperparameters, hyperparameter_effects
from rustk.report.evaluation import Evaluation, evaluate, resamples_of
from rustk.report.findings import Finding, by_severity
from rustk.report.floor import view_floor
from rustk.report.selection_bias import Choice, weigh_choice
from rustk.vocabulary.labels import LABELS

SEED = 0
# A macro AUROC this little below the floor, or anything above it, may come from the view alone.
_NEAR_FLOOR = 0.02
_REPRODUCED = 1e-6


@dataclass(frozen=True)
class Analysis:
    """What is known of a run. Fields are None where `absent` says why."""

    aggregate: Aggregate
    cohort: Cohort | None
    floor: Evaluation | None
    best: Evaluation | None  # of the best trial at its best epoch
    above_floor: dict[str, Interval]  # best minus floor for each figure, paired
    choice: Choice | None
    findings: tuple[Finding, ...]
    effects: tuple[Effect, ...]
    absent: tuple[str, ...] = field(default=())

    @property
    def trial(self) -> int:
        return int(self.aggregate.best["trial"])

    @property
    def epoch(self) -> int:
        return int(self.aggregate.best["epoch"])

    @property
    def flagged(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.flagged)


def analyse(aggregate: Aggregate, seed: int = SEED) -> Analysis:
    """Evaluate a run from its tables. `seed` draws the resamples: same run and seed, same numbers.

    Raises BadData for files that contradict each other, and when no trial has a figure of merit.
    """
    results = aggregate.results
    trial, epoch = int(aggregate.best["trial"]), int(aggregate.best["epoch"])
    absent: list[str] = list(results.warnings)
    findings = audit_hyperparameters(results) + _audit_completeness(aggregate)
    cohort = _cohort(aggregate, absent)
    floor = best = choice = None
    above: dict[str, Interval] = {}
    if cohort is not None and results.index is not None:
        findings += audit_leakage(results.index, cohort)
        missing = [fold for at, fold in results.missing if at == trial]
        judged = cohort.take(~np.isin(cohort.folds, missing))
        weights = resamples_of(judged, seed)
        known_by_view = view_floor(cohort)
        floor = evaluate(judged, known_by_view[~np.isin(cohort.folds, missing)], weights)
        if results.has_predictions(trial):
            what = f"run {results.run} trial {trial} epoch {epoch}"
            probabilities = judged.align(results.predictions(trial, epoch=epoch), what)
            findings.append(_audit_reproduction(aggregate, judged, probabilities))
            best = evaluate(judged, probabilities, weights)
            above = {key: figure.minus(floor[key]) for key, figure in best.figures.items()}
            findings.append(audit_view_shortcut(best, floor))
            choice = weigh_choice(aggregate, cohort, known_by_view, seed)
            if choice is None:
                absent.append("The correction for choosing the best trial: no trial has predictions of every fold.")
            elif choice.left_out:
                named = ", ".join(map(str, choice.left_out))
                plural = "s" if len(choice.left_out) > 1 else ""
                absent.append(f"Trial{plural} {named} in the correction for choosing: not every fold has predictions.")
        else:
            absent.append(
                "Exact and in-view AUROC, kappa, intervals, calibration and the correction for choosing: the run "
                f"has no predictions of its best trial, {trial}."
            )
    return Analysis(
        aggregate=aggregate,
        cohort=cohort,
        floor=floor,
        best=best,
        above_floor=above,
        choice=choice,
        findings=by_severity(findings),
        effects=tuple(hyperparameter_effects(results)),
        absent=tuple(absent),
    )


def _cohort(aggregate: Aggregate, absent: list[str]) -> Cohort | None:
    results = aggregate.results
    lacking = [
        name
        for name, found in (("folds.parquet", results.folds), ("the dataset's index.parquet", results.index))
        if found is None
    ]
    if results.folds is None or results.index is None:
        absent.append(
            "The view floor, the leakage audit, exact and in-view AUROC, kappa, intervals, calibration and the "
            f"correction for choosing: this run lacks {' and '.join(lacking)}."
        )
        return None
    return develop_cohort(results.index, results.folds)


def audit_view_shortcut(best: Evaluation, floor: Evaluation) -> Finding:
    """Whether what the best trial scores can be had from the view alone."""
    within, pooled, known = best["auroc_in_view"].interval, best["auroc_200"].value, floor["auroc_200"].value
    bounds = f"{within.value:.3f} [{within.low:.3f}, {within.high:.3f}]"
    if np.isnan(within.value) or np.isnan(within.low):
        return Finding("view-shortcut", "note", "In-view AUROC is undefined: no view and fold has a pair to rank.")
    if within.low > 0.5:
        sentence = f"The best trial ranks images of one view above chance: in-view AUROC {bounds}."
        return Finding("view-shortcut", "clean", sentence)
    if pooled >= known - _NEAR_FLOOR:
        return Finding(
            "view-shortcut",
            "fault",
            f"The best trial may know nothing but the view: among images of one view it ranks no better than chance "
            f"(in-view AUROC {bounds}), and its macro AUROC of {pooled:.3f} is about what the view alone scores "
            f"({known:.3f}).",
        )
    sentence = (
        f"The best trial ranks images of one view no better than chance (in-view AUROC {bounds}), and its macro AUROC "
        f"of {pooled:.3f} is below what the view alone scores ({known:.3f})."
    )
    return Finding("view-shortcut", "warning", sentence)


def _audit_completeness(aggregate: Aggregate) -> list[Finding]:
    results, findings = aggregate.results, []
    if results.missing:
        planned = len(results.trials) * results.planned_folds
        sentence = (
            f"{len(results.missing):,} of {planned:,} planned folds are missing: the means of their trials are over "
            "fewer folds than planned."
        )
        findings.append(Finding("missing", "warning", sentence, (describe_folds(results.missing),)))
    if results.diverged:
        details = tuple(f"trial {t} fold {f} at epoch {epoch}" for (t, f), epoch in results.diverged.items())
        sentence = f"{len(results.diverged):,} folds diverged (their loss was no longer finite) and ended early."
        findings.append(Finding("diverged", "warning", sentence, details))
    return findings


def _audit_reproduction(aggregate: Aggregate, cohort: Cohort, probabilities: np.ndarray) -> Finding:
    """Whether the histories' AUROC follows from the stored predictions and the index's labels."""
    best = aggregate.best
    trial, epoch = int(best["trial"]), int(best["epoch"])
    rows = aggregate.results.histories
    recorded = rows[(rows["trial"] == trial) & (rows["epoch"] == epoch)].set_index("fold")[MERIT]
    worst, worst_fold = 0.0, -1
    for fold in np.unique(cohort.folds):
        here = cohort.folds == fold
        found = thresholded.auroc(cohort.truth[here].astype(np.float32), probabilities[here])
        if (difference := abs(found - float(recorded[fold]))) > worst:
            worst, worst_fold = difference, int(fold)
    if worst > _REPRODUCED:
        return Finding(
            "reproduction",
            "fault",
            f"The stored predictions of trial {trial} don't give the val_auroc of its history: fold {worst_fold} "
            f"differs by {worst:.2g} at epoch {epoch}. Labels, predictions and history are not of one run.",
        )
    by_fold = [cohort.truth[cohort.folds == fold] for fold in np.unique(cohort.folds)]
    undefined = sum(int((labels.all(axis=0) | ~labels.any(axis=0)).sum()) for labels in by_fold)
    if undefined:
        cells = len(by_fold) * len(LABELS)
        return Finding(
            "reproduction",
            "note",
            f"In {undefined} of {cells} pairs of a label and a fold there is nothing to rank; the studies' figure "
            "counts those as 0, as Keras does, and is lower for it. The exact figures leave them out.",
        )
    sentence = "The stored predictions give the history's val_auroc of the best trial in every fold, within 1e-6."
    return Finding("reproduction", "clean", sentence)
