"""Calibration: whether 30 % means three in ten.

A model can rank well and still give probabilities that no one should act on (and a patient leaflet or a decision rule
acts on them).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rustk.metrics.ranking import FloatArray, IntArray


@dataclass(frozen=True)
class Reliability:
    """A reliability curve: bins of equal width over [0, 1], each array [bins]; predicted and observed are NaN in an
    empty bin."""

    count: IntArray
    predicted: FloatArray  # mean probability in the bin
    observed: FloatArray  # share of the bin's images that have the label

    @property
    def expected_error(self) -> float:
        """Expected calibration error, 0 to 1, lower is better: sum over bins of count / n x |observed - predicted|.
        NaN without samples.

        Source: Naeini, Cooper & Hauskrecht, AAAI 2015; Guo et al., ICML 2017 (eq. 3).
        """
        if not self.count.sum():
            return float("nan")
        gap = np.abs(np.where(self.count > 0, self.observed - self.predicted, 0.0))
        return float((self.count * gap).sum() / self.count.sum())


def reliability(truth: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> Reliability:
    """The reliability curve of probabilities [n] in [0, 1] against what happened [n] 0/1.

    >>> reliability([0, 1], [0.25, 0.25], bins=2).expected_error
    0.25
    """
    happened, probability = (
        np.asarray(truth, dtype=np.float64).ravel(),
        np.asarray(probabilities, dtype=np.float64).ravel(),
    )
    place = np.clip((probability * bins).astype(np.intp), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    means = [
        np.divide(np.bincount(place, weights=values, minlength=bins), count, out=np.full(bins, np.nan), where=count > 0)
        for values in (probability, happened)
    ]
    return Reliability(count, means[0], means[1])
