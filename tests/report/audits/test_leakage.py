"""Each planted fault is flagged by its name, and nothing else is; a clean run has no flag."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rustk.report.audits.leakage import NEAR_BITS, near_pairs
from rustk.report.evaluation.analysis import Analysis
from rustk.vocabulary.errors import BadData
from tests.report.audits.contexts import flags
from tests.report.planted import CLEAN, draw_folds, draw_index


def test_clean_run_has_no_flag(clean: Analysis) -> None:
    assert {finding.severity for finding in clean.findings} == {"clean"}
    assert {finding.key for finding in clean.findings} == {
        *("patients", "duplicates", "test-patients", "test-duplicates"),
        *("hyperparameters", "shared-settings", "reproduction", "view-shortcut"),
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
