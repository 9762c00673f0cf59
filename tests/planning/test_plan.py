import io
import json

import pyarrow.parquet as pq
import pytest

from rustk.planning.plan import make_plan, read_plan
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy
from tests.planning.plans import DATASET, WEIGHTS, index_of, random_plan, study_of


def test_equal_inputs_give_equal_bytes() -> None:
    assert random_plan(trials=4).files() == random_plan(trials=4).files()


def test_the_files_of_a_run() -> None:
    plan = random_plan(trials=4, k=3)
    files = plan.files()
    folds = pq.read_table(io.BytesIO(files[names.folds_key(plan.run)]))
    assert folds.column_names == ["sample_id", "fold"]
    assert folds.num_rows == 60  # develop only: the test split is in no fold
    trials = pq.read_table(io.BytesIO(files[names.trials_key(plan.run)]))
    assert trials.column_names == ["trial", "batch_size", "dropout"]
    described = json.loads(files[names.run_study_key(plan.run)])
    assert described["planned"] == {"trials": 4, "folds": 3, "epochs": 3}
    assert described["run"] == plan.run
    assert len(plan.tasks) == 12
    assert plan.tasks[:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]


def test_a_study_without_search_has_one_bare_trial() -> None:
    study = study_of("{name: plain, model: {weights: random}, folds: {scheme: shard, k: 2}}")
    plan = make_plan(study, DATASET, index_of(10), WEIGHTS)
    files = plan.files()
    assert pq.read_table(io.BytesIO(files[names.trials_key(plan.run)])).to_pylist() == [{"trial": 0}]
    back = read_plan(
        *(files[key(plan.run)] for key in (names.run_study_key, names.trials_key, names.folds_key)), run="x"
    )
    assert back.trials == ({},)


def test_a_name_must_be_one() -> None:
    with pytest.raises(BadStudy, match="--name 'No Name': expected"):
        random_plan(trials=1, name="No Name")
