"""The phantom cohort: the proportions of the real one, the correlations, and nothing but the arguments."""

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.datasets.cohort import (
    COHORT_IMAGES,
    COHORT_PATIENTS,
    COHORT_SCORES,
    VIEW_CORTICES,
    PhantomPlan,
    plan_cohort,
)
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import CORTICES, encode_label


def frame(plans: list[PhantomPlan]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"split": p.split, "patient": p.patient, "visit": p.visit, "view": p.view, **p.scores} for p in plans]
    )


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return frame(plan_cohort(COHORT_IMAGES, seed=0))


def test_at_full_size_the_counts_are_those_of_the_cohort(cohort: pd.DataFrame) -> None:
    assert Counter(cohort["split"]) == {"develop": 2495, "test": 441}
    assert Counter(cohort["patient"].value_counts()) == COHORT_PATIENTS
    assert Counter(cohort["view"]) == {"ap": 1493, "lateral": 1443}
    for view, shown in VIEW_CORTICES.items():
        for cortex in shown:
            scores = cohort.loc[cohort["view"] == view, cortex]
            found = (int(scores.isna().sum()), *(int((scores == score).sum()) for score in (1, 2, 3, 4)))
            assert found == COHORT_SCORES[cortex]


def test_visits_have_their_shares_and_both_views(cohort: pd.DataFrame) -> None:
    shares = cohort["visit"].value_counts(normalize=True)
    for visit, share in {"baseline": 0.47, "3-months": 0.20, "6-months": 0.24, "12-months": 0.09}.items():
        assert shares[visit] == pytest.approx(share, abs=0.01)
    views = cohort.groupby(["patient", "visit"])["view"].nunique()
    assert (views == 2).mean() > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cortices_correlate_as_in_the_cohort(seed: int) -> None:
    rows = frame(plan_cohort(COHORT_IMAGES, seed))
    for shown in VIEW_CORTICES.values():
        assert rows[list(shown)].corr("spearman").iloc[0, 1] == pytest.approx(0.78, abs=0.03)
    of_visit = rows.groupby(["patient", "visit"])[list(CORTICES)].mean().corr("spearman").to_numpy()
    assert of_visit.min() > 0.73
    assert of_visit[~(of_visit > 0.999)].max() < 0.83


def test_no_patient_stands_in_both_splits_unless_that_is_planted(cohort: pd.DataFrame) -> None:
    assert (cohort.groupby("patient")["split"].nunique() == 1).all()
    planted = frame(plan_cohort(300, seed=0, split_patients=True))
    assert (planted.groupby("patient")["split"].nunique() == 2).sum() > 10
    assert Counter(planted["split"]) == Counter(frame(plan_cohort(300, seed=0))["split"])


def test_the_view_shortcut_changes_what_is_drawn_and_no_label() -> None:
    clean, planted = plan_cohort(300, seed=0), plan_cohort(300, seed=0, view_shortcut=True)
    assert [p.scores for p in clean] == [p.scores for p in planted]
    scored = [(p.scores[c], p.drawn[c]) for p in clean for c in p.scores if p.scores[c] is not None]
    assert all(label == drawn for label, drawn in scored)
    pairs = [(p.scores[c], p.drawn[c]) for p in planted for c in p.scores if p.scores[c] is not None]
    assert abs(pd.DataFrame(pairs).corr("spearman").iloc[0, 1]) < 0.15
    assert all(drawn in (1, 2, 3, 4) for p in planted for drawn in p.drawn.values())


@given(images=st.integers(12, 400), seed=st.integers(0, 2**63 - 1))
def test_any_size_gives_whole_patients_valid_labels_and_the_same_plan_again(images: int, seed: int) -> None:
    plans = plan_cohort(images, seed)
    assert plans == plan_cohort(images, seed)
    assert [p.number for p in plans] == list(range(images))
    assert len({p.sample_id for p in plans}) == images
    assert {p.split for p in plans} == {"develop", "test"}
    sides: dict[str, set[str]] = {}
    for plan in plans:
        assert encode_label(plan.view, plan.scores)
        assert tuple(plan.scores) == tuple(plan.drawn) == VIEW_CORTICES[plan.view]
        sides.setdefault(plan.patient, set()).add(plan.split)
    assert all(len(found) == 1 for found in sides.values())
    assert sum(p.split == "test" for p in plans) == pytest.approx(images * 441 / 2936, abs=2)


@pytest.mark.parametrize(("images", "seed"), [(11, 0), (0, 0), (-5, 0), (300, -1), (300, 2**63)])
def test_what_can_t_be_planned_is_refused(images: int, seed: int) -> None:
    with pytest.raises(BadStudy, match=r"--images|--seed"):
        plan_cohort(images, seed)
