import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.planning.folds import assign_folds
from rustk.planning.study import Folds
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import CORTICES
from tests.planning.plans import index_of


def cut(folds: Folds, images: int, patients: int | None = None, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    index = index_of(images, patients=patients, seed=seed).slice(0, images)
    columns = {cortex: index[cortex].to_pylist() for cortex in CORTICES}
    whose = index["patient"].to_pylist()
    return assign_folds(folds, whose, index["view"].to_pylist(), columns, dataset="numbers"), whose


@given(images=st.integers(2, 300), k=st.integers(2, 12))
def test_shard_folds_are_the_thesis_s(images: int, k: int) -> None:
    if images < k:
        return
    assigned, _ = cut(Folds(scheme="shard", k=k), images)
    assert assigned.tolist() == [number % k for number in range(images)]


@settings(max_examples=40, deadline=None)
@given(images=st.integers(20, 200), k=st.integers(2, 8), seed=st.integers(0, 1000), data=st.data())
def test_patient_folds_keep_patients_together(images: int, k: int, seed: int, data: st.DataObject) -> None:
    patients = data.draw(st.integers(k * 3, max(k * 3, images // 2)))
    index = index_of(images, patients=patients, seed=seed).slice(0, images)
    if len(set(index["patient"].to_pylist())) < k:
        return
    assigned, whose = cut(Folds(scheme="patient", k=k, seed=seed), images, patients, seed)
    assert assigned.shape == (images,)
    assert set(assigned.tolist()) <= set(range(k))
    fold_of: dict[str, set[int]] = {}
    for patient, fold in zip(whose, assigned.tolist(), strict=True):
        fold_of.setdefault(patient, set()).add(fold)
    assert all(len(folds) == 1 for folds in fold_of.values())
    again, _ = cut(Folds(scheme="patient", k=k, seed=seed), images, patients, seed)
    assert again.tolist() == assigned.tolist()


def test_patient_folds_are_of_like_size_and_mix() -> None:
    assigned, _ = cut(Folds(scheme="patient", k=6), 2490, 900)
    sizes = np.bincount(assigned, minlength=6)
    assert sizes.min() > 0.9 * 2490 / 6
    assert sizes.max() < 1.1 * 2490 / 6
    views = index_of(2490, patients=900).slice(0, 2490)["view"].to_pylist()
    share = [np.mean([view == "ap" for view, fold in zip(views, assigned, strict=True) if fold == f]) for f in range(6)]
    assert max(share) - min(share) < 0.1


def test_another_seed_cuts_otherwise() -> None:
    first, _ = cut(Folds(k=4, seed=0), 200)
    second, _ = cut(Folds(k=4, seed=1), 200)
    assert first.tolist() != second.tolist()


def test_patient_folds_need_patients() -> None:
    nothing = {cortex: [None] * 4 for cortex in CORTICES}
    with pytest.raises(BadStudy, match=r"1 of 4 develop images of dataset d name no patient; .*folds\.scheme=shard"):
        assign_folds(Folds(k=2), ["a", "b", None, "c"], ["ap"] * 4, nothing, dataset="d")
    with pytest.raises(BadStudy, match=r"folds\.k = 3: dataset d has only 2 patients"):
        assign_folds(Folds(k=3), ["a", "b", "a", "b"], ["ap"] * 4, nothing, dataset="d")
    with pytest.raises(BadStudy, match=r"folds\.k = 5: dataset d has 4 develop images"):
        assign_folds(Folds(k=5, scheme="shard"), ["a"] * 4, ["ap"] * 4, nothing, dataset="d")


def test_unscored_and_rare_images_are_cut_too() -> None:
    count = 12
    scores = {cortex: [None] * count for cortex in CORTICES}
    scores["medial"] = [4, *[None] * (count - 1)]
    assigned = assign_folds(Folds(k=3), [f"p{n}" for n in range(count)], ["ap"] * count, scores, dataset="d")
    assert np.bincount(assigned).tolist() == [4, 4, 4]
