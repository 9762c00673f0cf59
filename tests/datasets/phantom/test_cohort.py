"""The phantom cohort: the proportions of the real one, the correlations, and nothing but the arguments."""

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.datasets.phantom.cohort import PhantomPlan
from rustk.datasets.phantom.cohort import plan_cohort as plan_any_cohort
from rustk.datasets.phantom.proportions import MRUST_PATIENTS, MRUST_SCORES, MRUST_VIEWS
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument, load_instrument
from tests.instruments import MRUST, ODD, SINGLE

COHORT_IMAGES = 2936


def plan_cohort(images: int, seed: int, **faults: bool) -> list[PhantomPlan]:
    return plan_any_cohort(MRUST, images, seed, **faults)


def frame(plans: list[PhantomPlan]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"split": p.split, "patient": p.patient, "visit": p.visit, "view": p.view, **p.scores} for p in plans]
    )


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return frame(plan_cohort(COHORT_IMAGES, seed=0))


def test_at_full_size_the_counts_are_those_of_the_cohort(cohort: pd.DataFrame) -> None:
    assert Counter(cohort["split"]) == {"develop": 2495, "test": 441}
    assert Counter(cohort["patient"].value_counts()) == MRUST_PATIENTS
    assert Counter(cohort["view"]) == {"ap": 1493, "lateral": 1443}
    for view, shown in MRUST_VIEWS.items():
        for cortex in shown:
            scores = cohort.loc[cohort["view"] == view, cortex]
            found = (int(scores.isna().sum()), *(int((scores == score).sum()) for score in (1, 2, 3, 4)))
            assert found == MRUST_SCORES[cortex]


def test_visits_have_their_shares_and_both_views(cohort: pd.DataFrame) -> None:
    shares = cohort["visit"].value_counts(normalize=True)
    for visit, share in {"baseline": 0.47, "3-months": 0.20, "6-months": 0.24, "12-months": 0.09}.items():
        assert shares[visit] == pytest.approx(share, abs=0.01)
    views = cohort.groupby(["patient", "visit"])["view"].nunique()
    assert (views == 2).mean() > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cortices_correlate_as_in_the_cohort(seed: int) -> None:
    rows = frame(plan_cohort(COHORT_IMAGES, seed))
    for shown in MRUST_VIEWS.values():
        assert rows[list(shown)].corr("spearman").iloc[0, 1] == pytest.approx(0.78, abs=0.03)
    of_visit = rows.groupby(["patient", "visit"])[list(MRUST.site_names)].mean().corr("spearman").to_numpy()
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


@settings(max_examples=40)
@given(images=st.integers(12, 400), seed=st.integers(0, 2**63 - 1))
def test_any_size_gives_whole_patients_valid_labels_and_the_same_plan_again(images: int, seed: int) -> None:
    plans = plan_cohort(images, seed)
    assert plans == plan_cohort(images, seed)
    assert [p.number for p in plans] == list(range(images))
    assert len({p.sample_id for p in plans}) == images
    assert {p.split for p in plans} == {"develop", "test"}
    sides: dict[str, set[str]] = {}
    for plan in plans:
        assert MRUST.encode(plan.view, plan.scores)
        assert tuple(plan.scores) == tuple(plan.drawn) == MRUST_VIEWS[plan.view]
        sides.setdefault(plan.patient, set()).add(plan.split)
    assert all(len(found) == 1 for found in sides.values())
    assert sum(p.split == "test" for p in plans) == pytest.approx(images * 441 / 2936, abs=2)


@pytest.mark.parametrize(
    ("images", "seed"), [(11, 0), (0, 0), (-5, 0), (100_001, 0), (10**12, 0), (300, -1), (300, 2**63)]
)
def test_what_can_t_be_planned_is_refused(images: int, seed: int) -> None:
    with pytest.raises(BadStudy, match=r"--images|--seed"):
        plan_cohort(images, seed)


def test_the_cohort_of_an_mrust_under_another_name_is_the_same() -> None:
    renamed = MRUST.model_copy(update={"name": "ours", "title": "Ours"})
    assert plan_any_cohort(renamed, 40, 0) == plan_cohort(40, 0)


INSTRUMENTS = [ODD, SINGLE, load_instrument("brixia"), load_instrument("rush")]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda instrument: instrument.name)
def test_any_instrument_has_a_cohort(instrument: Instrument) -> None:
    plans = plan_any_cohort(instrument, 300, seed=0)
    assert plans == plan_any_cohort(instrument, 300, seed=0)
    rows = frame(plans)
    assert set(rows["view"]) == set(instrument.views)
    assert Counter(rows["split"])["test"] == pytest.approx(45, abs=3)
    assert (rows.groupby("patient")["split"].nunique() == 1).all()
    # Whole visits, but for what rounding leaves over.
    per_visit = rows.groupby(["patient", "visit"])["view"].nunique()
    assert (per_visit == len(instrument.views)).mean() > 0.95
    for site in instrument.sites:
        assert set(rows[site.name].dropna()) == set(site.scores)
    for plan in plans:
        instrument.check_scores(plan.view, plan.scores)
        assert plan.scores.keys() == plan.drawn.keys()
        assert all(plan.drawn[site] in instrument.site(site).scores for site in plan.drawn)
    unscored = [score is None for plan in plans for score in plan.scores.values()]
    assert (sum(unscored) / len(unscored) == pytest.approx(0.12, abs=0.02)) is instrument.unscored
    assert any(unscored) is instrument.unscored


@settings(max_examples=40)
@given(images=st.integers(18, 200), seed=st.integers(0, 2**63 - 1))
def test_any_size_of_three_views_gives_both_splits_and_valid_labels(images: int, seed: int) -> None:
    plans = plan_any_cohort(ODD, images, seed)
    assert len({p.sample_id for p in plans}) == images
    assert {p.split for p in plans} == {"develop", "test"}
    for plan in plans:
        assert ODD.encode(plan.view, plan.scores)


def test_many_views_need_more_images() -> None:
    with pytest.raises(BadStudy, match="--images 17: expected at least 18 "):
        plan_any_cohort(ODD, 17, seed=0)
