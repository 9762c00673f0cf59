"""The distribution of a sum of scores, from the distributions of what is added up.

A visit's total is a sum of its sites' scores, each of which a model gives as a distribution. What the total may be
follows from these by convolution, if the sites are independent given the images.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Distribution = Mapping[int, float]  # value -> probability


def sum_distribution(parts: Sequence[Distribution]) -> dict[int, float]:
    """The distribution of the sum of independent whole numbers: the convolution of theirs, ascending.

    >>> sum_distribution([{1: 0.5, 2: 0.5}, {0: 0.2, 3: 0.8}])
    {1: 0.1, 2: 0.1, 3: 0.0, 4: 0.4, 5: 0.4}
    """
    least, shares = 0, np.ones(1)
    for part in parts:
        low = min(part)
        dense = np.zeros(max(part) - low + 1)
        for value, share in part.items():
            dense[value - low] = share
        least, shares = least + low, np.convolve(shares, dense)
    return {least + place: float(share) for place, share in enumerate(shares)}


def expected_value(distribution: Distribution) -> float:
    """The mean of a distribution.

    >>> expected_value({1: 0.5, 4: 0.5})
    2.5
    """
    return float(sum(value * share for value, share in distribution.items()))


def central_interval(distribution: Distribution, confidence: float = 0.95) -> tuple[int, int]:
    """The least and the greatest value of the central interval: at most (1 - confidence) / 2 lies beyond either end.

    Whole numbers can't hit a confidence exactly: the interval holds at least that much.

    >>> central_interval({1: 0.02, 2: 0.5, 3: 0.45, 4: 0.03})
    (2, 4)
    """
    values = sorted(distribution)
    below = np.cumsum([distribution[value] for value in values])
    tail = (1 - confidence) / 2 * below[-1]
    # A sum of shares may fall short of its tail by its last digit alone.
    beyond = 1e-12
    low = int(np.searchsorted(below, tail + beyond, side="right"))
    high = int(np.searchsorted(below, below[-1] - tail - beyond, side="left"))
    return values[min(low, len(values) - 1)], values[min(high, len(values) - 1)]
