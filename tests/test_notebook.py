import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import rustk
from rustk.notebook import Run
from rustk.store import open_store
from rustk.vocabulary.errors import BadData, BadStudy
from tests.instruments import MRUST
from tests.report.planted import CLEAN, VIEW_ONLY, Plan, plant
from tests.report.runs import TINY_TRIALS, write_tiny


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    write(CLEAN, tmp_path)
    return tmp_path


def write(plan: Plan, store: Path) -> None:
    for key, data in plant(plan).objects.items():
        (store / key).parent.mkdir(parents=True, exist_ok=True)
        (store / key).write_bytes(data)


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
    assert len(run.predictions()) == 2 * 3 * len(run.folds)
    one = run.predictions(1, fold=2, epoch=3)
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
    with pytest.raises(BadData, match=r"lacks 1 of 6 folds .* with rustk\.open_run\(\.\.\., allow_partial=True\)$"):
        _ = run.table
    with pytest.raises(BadData, match="has no predictions"):
        run.predictions()
    partial = rustk.open_run("tiny", str(tmp_path), allow_partial=True).table
    assert partial["note"].tolist().count("1 of 2 folds") == 1


def test_trials_in_the_manner_of_optuna(tmp_path: Path) -> None:
    write(replace(CLEAN, missing=((1, 2),)), tmp_path)
    run = rustk.open_run("planted", str(tmp_path))
    frame = run.trials_dataframe()
    assert frame.columns.tolist() == [
        *("number", "value", "datetime_start", "datetime_complete", "duration"),
        *("params_learning_rate", "params_batch_size", "user_attrs_best_epoch", "user_attrs_value_sd"),
        *("user_attrs_folds", "user_attrs_folds_planned", "user_attrs_diverged_epoch", "user_attrs_dropped_round"),
        "state",
    ]
    assert frame["state"].tolist() == ["COMPLETE", "RUNNING"]
    whole = rustk.open_run("planted", str(tmp_path), allow_partial=True).best
    assert frame["value"].iloc[0] == whole["val_auroc"]
    assert np.isnan(frame["value"].iloc[1])
    assert frame["params_batch_size"].tolist() == [64, 16]
    assert frame["user_attrs_folds"].tolist() == [4, 3]
    assert frame["duration"].dt.total_seconds().tolist() == [4 * 3 * 1.5, 3 * 3 * 1.5]


def test_a_trial_without_any_fold_waits(tmp_path: Path) -> None:
    write_tiny(tmp_path, without=((2, 0), (2, 1)))
    frame = rustk.open_run("tiny", str(tmp_path)).trials_dataframe()
    assert frame["state"].tolist() == ["COMPLETE", "COMPLETE", "WAITING"]
    assert frame["value"].tolist()[:2] == [0.625, 0.75]


def test_a_trial_that_diverged_at_once_has_failed(tmp_path: Path) -> None:
    write(replace(CLEAN, folds=2, diverged=((1, 0, 1),)), tmp_path)
    run = rustk.open_run("planted", str(tmp_path))
    frame = run.trials_dataframe()
    assert frame["state"].tolist() == ["COMPLETE", "FAIL"]
    assert frame["user_attrs_diverged_epoch"].fillna(0).tolist() == [0, 1]


