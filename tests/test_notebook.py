from pathlib import Path

import pandas as pd
import pytest

import rustk
from rustk.store import open_store
from rustk.vocabulary.errors import BadData, BadStudy
from tests.instruments import MRUST
from tests.report.planted import CLEAN, plant
from tests.report.runs import TINY_TRIALS, write_tiny


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    for key, data in plant(CLEAN).objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(data)
    return tmp_path


def test_a_run_is_opened_by_its_name_or_its_study(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    for name in ("tiny-00000001", "tiny"):
        run = rustk.open_run(name, str(tmp_path))
        assert repr(run) == "<run tiny-00000001: Tiny & small_study, 6 of 6 folds>"
    assert rustk.open_run("tiny", open_store(str(tmp_path))).run == "tiny-00000001"
    with pytest.raises(BadStudy, match="no run 'other'"):
        rustk.open_run("other", str(tmp_path))


def test_the_store_comes_from_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny(tmp_path)
    monkeypatch.setenv("RUSTK_STORE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert len(rustk.open_run("tiny").histories) == 18


def test_everything_is_a_data_frame_of_its_own(planted: Path) -> None:
    run = rustk.open_run("planted", str(planted))
    assert len(run.histories) == 2 * 4 * 3
    assert run.trials["batch_size"].tolist() == [64, 16]
    assert run.table["trial"].tolist()[0] == run.table["val_auroc"].idxmax() == 0
    assert set(run.folds.columns) == {"sample_id", "fold"}
    assert len(run.predictions) == 2 * 3 * len(run.folds)
    one = run.predictions_of(1, fold=2, epoch=3)
    assert one.columns.tolist() == ["trial", "fold", "epoch", "sample_id", *MRUST.labels]
    assert len(one) == (run.folds["fold"] == 2).sum()
    study = run.study.set_index("field")["value"]
    assert study["study.training.batch_size"] == 64
    assert study["study.model.architecture"] == "inception_v3"
    for frame in (run.histories, run.table, run.trials):
        frame.loc[:, frame.columns[0]] = 99
    assert 99 not in run.histories["trial"].tolist() + run.table["rank"].tolist() + run.trials["trial"].tolist()


def test_what_a_run_does_not_hold_is_empty_or_said(tmp_path: Path) -> None:
    write_tiny(tmp_path, without=((1, 1),))
    run = rustk.open_run("tiny", str(tmp_path))
    assert run.folds.empty
    pd.testing.assert_frame_equal(run.trials, TINY_TRIALS)
    with pytest.raises(BadData, match="lacks 1 of 6 folds"):
        _ = run.table
    with pytest.raises(BadData, match="has no predictions"):
        _ = run.predictions
    partial = rustk.open_run("tiny", str(tmp_path), allow_partial=True).table
    assert partial["note"].tolist().count("1 of 2 folds") == 1
