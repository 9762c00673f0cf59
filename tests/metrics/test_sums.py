"""Sums of scores against every combination, one by one."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.metrics.sums import central_interval, expected_value, sum_distribution


@st.composite
def distributions(draw: st.DrawFn) -> dict[int, float]:
    values = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
    weights = draw(st.lists(st.integers(1, 20), min_size=len(values), max_size=len(values)))
    return {value: weight / sum(weights) for value, weight in zip(values, weights, strict=True)}


@given(st.lists(distributions(), min_size=1, max_size=4), st.sampled_from([0.5, 0.8, 0.95]))
def test_the_sum_of_independent_scores(parts: list[dict[int, float]], confidence: float) -> None:
    every: dict[int, float] = {}
    for values in product(*parts):
        share = 1.0
        for part, value in zip(parts, values, strict=True):
            share *= part[value]
        every[sum(values)] = every.get(sum(values), 0.0) + share
    found = sum_distribution(parts)
    assert list(found) == list(range(min(every), max(every) + 1))
    assert found == pytest.approx({value: every.get(value, 0.0) for value in found})
    assert expected_value(found) == pytest.approx(sum(expected_value(part) for part in parts))

    low, high = central_interval(found, confidence)
    tail = (1 - confidence) / 2 + 1e-9
    assert sum(share for value, share in every.items() if value < low) <= tail
    assert sum(share for value, share in every.items() if value > high) <= tail
    # It is no wider than it need be at either end.
    assert sum(share for value, share in every.items() if value <= low) > tail - 2e-9
    assert sum(share for value, share in every.items() if value >= high) > tail - 2e-9
