"""Everything a reviewer asks about one set of predictions, with intervals: docs/evaluation.md explains each figure.

The same function evaluates a trial's out-of-fold predictions, the floor and a final model on the test split, so that
their figures can be set side by side, and subtracted: all are counted on the same resamples of the same patients.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics.bootstrap import RESAMPLES, multiplicities, percentile_interval
from rustk.metrics.calibration import reliability
from rustk.metrics.ordinal import confusion
from rustk.metrics.ranking import Weights, macro, mean_defined
from rustk.report.data.cohort import Cohort
from rustk.report.data.evaluated import Evaluation, Figure, SiteAgreement
from rustk.report.evaluation.figures.agreement import site_places
from rustk.report.evaluation.figures.base import FigureSpec, Judged, figure_specs

__all__ = ["Evaluation", "Figure", "SiteAgreement", "evaluate", "resamples_of"]


def resamples_of(cohort: Cohort, seed: int, resamples: int = RESAMPLES) -> Weights:
    """The patients' multiplicities [patients, R] to evaluate a cohort with."""
    return multiplicities(cohort.cluster_count, resamples, seed)


def evaluate(cohort: Cohort, probabilities: NDArray[np.float32], weights: Weights) -> Evaluation:
    """Evaluate probabilities [n, L] of the cohort's images, with resamples `weights` [patients, R]."""
    columns = np.concatenate([np.ones((len(weights), 1), dtype=weights.dtype), weights], axis=1)
    judged = Judged(cohort, probabilities, columns)
    instrument = cohort.instrument
    labels = pd.DataFrame(
        {
            "label": instrument.labels,
            "images": cohort.truth.sum(axis=0),
            "auroc": judged.auroc[:, 0],
            "in_view_auroc": judged.in_view_auroc[:, 0],
            **{name: getattr(judged.decided, name)[:, 0] for name in ("precision", "recall", "f1")},
        }
    )
    return Evaluation(
        figures={spec.key: _figure(spec, judged) for spec in figure_specs(instrument)},
        labels=labels,
        sites=tuple(_agreement(judged, number) for number in range(len(instrument.sites))),
        images=len(cohort),
        patients=cohort.cluster_count,
        visits=len(judged.totals.true) if instrument.total is not None else 0,
        knows_patients=cohort.knows_patients,
    )


def _figure(spec: FigureSpec, judged: Judged) -> Figure:
    """A label that a resample happens to lack is left out of that resample's mean."""
    values = spec.compute(judged)
    undefined = macro(values[:, 0]).undefined if values.ndim > 1 else 0
    means = mean_defined(values, axis=0) if values.ndim > 1 else values
    return Figure(
        key=spec.key,
        title=spec.title,
        interval=percentile_interval(float(means[0]), means[1:]),
        better=spec.better,
        chance=spec.chance,
        undefined=undefined,
        note=spec.note(judged),
        bounds=spec.bounds,
        values=values,
    )


def _agreement(judged: Judged, number: int) -> SiteAgreement:
    cohort, site = judged.cohort, judged.instrument.sites[number]
    seen, columns = cohort.site_in_view[:, number], judged.instrument.site_columns[number]
    return SiteAgreement(
        site=site.name,
        scores=site.scores,
        confusion=confusion(*site_places(judged, number), len(site.scores)),
        calibration=reliability(cohort.truth[seen, columns], judged.probabilities[seen, columns]),
    )