def test_a_run_shows_itself(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    shown = rustk.open_run("tiny", str(tmp_path))._repr_html_()
    assert "<strong>Tiny &amp; small_study</strong>" in shown
    assert "6 of 6 folds" in shown
    assert "AUROC 0.7500 at epoch 1 of trial 1 (learning rate 1e-2, epsilon 1e-7)" in shown
    assert shown.count("<tr") == 1 + 3
    write_tiny(tmp_path, "empty-1", without=tuple((trial, fold) for trial in range(3) for fold in range(2)))
    assert "No trial has a figure of merit yet" in rustk.open_run("empty-1", str(tmp_path))._repr_html_()


def test_a_store_may_be_a_path(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    assert rustk.open_run("tiny", tmp_path).run == "tiny-00000001"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"run": None}, "run = None: expected the name of a run or study, as `rustk runs` lists them"),
        ({"run": 3}, "run = 3: expected the name"),
        ({"run": ["a"]}, "run = ['a']: expected the name"),
        ({"run": b"a"}, "run = b'a': expected the name"),
        ({"store": 3}, "store = 3: expected a directory, s3://bucket/prefix or a store that is open"),
        ({"store": ["x"]}, "store = ['x']: expected a directory"),
        ({"store": b"x"}, "store = b'x': expected a directory"),
        ({"store": Path("s3://bucket/p")}, "store 's3:/bucket/p': did you mean s3://bucket/p?"),
        ({"allow_partial": "no"}, "allow_partial = 'no': expected True or False"),
        ({"allow_partial": None}, "allow_partial = None: expected True or False"),
        ({"allow_partial": 1}, "allow_partial = 1: expected True or False"),
    ],
)
def test_arguments_of_another_kind_are_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    write_tiny(tmp_path)
    with pytest.raises(BadStudy) as caught:
        rustk.open_run(**{"run": "tiny", "store": str(tmp_path), **arguments})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trial": 9}, "run planted-00000001 has no trial 9: expected a whole number from 0 to 1"),
        ({"trial": -1}, "run planted-00000001 has no trial -1: expected"),
        ({"trial": "0"}, "trial = '0': expected a whole number from 0 to 1"),
        ({"trial": 0.5}, "trial = 0.5: expected a whole number from 0 to 1"),
        ({"trial": float("nan")}, "trial = nan: expected a whole number"),
        ({"trial": [0]}, "trial = [0]: expected a whole number from 0 to 1"),
        ({"trial": True}, "trial = True: expected a whole number from 0 to 1"),
        ({"trial": 0, "fold": 4}, "run planted-00000001 has no fold 4: expected a whole number from 0 to 3"),
        ({"fold": "1"}, "fold = '1': expected a whole number from 0 to 3"),
        ({"epoch": "1"}, "epoch = '1': expected a whole number"),
        (
            {"trial": 0, "fold": 1, "epoch": 9},
            "run planted-00000001 has no predictions of epoch 9: the epochs there are 1, 2, 3",
        ),
        ({"epoch": 0}, "run planted-00000001 has no predictions of epoch 0: the epochs there are 1, 2, 3"),
        ({"epoch": 10**40}, "run planted-00000001 has no predictions of epoch 1000000"),
    ],
)
def test_predictions_that_there_are_not_are_refused(planted: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        rustk.open_run("planted", planted).predictions(**arguments)
    assert str(caught.value).startswith(message)


def test_numbers_may_come_from_a_data_frame(planted: Path) -> None:
    run = rustk.open_run("planted", planted)
    expected = run.predictions(1, 2, 3)
    pd.testing.assert_frame_equal(run.predictions(1.0, np.float64(2), np.int64(3)), expected)  # type: ignore[arg-type]


def test_a_fold_of_all_trials_is_of_those_that_have_it(tmp_path: Path) -> None:
    write(replace(CLEAN, missing=((1, 2),)), tmp_path)
    run = rustk.open_run("planted", tmp_path)
    assert set(run.predictions(fold=2)["trial"]) == {0}
    with pytest.raises(BadData, match=r"run planted-00000001 has no predictions of trial 1, fold 2: it is not done"):
        run.predictions(1, fold=2)


def test_only_runs_that_are_open_are_compared(planted: Path) -> None:
    run = rustk.open_run("planted", planted)
    for compare in (run.compare, run.differences):
        with pytest.raises(BadStudy, match=r"'c' is no run: expected one that is open, as rustk\.open_run\('c'\)"):
            compare("c")  # type: ignore[arg-type]
        with pytest.raises(BadStudy, match="None is no run: expected one that is open"):
            compare(None)  # type: ignore[arg-type]


def test_a_figure_that_there_is_not_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    run = rustk.open_run("tiny-00000001", str(tmp_path))
    with pytest.raises(BadStudy, match="no figure 'learning-curve': did you mean learning-curves"):
        run.figure("learning-curve")
    with pytest.raises(BadStudy, match=r"no figure \['a'\]: expected one of"):
        run.figure(["a"])  # type: ignore[arg-type]


def test_the_examples_of_the_docs(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(replace(CLEAN, run="regime2-1a2b3c4d", study="regime2"), tmp_path / "rustk-store")
    write(replace(VIEW_ONLY, run="lenet-1a2b3c4d", study="lenet"), tmp_path / "rustk-store")
    page = (repository / "docs/notebook.md").read_text()
    found: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/notebook.md", "exec"), found)
    assert isinstance(found["figure"], Figure)
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith("## Data\n")
    run, other = found["run"], found["other"]
    assert isinstance(run, Run)
    assert isinstance(other, Run)
    assert {"learning-curves", "search-panels"} & set(run.figures)
    compared = run.compare(other)
    assert compared["run"].tolist() == ["regime2-1a2b3c4d", "lenet-1a2b3c4d"]
    assert compared["val_auroc"].tolist() == [run.best["val_auroc"], other.best["val_auroc"]]
    assert len(run.differences(other)) >= 1
