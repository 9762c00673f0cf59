"""What a summary counts, against counts made by hand and by brute force."""

import json

import pandas as pd

from rustk.datasets.phantom.cohort import plan_cohort
from rustk.datasets.phantom.proportions import MRUST_SCORES, MRUST_VIEWS
from rustk.datasets.summary import summarise
from rustk.store.documents import DatasetDocument
from rustk.vocabulary.instrument import Instrument
from tests.instruments import MRUST, ODD, SINGLE


def index_of(images: int = 2936, instrument: Instrument = MRUST) -> pd.DataFrame:
    rows = [
        {"split": p.split, "patient": p.patient, "visit": p.visit, "view": p.view}
        | {site: p.scores.get(site) for site in instrument.site_names}
        for p in plan_cohort(instrument, images, seed=0)
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(instrument.site_names, "Int8"))


def shard(size_bytes: int) -> dict[str, object]:
    return {"key": "a.tfrecord", "split": "develop", "records": 1, "bytes": size_bytes, "sha256": "ab" * 32}


DATASET = DatasetDocument.model_validate(
    {
        "name": "phantom",
        "digest": "ab" * 32,
        "index_sha256": "cd" * 32,
        "image_shape": [299, 299, 1],
        "shards": [shard(10), shard(32)],
        "skipped": [{"row": 3, "reason": "image missing"}],
    }
)


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
    for view, shown in MRUST_VIEWS.items():
        for cortex in shown:
            both = [one for one in summary.sites if one.site == cortex and one.view == view]
            assert [one.split for one in both] == ["develop", "test"]
            counts = [sum(one.unscored for one in both), *(sum(one.scores[s] for one in both) for s in (1, 2, 3, 4))]
            assert tuple(counts) == MRUST_SCORES[cortex]
            assert all(one.images == one.unscored + sum(one.scores.values()) for one in both)
    assert len(summary.sites) == 8  # a view has no line for the cortices that it never shows
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


def test_every_instrument_has_a_summary_of_its_own_views_and_scores() -> None:
    for instrument in (ODD, SINGLE):
        index = index_of(120, instrument)
        summary = summarise(DATASET.model_copy(update={"instrument": instrument}), index)
        assert (summary.instrument, summary.title) == (instrument.name, instrument.title)
        for split in summary.splits:
            assert tuple(split.views) == instrument.views
        for one in summary.sites:
            assert tuple(one.scores) == instrument.site(one.site).scores
            rows = index[(index["split"] == one.split) & (index["view"] == one.view)]
            assert (one.images, one.unscored) == (len(rows), rows[one.site].isna().sum())
            assert one.scores == {score: (rows[one.site] == score).sum() for score in one.scores}
    assert {(one.view, one.site) for one in summary.sites} == {("frontal", "grade")}
