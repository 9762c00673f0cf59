"""Whether one study is better than another: paired tests for figures of the same folds.

Folds of a cross-validation share most of their training images, so their figures are not independent and the ordinary
t-test finds differences that are not there. Nadeau and Bengio's correction widens the variance by the overlap.
Testing several pairs of studies finds a difference by luck; Holm's step-down keeps the chance of any such find at the
level asked for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student


@dataclass(frozen=True)
class PairedTest:
    """A two-sided paired test over folds."""

    difference: float  # mean of first - second
    t: float
    p: float  # NaN where the differences can't be tested
    degrees_of_freedom: int


def corrected_resampled_t_test(first: ArrayLike, second: ArrayLike, test_share: float | None = None) -> PairedTest:
    """Nadeau-Bengio corrected resampled t-test of two studies' figures on the same k folds, each [k].

    t = mean(d) / sqrt((1/k + n_test/n_train) var(d)), d the differences, var with k - 1, compared with Student's t
    with k - 1 degrees of freedom. `test_share` is n_test/n_train; by default 1/(k - 1), that of k-fold
    cross-validation. Source: Nadeau & Bengio, Inference for the Generalization Error, Machine Learning 52 (2003), eq.
    8. p is NaN for fewer than two folds; for differences all equal it is 1 when they are zero, else 0.

    Raises ValueError when the lengths differ.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(
            f"{a.size} figures of the first study, {b.size} of the second: expected the same folds of both"
        )
    k = len(a)
    difference = a - b
    mean = float(difference.mean()) if k else float("nan")
    if k < 2:
        return PairedTest(mean, float("nan"), float("nan"), max(k - 1, 0))
    share = 1 / (k - 1) if test_share is None else test_share
    variance = (1 / k + share) * float(difference.var(ddof=1))
    if variance == 0:
        return PairedTest(
            mean, 0.0 if mean == 0 else float(np.copysign(np.inf, mean)), 1.0 if mean == 0 else 0.0, k - 1
        )
    statistic = mean / float(np.sqrt(variance))
    return PairedTest(mean, statistic, float(2 * student.sf(abs(statistic), k - 1)), k - 1)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's adjusted p-values, same order, [m]; NaN stays NaN and doesn't count.

    Sorted ascending, the i-th (from 1) of m becomes max over j <= i of min(1, (m - j + 1) p_j). Source: Holm,
    Scandinavian Journal of Statistics 6 (1979).

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted
