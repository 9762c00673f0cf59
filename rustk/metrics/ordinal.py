"""How far the scores are off: kappa and mean absolute error.

The scores of a site are ordered: taking a 4 for a 1 is worse than taking it for a 3, and AUROC of single labels can't
tell. The quadratic weighted kappa is the field's measure of agreement between readers of such scores, so a model can be
held against them; the mean absolute error says the same in points.

The model gives a probability for each score of a site. Two scores are made of them, each where it belongs. For kappa
and the confusion matrix, which need a class: the most probable one, the decision the model would give. For the mean
absolute error, which doesn't: the expected value, sum(s p_s) / sum(p_s), which keeps what the model knows of the rest.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rustk.metrics.ranking import FloatArray, IntArray, Weights


def expected_score(probabilities: ArrayLike, scores: Sequence[int]) -> FloatArray:
    """The expected score: `probabilities` [..., k] of the k `scores`, not necessarily summing to one -> [...].

    All zeros say nothing and give the mean of the scores.

    >>> expected_score([[0.0, 0.0, 0.2, 0.2], [0.0, 0.0, 0.0, 0.0]], [1, 2, 3, 4])
    array([3.5, 2.5])
    """
    values, points = np.asarray(probabilities, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    total = values.sum(axis=-1)
    return np.divide(values @ points, total, out=np.full(total.shape, points.mean()), where=total > 0)


def most_probable_score(probabilities: ArrayLike, scores: Sequence[int]) -> IntArray:
    """The score of the greatest of `probabilities` [..., k] of the k `scores` -> [...]; the lower one of equals.

    >>> most_probable_score([[0.1, 0.3, 0.2, 0.3], [0.0, 0.0, 0.0, 0.1]], [1, 2, 3, 5])
    array([2, 5])
    """
    return np.asarray(scores, dtype=np.intp)[np.argmax(np.asarray(probabilities), axis=-1)]


def rounded(scores: ArrayLike) -> IntArray:
    """The nearest whole score, halves up."""
    return np.floor(np.asarray(scores, dtype=np.float64) + 0.5).astype(np.intp)


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int, weights: Weights | None = None) -> FloatArray:
    """Counts of (true class, predicted class), [classes, classes], or [classes, classes, R] under `weights` [n, R].

    `truth`, `predicted` [n], integers from 0 to classes - 1. Raises ValueError for a class outside that range.
    """
    rows, columns = np.asarray(truth, dtype=np.intp), np.asarray(predicted, dtype=np.intp)
    for name, values in (("true", rows), ("predicted", columns)):
        if len(values) and (values.min() < 0 or values.max() >= classes):
            raise ValueError(f"{name} classes {values.min()}..{values.max()}: expected 0..{classes - 1}")
    cell = rows * classes + columns
    if weights is None:
        return np.bincount(cell, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    total = np.zeros((classes**2, weights.shape[1]))
    for one in np.unique(cell):
        total[one] = weights[cell == one].sum(axis=0)
    return total.reshape(classes, classes, -1)


def quadratic_weighted_kappa(matrix: ArrayLike, scores: Sequence[int] | None = None) -> FloatArray:
    """Cohen's kappa with quadratic weights of a confusion matrix [classes, classes] or a stack of them [classes,
    classes, R]: [] or [R].

    1 is perfect agreement, 0 what chance gives with the same margins. kappa = 1 - sum(w O) / sum(w E), w = (a - b)^2
    of the classes' `scores` (by default 0, 1, 2, ...; any consecutive ones give the same), E the outer product of the
    margins over their total; NaN where both sides hold one and the same class only. Source: Cohen, Psychological
    Bulletin 70 (1968); equals `sklearn.metrics.cohen_kappa_score(weights="quadratic")` for consecutive scores.

    >>> float(quadratic_weighted_kappa([[2, 0], [0, 2]]))
    1.0
    """
    observed = np.asarray(matrix, dtype=np.float64)
    points = np.arange(len(observed)) if scores is None else np.asarray(scores)
    weight = (points[:, None] - points[None, :]) ** 2
    total = observed.sum(axis=(0, 1))
    rows, columns = observed.sum(axis=1), observed.sum(axis=0)
    seen = np.tensordot(weight, observed, axes=([0, 1], [0, 1]))
    by_chance = np.einsum("i...,ij,j...->...", rows, weight, columns)
    return 1.0 - np.divide(seen * total, by_chance, out=np.full(np.shape(by_chance), np.nan), where=by_chance > 0)


def mean_absolute_error(truth: ArrayLike, predicted: ArrayLike, weights: Weights | None = None) -> FloatArray:
    """The mean of |truth - predicted| in points of the score, lower is better: [] or, under `weights` [n, R], [R].
    NaN without samples."""
    error = np.abs(np.asarray(truth, dtype=np.float64) - np.asarray(predicted, dtype=np.float64))
    weight = np.ones((len(error), 1)) if weights is None else weights
    total = weight.sum(axis=0)
    mean = np.divide(error @ weight, total, out=np.full(total.shape, np.nan), where=total > 0)
    return mean[0] if weights is None else mean
