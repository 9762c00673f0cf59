"""What an audit is asked, of planted runs: as an analysis makes it, on fewer resamples and without the choice."""

from rustk.report.audits.base import Context, run_audits
from rustk.report.data.aggregate import Aggregate
from rustk.report.data.cohort import develop_cohort
from rustk.report.evaluation.evaluate import evaluate, resamples_of
from rustk.report.evaluation.floor import view_floor
from tests.report.planted import Plan, aggregated

_RESAMPLES = 40


def context_of(averaged: Aggregate) -> Context:
    """The context of a whole run."""
    results, best = averaged.results, averaged.best
    assert results.index is not None
    assert results.folds is not None
    assert results.instrument is not None
    cohort = develop_cohort(results.index, results.folds, results.instrument)
    weights = resamples_of(cohort, 0, _RESAMPLES)
    predictions = results.predictions(int(best["trial"]), epoch=int(best["epoch"]))
    probabilities = cohort.align(predictions, "test")
    floor, best_ = evaluate(cohort, view_floor(cohort), weights), evaluate(cohort, probabilities, weights)
    return Context(averaged, cohort, cohort, floor, probabilities, best_)


def flags(plan: Plan) -> dict[str, str]:
    """The sentence of each finding that is flagged, by its key."""
    return {f.key: f.sentence for f in run_audits(context_of(aggregated(plan))) if f.flagged}
