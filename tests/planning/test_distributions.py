"""Ranges and choices: what is drawn, by a generator and at a point of the unit interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from rustk.planning.distributions import Choices, Range


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Range(low=1e-5, high=1e-1, log=True), stats.loguniform(1e-5, 1e-1)),
        (Range(low=0.1, high=0.5), stats.uniform(0.1, 0.4)),
    ],
)
def test_reals_are_distributed_as_scipys(found: Range, expected: stats.rv_continuous) -> None:
    rng = np.random.default_rng(0)
    assert stats.kstest([found.draw(rng) for _ in range(2000)], expected.cdf).pvalue > 0.01
    shares = np.linspace(0, 1, 50, endpoint=False)
    np.testing.assert_allclose([found.at(share) for share in shares], expected.ppf(shares), rtol=1e-12)


def test_whole_numbers_are_as_probable_as_their_stretch_of_the_logarithm() -> None:
    found = Range(low=1, high=8, type="int", log=True)
    rng = np.random.default_rng(0)
    drawn = [found.draw(rng) for _ in range(8000)]
    edges = np.log(np.arange(1, 10) - 0.5)
    counts = np.bincount(drawn, minlength=9)[1:]
    assert stats.chisquare(counts, len(drawn) * np.diff(edges) / (edges[-1] - edges[0])).pvalue > 0.01
    assert all(isinstance(value, int) for value in drawn)


@given(
    low=st.integers(1, 100), more=st.integers(1, 1000), log=st.booleans(), whole=st.booleans(), share=st.floats(0, 1)
)
def test_no_value_leaves_its_range(low: int, more: int, log: bool, whole: bool, share: float) -> None:
    found = Range(low=low, high=low + more, type="int" if whole else "float", log=log)
    least, greatest = found.extremes
    for value in (found.at(share), found.draw(np.random.default_rng(more))):
        assert least <= value <= greatest
    assert whole or greatest < low + more


def test_every_choice_is_drawn_as_often() -> None:
    found = Choices(values=("a", (1, 2), True))
    rng = np.random.default_rng(0)
    drawn = [found.values.index(found.draw(rng)) for _ in range(3000)]
    assert stats.chisquare(np.bincount(drawn)).pvalue > 0.01
    assert [found.at(share) for share in (0.0, 0.34, 0.99, 1.0)] == ["a", (1, 2), True, True]


def test_a_range_without_log_is_written_as_it_always_was() -> None:
    """Its text is a part of the ids of runs that were made before there was a `log`."""
    assert Range(low=1, high=2).model_dump(mode="json") == {"low": 1.0, "high": 2.0, "type": "float"}
    assert Range(low=1, high=2, log=True).model_dump(mode="json")["log"] is True


@pytest.mark.parametrize("values", [[None], [{}], [[[1]]], [float("nan")], [2**60], ["x" * 300], [1, 1.0], [[1], [1]]])
def test_what_no_field_takes_is_no_choice(values: list[object]) -> None:
    with pytest.raises(ValidationError):
        Choices(values=values)
