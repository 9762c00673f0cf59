"""What a summary counts, against counts made by hand and by brute force."""

import json

import pandas as pd

from rustk.datasets.cohort import COHORT_SCORES, VIEW_CORTICES, plan_cohort
from rustk.datasets.summary import summarise
from rustk.vocabulary.labels import CORTICES


def index_of(images: int = 2936) -> pd.DataFrame:
    rows = [
        {"split": p.split, "patient": p.patient, "visit": p.visit, "view": p.view}
        | {cortex: p.scores.get(cortex) for cortex in CORTICES}
        for p in plan_cohort(images, seed=0)
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(CORTICES, "Int8"))


DATASET = {
    "name": "phantom",
    "digest": "ab" * 32,
    "image_shape": [299, 299, 1],
    "shards": [{"bytes": 10}, {"bytes": 32}],
    "skipped": [{"row": 3, "reason": "image missing"}],
}


def test_the_summary_of_the_whole_cohort_is_its_published_table() -> None:
    summary = summarise(DATASET, index_of())
    assert (summary.shards, summary.size_bytes, summary.skipped) == (2, 42, 1)
    develop, test = summary.splits
    assert (develop.images, test.images) == (2495, 441)
    assert (develop.patients or 0) + (test.patients or 0) == 1115
    assert sum(size * count for size, count in develop.images_per_patient.items()) == 2495
    assert develop.views["ap"] + test.views["ap"] == 1493
    assert sum(develop.visits.values()) == 2495
    assert summary.patients_in_both_splits == 0
    for view, shown in VIEW_CORTICES.items():
        for cortex in shown:
            both = [one for one in summary.cortices if one.cortex == cortex and one.view == view]
            assert [one.split for one in both] == ["develop", "test"]
            counts = [sum(one.unscored for one in both), *(sum(one.scores[s] for one in both) for s in (1, 2, 3, 4))]
            assert tuple(counts) == COHORT_SCORES[cortex]
            assert all(one.images == one.unscored + sum(one.scores.values()) for one in both)
    assert len(summary.cortices) == 8  # a view has no line for the cortices that it never shows
    assert json.loads(json.dumps(summary.as_dict()))["splits"][0]["images"] == 2495


def test_what_is_unknown_or_wrong_is_told() -> None:
    index = index_of(60)
    index["patient"] = None
    index["visit"] = "0123456789abcdef"
    summary = summarise(DATASET, index)
    assert [split.patients for split in summary.splits] == [None, None]
    assert [split.images_without_patient for split in summary.splits] == [51, 9]
    assert [split.visits for split in summary.splits] == [{}, {}]
    index["patient"] = "everybody"
    assert summarise(DATASET, index).patients_in_both_splits == 1


def test_an_index_of_others_may_lack_visits() -> None:
    assert summarise(DATASET, index_of(60).drop(columns="visit")).splits[0].visits == {}
