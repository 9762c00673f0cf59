"""One run, evaluated: everything the page says about it, or why it can't be said.

A run may lack its predictions, its folds or its dataset (others wrote it, or the store was cleared). What then can't
be computed is named in `Analysis.absent` with the reason; nothing is filled in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from rustk.metrics.bootstrap import Interval
from rustk.report.audits.base import Context, Finding, run_audits
from rustk.report.audits.hyperparameters import Effect, hyperparameter_effects
from rustk.report.data.aggregate import Aggregate
from rustk.report.data.cohort import Cohort, PredictionFiles, develop_cohort
from rustk.report.data.evaluated import Evaluation
from rustk.report.data.race import race_of
from rustk.report.evaluation.evaluate import evaluate, resamples_of
from rustk.report.evaluation.floor import floor_title, view_floor
from rustk.report.evaluation.raced_choice import weigh_raced_choice
from rustk.report.evaluation.selection_bias import Choice, weigh_choice
from rustk.vocabulary import names
from rustk.vocabulary.instrument import Instrument

SEED = 0


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
    def instrument(self) -> Instrument | None:
        return self.aggregate.results.instrument

    @property
    def floor_title(self) -> str:
        """What the floor is called."""
        return floor_title(self.instrument)

    @property
    def drawn(self) -> str:
        """What resamples are drawn of: patients or, where none is known, images."""
        return "patients" if self.floor is None else self.floor.drawn

    @property
    def flagged(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.flagged)


# The matrices are small: threads that share one would spend their time waiting for each other.
@threadpool_limits.wrap(limits=1, user_api="blas")
def analyse(
    aggregate: Aggregate, seed: int = SEED, on_floor: Callable[[float | None], None] = lambda floor: None
) -> Analysis:
    """Evaluate a run from its tables. `seed` draws the resamples: same run and seed, same numbers.

    on_floor: told the floor's figure of merit (None: not known) as soon as it is, long before the rest.

    Raises BadData for files that contradict each other, and when no trial has a figure of merit.
    """
    results = aggregate.results
    trial, epoch = int(aggregate.best["trial"]), int(aggregate.best["epoch"])
    absent: list[str] = list(results.warnings)
    cohort = _cohort(aggregate, absent)
    context, choice = Context(aggregate), None
    above: dict[str, Interval] = {}
    if cohort is not None:
        missing = [fold for at, fold in results.missing if at == trial]
        rows = ~np.isin(cohort.folds, missing)
        judged, known = cohort.take(rows), view_floor(cohort)
        weights = resamples_of(judged, seed)
        floor, best, probabilities = evaluate(judged, known[rows], weights), None, None
        on_floor(floor["auroc_200"].value)
        if results.has_predictions(trial):
            source = PredictionFiles(results.run, trial, epoch)
            probabilities = judged.align(results.predictions(trial, epoch=epoch), source)
            best = evaluate(judged, probabilities, weights)
            above = {key: figure.minus(floor[key]) for key, figure in best.figures.items()}
            race = race_of(results)
            if race is None:
                choice = weigh_choice(aggregate, cohort, known, seed)
            else:
                choice = weigh_raced_choice(aggregate, race, cohort, known, seed)
            absent += _left_out(choice)
        else:
            absent.append(
                "Exact and in-view AUROC, kappa, intervals, calibration and the correction for choosing: the run "
                f"has no predictions of its best trial, {trial}."
            )
        context = Context(aggregate, cohort, judged, floor, probabilities, best, choice.unlike if choice else ())
    else:
        on_floor(None)
    return Analysis(
        aggregate=aggregate,
        cohort=cohort,
        floor=context.floor,
        best=context.best,
        above_floor=above,
        choice=choice,
        findings=run_audits(context),
        effects=tuple(hyperparameter_effects(results)),
        absent=tuple(absent),
    )


def _left_out(choice: Choice | None) -> list[str]:
    """What the correction for choosing could not take into account."""
    if choice is None:
        return ["The correction for choosing the best trial: no trial has predictions of every fold."]
    if not choice.left_out:
        return []
    named = ", ".join(map(str, choice.left_out))
    plural = "s" if len(choice.left_out) > 1 else ""
    return [f"Trial{plural} {named} in the correction for choosing: not every fold has predictions."]


def _cohort(aggregate: Aggregate, absent: list[str]) -> Cohort | None:
    results = aggregate.results
    if results.folds is not None and results.index is not None and results.instrument is not None:
        return develop_cohort(results.index, results.folds, results.instrument, names.folds_key(results.run))
    lacking = [
        name
        for name, found in (("folds.parquet", results.folds), ("the dataset's index.parquet", results.index))
        if found is None
    ]
    absent.append(
        f"The {floor_title(results.instrument).lower()}, the leakage audit, exact and in-view AUROC, kappa, intervals, "
        f"calibration and the correction for choosing: this run lacks {' and '.join(lacking)}."
    )
    return None
