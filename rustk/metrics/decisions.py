"""Precision, recall and F1 at a threshold: what a model's yes is worth.

AUROC asks for the order only; a reader of a paper also wants to know how a fixed threshold (0.5, as in the studies'
histories) would do. Given per label and as macro means; a label that is never predicted has no precision, one that
never occurs no recall, and that is counted, not hidden.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rustk.metrics.ranking import FloatArray, Weights, mean_defined


@dataclass(frozen=True)
class Decisions:
    """Precision, recall and F1 of each label, each [L] (or [L, R] under R sets of weights); NaN where undefined."""

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray

    def macro(self) -> dict[str, FloatArray]:
        """The mean of each over the labels that define it."""
        return {name: mean_defined(getattr(self, name), axis=0) for name in ("precision", "recall", "f1")}


def decisions(
    truth: ArrayLike, probabilities: ArrayLike, threshold: float = 0.5, weights: Weights | None = None
) -> Decisions:
    """Precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), for a yes where probability
    > `threshold`.

    `truth` [n, L] 0/1, `probabilities` [n, L], `weights` [n, R] or none. Higher is better. Precision is NaN for a
    label never predicted, recall for one that never occurs, F1 where neither happens. Equals
    `sklearn.metrics.precision_recall_fscore_support` but for the undefined.
    """
    actual = np.asarray(truth).astype(np.float64)
    said = (np.asarray(probabilities) > threshold).astype(np.float64)
    weight = np.ones((len(actual), 1)) if weights is None else weights
    hits, claimed, present = ((part.T @ weight) for part in (actual * said, said, actual))
    parts = [_ratio(hits, claimed), _ratio(hits, present), _ratio(2 * hits, claimed + present)]
    return Decisions(*(part[:, 0] if weights is None else part for part in parts))


def sensitivity_specificity(
    truth: ArrayLike, said: ArrayLike, weights: Weights | None = None
) -> tuple[FloatArray, FloatArray]:
    """(sensitivity, specificity) of decisions `said` [n] 0/1 on `truth` [n] 0/1: each [] or, under `weights` [n, R],
    [R].

    TP / (TP + FN) and TN / (TN + FP). Higher is better; NaN where nothing is true, or nothing false.

    >>> [float(part) for part in sensitivity_specificity([1, 1, 0, 0], [1, 0, 0, 0])]
    [0.5, 1.0]
    """
    actual, claimed = np.asarray(truth).astype(bool), np.asarray(said).astype(bool)
    weight = np.ones((len(actual), 1)) if weights is None else weights
    parts = [
        _ratio((actual_ & claimed_).astype(np.float64) @ weight, actual_.astype(np.float64) @ weight)
        for actual_, claimed_ in ((actual, claimed), (~actual, ~claimed))
    ]
    return (parts[0][0], parts[1][0]) if weights is None else (parts[0], parts[1])


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
