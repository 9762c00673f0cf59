"""The view floor against the cohort's table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rustk.report.data.cohort import Cohort, split_cohort
from rustk.report.evaluation.evaluate import evaluate, resamples_of
from rustk.report.evaluation.floor import view_floor
from tests.instruments import MRUST

# The cohort's table: images by view, and the scores 1 to 4 of the two cortices each view shows.
COHORT = {
    "ap": (1493, {"medial": (169, 378, 464, 265), "lateral": (115, 376, 551, 285)}),
    "lateral": (1443, {"anterior": (149, 404, 478, 251), "posterior": (121, 365, 498, 257)}),
}


def cohort_of_the_table() -> Cohort:
    rng = np.random.default_rng(0)
    rows = []
    for view, (count, cortices) in COHORT.items():
        frame = pd.DataFrame({"view": [view] * count, **dict.fromkeys(MRUST.site_names, np.nan)})
        for cortex, counts in cortices.items():
            scores = np.repeat([1, 2, 3, 4], counts).astype(float)
            frame[cortex] = rng.permutation(np.concatenate([scores, np.full(count - len(scores), np.nan)]))
        rows.append(frame)
    index = pd.concat(rows, ignore_index=True).sample(frac=1, random_state=1)
    index["sample_id"] = [f"{i:05d}" for i in range(len(index))]
    return split_cohort(index.assign(split="develop", patient=None, visit=None), "develop", MRUST)


def test_view_floor_of_the_cohort() -> None:
    cohort = cohort_of_the_table()
    found = evaluate(cohort, view_floor(cohort), resamples_of(cohort, 0, 20))
    assert round(found["auroc_labels"].value, 3) == 0.806
    assert round(found["auroc_scores"].value, 3) == 0.781
    assert round(found["auroc_200"].value, 3) == 0.806
    assert found["auroc_in_view"].value == pytest.approx(0.5)


def test_view_floor_over_folds_comes_from_the_training_folds() -> None:
    whole = cohort_of_the_table()
    cohort = replace(whole, folds=np.arange(len(whole)) % 6)
    floor = view_floor(cohort)
    expected = cohort.truth[(cohort.folds != 2) & (cohort.views == "ap")].mean(axis=0)
    assert (floor[(cohort.folds == 2) & (cohort.views == "ap")] == expected.astype(np.float32)).all()
    found = evaluate(cohort, floor, resamples_of(cohort, 0, 20))
    assert found["auroc_labels"].value == pytest.approx(0.806, abs=0.002)
    assert found["auroc_in_view"].value == pytest.approx(0.5)
