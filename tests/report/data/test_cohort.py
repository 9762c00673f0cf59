"""Folds, index and predictions that contradict each other are refused."""

import re

import numpy as np
import pandas as pd
import pytest

from rustk.report.data.cohort import PredictionFiles, develop_cohort
from rustk.report.evaluation.analysis import Analysis
from rustk.vocabulary.errors import BadData
from tests.instruments import MRUST
from tests.report.planted import CLEAN, draw_index


def test_predictions_that_contradict_the_folds_are_refused(clean: Analysis) -> None:
    cohort = clean.cohort
    assert cohort is not None
    good = clean.aggregate.results.predictions(0, epoch=1)
    for wrong, says in (
        (good.iloc[1:], "has no prediction: expected one prediction of each"),
        (pd.concat([good, good.iloc[:1]]), "is predicted twice"),
        (good.assign(sample_id=["stranger", *good["sample_id"][1:]]), "sample 'stranger' is in no fold"),
        (good.assign(fold=(good["fold"] + 1) % 4), "folds.parquet puts it in"),
        (good.assign(**{MRUST.labels[3]: np.float32("nan")}), f"{MRUST.labels[3]} = nan: expected a probability"),
        (good.assign(**{MRUST.labels[3]: np.float32(1.5)}), f"{MRUST.labels[3]} = 1.5: expected a probability"),
    ):
        with pytest.raises(BadData, match=f"^here: .*{says}"):
            cohort.align(wrong, "here")
        with pytest.raises(BadData) as caught:
            cohort.align(wrong, PredictionFiles("mine", 0, 1))
        assert re.match(rf"runs/mine/predictions/trial=0000/fold=\d\.parquet: epoch 1: .*{says}", str(caught.value))
        # Of two files that contradict each other, nobody can say which one is to be removed.
        remedy = "put it back as it was written" if "folds.parquet" in str(caught.value) else "or remove it and"
        assert remedy in str(caught.value)


def test_folds_that_contradict_the_index_are_refused() -> None:
    index = draw_index(CLEAN)
    tested = index.loc[index["split"] == "test", "sample_id"].iloc[0]
    with pytest.raises(BadData, match="is not in the develop split"):
        develop_cohort(index, pd.DataFrame({"sample_id": [tested], "fold": [0]}), MRUST)
    with pytest.raises(BadData, match="appears twice"):
        develop_cohort(index, pd.DataFrame({"sample_id": ["image-00000"] * 2, "fold": [0, 1]}), MRUST)
