"""How sure a figure is: the bootstrap over patients.

The images of a patient are alike, and so are the model's errors on them. Drawing images one by one would treat them
as independent and give intervals that are too narrow; so whole patients are drawn. A resample is a column of
multiplicities, one a patient, and every metric here can be counted under such weights, so that all resamples are
worked out together in a few matrix products.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rustk.metrics.ranking import BoolArray, FloatArray, IntArray, PairTable, Weights, mean_defined

RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high


def patient_clusters(patients: Sequence[object]) -> tuple[IntArray, int]:
    """(cluster [n] from 0, how many): images of one patient share a cluster; an image without a patient is a cluster
    of its own.

    >>> patient_clusters(["b", None, "a", "b", None])
    (array([0, 1, 2, 0, 3]), 4)
    """
    known: dict[object, int] = {}
    clusters = np.empty(len(patients), dtype=np.intp)
    for row, patient in enumerate(patients):
        missing = patient is None or patient != patient  # None or NaN
        clusters[row] = known.setdefault((row,) if missing else patient, len(known))
    return clusters, len(known)


def multiplicities(cluster_count: int, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float32]:
    """How often each cluster is drawn in each resample, [clusters, resamples]; every column sums to `cluster_count`.

    Drawing with replacement, as many as there are. Same arguments, same numbers.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(cluster_count, size=(resamples, cluster_count))
    drawn += np.arange(resamples)[:, None] * cluster_count
    counts = np.bincount(drawn.ravel(), minlength=resamples * cluster_count)
    return np.ascontiguousarray(counts.reshape(resamples, cluster_count).T, dtype=np.float32)


def percentile_interval(value: float, resampled: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """The percentile interval of `value` from its resamples [R]; undefined resamples (NaN) are left out.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13. Low and high are NaN without a
    defined resample.
    """
    defined = np.asarray(resampled, dtype=np.float64)
    defined = defined[np.isfinite(defined)]
    if not len(defined):
        return Interval(value, float("nan"), float("nan"), confidence)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), confidence)


def resampled_auroc(
    truth: BoolArray,
    scores: ArrayLike,
    strata: IntArray,
    clusters: IntArray,
    weights: Weights,
    counted: BoolArray | None = None,
    mean_of_strata: bool = False,
) -> FloatArray:
    """AUROC of each label under each column of cluster weights, [L, R]; NaN where no pair is left.

    `truth`, `scores`, `counted` [n, L]; `strata`, `clusters` [n]; `weights` [clusters, R]. Strata are pooled by their
    pairs as in `stratified_auroc`, or, with `mean_of_strata`, averaged with equal weight over those that have a pair
    (the way a figure is averaged over folds).
    """
    labels, scores_ = truth.shape[1], np.asarray(scores)
    values = np.full((labels, weights.shape[1]), np.nan)
    for label in range(labels):
        kept = slice(None) if counted is None else counted[:, label]
        table = PairTable(truth[kept, label], scores_[kept, label], strata[kept], clusters[kept], len(weights))
        concordant, pairs = table.count(weights)
        if mean_of_strata:
            values[label] = mean_defined(_ratio(concordant, pairs), axis=0)
        else:
            values[label] = _ratio(concordant.sum(axis=0), pairs.sum(axis=0))
    return values


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
