"""Each planted fault is flagged by its name, and nothing else is; a clean run has no flag."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rustk.report.aggregate import aggregate
from rustk.report.analysis import Analysis, analyse
from rustk.report.audit import NEAR_BITS, near_pairs
from rustk.report.results import load_run
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from tests.report.planted import CLEAN, VIEW_ONLY, Plan, aggregated, draw_folds, draw_index, plant


def flags(plan: Plan) -> dict[str, str]:
    return {finding.key: finding.sentence for finding in analyse(aggregated(plan)).flagged}


@pytest.fixture(scope="module")
def clean() -> Analysis:
    return analyse(aggregated(CLEAN))


def test_clean_run_has_no_flag(clean: Analysis) -> None:
    assert {finding.severity for finding in clean.findings} == {"clean"}
    assert {finding.key for finding in clean.findings} == {
        *("patients", "duplicates", "test-patients", "test-duplicates"),
        *("hyperparameters", "reproduction", "view-shortcut"),
    }


def test_split_patients_are_flagged() -> None:
    plan = replace(CLEAN, split_patients=True)
    placed = draw_folds(plan, index := draw_index(plan)).merge(index, on="sample_id")
    split = sum(len(set(folds)) > 1 for _, folds in placed.groupby("patient")["fold"])
    found = flags(plan)
    assert list(found) == ["patients"]
    assert f"{split} of 138 patients stand on both sides of a split" in found["patients"]


@pytest.mark.parametrize(
    ("fault", "key", "says"),
    [
        ({"copied_image": True}, "duplicates", "1 pair of the same or nearly the same image stands in different folds"),
        ({"copied_into_test": True}, "test-duplicates", "in both the develop and the test split"),
        ({"test_patient_in_develop": True}, "test-patients", "1 patients of the test split are in the develop split"),
    ],
)
def test_image_or_patient_on_both_sides_is_flagged(fault: dict[str, bool], key: str, says: str) -> None:
    found = flags(replace(CLEAN, **fault))  # type: ignore[arg-type]
    assert list(found) == [key]
    assert says in found[key]


def test_dead_hyperparameter_is_flagged() -> None:
    found = flags(replace(CLEAN, dead_batch_size=True))
    assert set(found) == {"hyperparameter-batch_size", "same-steps-batch_size"}
    assert "asked for 16, 64, but every fold trained with 32" in found["hyperparameter-batch_size"]
    assert "2 trials that were asked to differ in it took identical steps" in found["same-steps-batch_size"]


def test_batch_larger_than_the_fold_is_capped_and_told_only_where_trials_coincide() -> None:
    sizes = ({"batch_size": 50.0}, {"batch_size": 5000.0})
    assert flags(replace(CLEAN, trials=sizes)) == {}
    found = flags(replace(CLEAN, trials=(*sizes, {"batch_size": 6000.0})))
    assert list(found) == ["same-steps-batch_size"]


def test_identical_histories_are_flagged_without_any_metadata() -> None:
    plan = replace(CLEAN, without=("metadata",))
    shelf = plant(plan)
    for fold in range(plan.folds):
        shelf.objects[names.history_key(plan.run, 1, fold)] = shelf.objects[names.history_key(plan.run, 0, fold)]
        shelf.objects[names.prediction_key(plan.run, 1, fold)] = shelf.objects[names.prediction_key(plan.run, 0, fold)]
    analysis = analyse(aggregate(load_run(shelf, plan.run)))
    assert [finding.key for finding in analysis.flagged] == ["identical-histories"]
    assert "learning_rate 1e-3, 1e-2; batch_size 16, 64" in analysis.flagged[0].details[0]


def test_view_shortcut_is_flagged_and_has_chance_in_its_interval() -> None:
    analysis = analyse(aggregated(VIEW_ONLY))
    assert [finding.key for finding in analysis.flagged] == ["view-shortcut"]
    assert analysis.best is not None
    assert analysis.floor is not None
    within = analysis.best["auroc_in_view"]
    assert within.interval.contains(0.5)
    assert within.value == pytest.approx(0.5, abs=0.04)
    assert analysis.floor["auroc_in_view"].value == pytest.approx(0.5)
    assert analysis.best["auroc_200"].value == pytest.approx(analysis.floor["auroc_200"].value, abs=0.02)


def test_predictions_that_are_not_the_historys_are_flagged() -> None:
    shelf = plant(CLEAN)
    other = plant(replace(CLEAN, signal=1.0))
    key = names.prediction_key(CLEAN.run, 0, 2)
    shelf.objects[key] = other.objects[key]
    analysis = analyse(aggregate(load_run(shelf, CLEAN.run)))
    assert [finding.key for finding in analysis.flagged] == ["reproduction"]
    assert "fold 2 differs" in analysis.flagged[0].sentence


def test_near_pairs_are_those_within_few_bits() -> None:
    rng = np.random.default_rng(3)
    hashes = rng.integers(1 << 63, size=700, dtype=np.uint64)
    hashes[650] = hashes[3] ^ np.uint64(0b111)
    hashes[651] = hashes[4] ^ np.uint64(0b1111)
    hashes[652] = hashes[5] ^ np.uint64(0b1)
    frame = pd.DataFrame({"image_sha256": [str(i) for i in range(700)], "image_phash": [f"{h:016x}" for h in hashes]})
    frame["view"] = "ap"
    frame.loc[652, "view"] = "lateral"
    frame.loc[[10, 600], "image_sha256"] = "same"
    frame.loc[10, "image_phash"] = None
    first, second, bits = near_pairs(frame)
    assert sorted(zip(first, second, bits, strict=True)) == [(3, 650, 3), (10, 600, -1)]
    expected = {
        (i, j) for i in range(0, 700, 7) for j in range(i + 1, 700) if i != 10
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= NEAR_BITS
    }  # fmt: skip
    assert expected <= set(zip(first.tolist(), second.tolist(), strict=True))


def test_hash_that_is_none_is_named() -> None:
    with pytest.raises(BadData, match="image_phash 'xyz': expected 16 hexadecimal digits"):
        near_pairs(pd.DataFrame({"image_sha256": ["a"], "view": ["ap"], "image_phash": ["xyz"]}))
