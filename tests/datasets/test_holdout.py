"""The sealed test split: whole patients, even frequencies, the same cut from the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.datasets.holdout import check_seed, cut_holdout
from rustk.datasets.phantom.cohort import plan_cohort
from rustk.vocabulary.errors import BadStudy
from tests.instruments import MRUST


def cohort(images: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    plans = plan_cohort(MRUST, images, seed)
    return [plan.patient for plan in plans], np.array([MRUST.encode(plan.view, plan.scores) for plan in plans])


@pytest.mark.parametrize("fraction", [0.1, 0.15, 0.3, 0.5])
def test_the_cut_keeps_patients_whole_and_frequencies_even(fraction: float) -> None:
    patients, labels = cohort(2936)
    chosen = cut_holdout(patients, labels, fraction=fraction, seed=0)
    assert chosen.mean() == pytest.approx(fraction, abs=0.005)
    assert not set(np.array(patients)[chosen]) & set(np.array(patients)[~chosen])
    assert np.abs(labels[chosen].mean(axis=0) - labels[~chosen].mean(axis=0)).max() < 0.02
    sizes = np.unique(patients, return_counts=True)[1].mean()
    in_test = np.unique(np.array(patients)[chosen], return_counts=True)[1].mean()
    assert in_test == pytest.approx(sizes, rel=0.25)  # neither only patients of many images, nor only of few


@given(images=st.integers(60, 200), seed=st.integers(0, 2**32), order_seed=st.integers(0, 2**32))
def test_the_order_of_images_changes_nothing_and_the_seed_does(images: int, seed: int, order_seed: int) -> None:
    patients, labels = cohort(images)
    order = np.random.default_rng(order_seed).permutation(images)
    chosen = cut_holdout(patients, labels, fraction=0.15, seed=seed)
    shuffled = cut_holdout([patients[place] for place in order], labels[order], fraction=0.15, seed=seed)
    assert np.array_equal(chosen[order], shuffled)
    assert chosen.mean() == pytest.approx(0.15, abs=0.06)


def test_another_seed_chooses_other_patients() -> None:
    patients, labels = cohort(600)
    first, second = (cut_holdout(patients, labels, fraction=0.15, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_no_fraction_leaves_no_test_split() -> None:
    patients, labels = cohort(60)
    assert not cut_holdout(patients, labels, fraction=0.0, seed=0).any()


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan")])
def test_a_fraction_that_can_t_be_is_refused(fraction: float) -> None:
    patients, labels = cohort(60)
    with pytest.raises(BadStudy, match="--test-fraction"):
        cut_holdout(patients, labels, fraction=fraction, seed=0)


@pytest.mark.parametrize("patients", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.02, 0.15, 0.5, 0.98])
def test_few_patients_leave_no_side_empty(patients: int, fraction: float) -> None:
    _, labels = cohort(60)
    chosen = cut_holdout([str(place % patients) for place in range(60)], labels, fraction=fraction, seed=0)
    assert 0 < chosen.sum() < 60


def test_one_patient_can_t_be_cut() -> None:
    _, labels = cohort(60)
    with pytest.raises(BadStudy, match="all images are of one patient"):
        cut_holdout(["a"] * 60, labels, fraction=0.15, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**63, 10**40, pytest.param(10**6000, id="huge")])
def test_a_seed_that_can_t_be_is_refused(seed: int) -> None:
    with pytest.raises(BadStudy, match=r"--seed .*: expected a whole number from 0 to 9223372036854775807"):
        check_seed(seed)
