"""Sobol's sequence: each trial by its number and the seed alone, and more even than independent draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from tests.planning.plans import study_of

LINES = (
    "training.learning_rate: {low: 1e-5, high: 1e-1, log: true}",
    "training.batch_size: {low: 16, high: 2048, type: int, log: true}",
    "model.head: {values: [[512], [1024, 512], []]}",
)
PARAMETERS = ", ".join(LINES)


def sobol(trials: int, seed: int = 0, parameters: str = PARAMETERS) -> list[dict[str, float | int | str | bool]]:
    search = f"{{kind: sobol, trials: {trials}, parameters: {{{parameters}}}}}"
    return study_of(f"{{name: a, seed: {seed}, search: {search}}}").trials()


@settings(max_examples=20, deadline=None)
@given(few=st.integers(1, 40), more=st.integers(1, 40), seed=st.integers(0, 2**63 - 1))
def test_more_trials_keep_the_earlier_ones(few: int, more: int, seed: int) -> None:
    assert sobol(few + more, seed)[:few] == sobol(few, seed)


def test_seeds_scramble_and_the_order_of_lines_does_not() -> None:
    assert sobol(4, 1) != sobol(4, 2)
    assert sobol(4, parameters=", ".join(reversed(LINES))) == sobol(4)


def test_every_stretch_of_a_range_and_every_choice_gets_its_share() -> None:
    """Of a power of two of points, each stretch of an equal length holds as many."""
    trials = sobol(64)
    decades = np.floor([np.log10(trial["learning_rate"]) for trial in trials])
    assert sorted(np.unique(decades, return_counts=True)[1]) == [16, 16, 16, 16]
    assert {trial["head"] for trial in trials} == {"512", "1024-512", "none"}
    assert all(isinstance(trial["batch_size"], int) and 16 <= trial["batch_size"] <= 2048 for trial in trials)


def test_it_is_spread_more_evenly_than_independent_draws() -> None:
    ranges = "model.dropout: {low: 0, high: 0.5}, training.label_smoothing: {low: 0, high: 0.5}"

    def unevenness(kind: str) -> float:
        search = f"{{kind: {kind}, trials: 64, parameters: {{{ranges}}}}}"
        trials = study_of(f"{{name: a, search: {search}}}").trials()
        return float(qmc.discrepancy([[2 * trial["dropout"], 2 * trial["label_smoothing"]] for trial in trials]))

    assert unevenness("sobol") < unevenness("random") / 4


def test_points_are_those_of_scipy() -> None:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, 0])))
    points = qmc.Sobol(1, scramble=True, seed=rng).random(8)[:, 0]
    drawn = [trial["dropout"] for trial in sobol(8, 7, "model.dropout: {low: 0.1, high: 0.5}")]
    assert drawn == pytest.approx(0.1 + 0.4 * points)
