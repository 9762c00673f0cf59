from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.report.data.aggregate import Aggregate, aggregate, describe_folds
from rustk.report.data.results import RunResults, load_run
from rustk.store import open_store
from rustk.store.documents import HistoryMetadata, Planned, RunDocument, StudyPart
from rustk.vocabulary.errors import BadData
from tests.report.runs import (
    TINY_TRIALS,
    TINY_VAL_AUROC,
    history,
    write_golden,
    write_run,
    write_shaped,
    write_tiny,
)

# Table 1.5 of the thesis.
PUBLISHED = [
    (1e-3, 1e-7, 0.7969321310520172),
    (1e-3, 1e-5, 0.7969251374403635),
    (1e-1, 1e-1, 0.7962859372297922),
    (1e-3, 1e-6, 0.7957556545734406),
    (1e-3, 1e-3, 0.7938481668631235),
    (1e-4, 1e-8, 0.7918900847434998),
    (1e-3, 1e-4, 0.7907490432262421),
    (1e-2, 1e-2, 0.7903381884098053),
    (1e-4, 1e-6, 0.7865246037642161),
    (1e-4, 1e-5, 0.7846748034159342),
]


def read(store: Path, run: str = "tiny-00000001", **options: bool) -> Aggregate:
    return aggregate(load_run(open_store(str(store)), run), **options)


def test_the_figure_of_merit_is_the_greatest_mean_over_folds(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    averaged = read(tmp_path)
    by_epoch = averaged.epochs.pivot(index="trial", columns="epoch", values="val_auroc")
    assert by_epoch.to_numpy().tolist() == [[0.5, 0.625, 0.625], [0.75, 0.5, 0.75], [0.5, 0.75, 0.5]]
    # Trials 1 and 2 are equal: the lower one is first. In trials 0 and 1 two epochs are equal: the earlier one counts.
    assert averaged.trials["trial"].tolist() == [1, 2, 0]
    assert averaged.trials["rank"].tolist() == [1, 2, 3]
    assert averaged.trials["epoch"].tolist() == [1, 2, 2]
    assert averaged.trials["val_auroc"].tolist() == [0.75, 0.75, 0.625]
    assert averaged.trials["learning_rate"].tolist() == [1e-2, 1e-3, 1e-1]
    assert not averaged.partial
    assert averaged.note == ""
    assert (averaged.trials["note"] == "").all()


def test_other_metrics_and_deviations_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    row = read(tmp_path).row(0)  # at epoch 2 its folds have 0.5 and 0.75
    assert row["val_auroc_sd"] == pytest.approx(0.25 / np.sqrt(2), abs=1e-15)  # ddof = 1
    assert row["loss"] == 0.875
    assert row["val_loss"] == 1.375
    assert row["val_precision"] == 0.15625
    assert row["auroc_sd"] == pytest.approx(0.125 / np.sqrt(2), abs=1e-15)
    assert (row["folds_used"], row["folds_planned"]) == (2, 2)


def test_missing_folds_are_refused_by_name(tmp_path: Path) -> None:
    write_tiny(tmp_path, without=((0, 1), (2, 0), (2, 1)))
    with pytest.raises(BadData, match=r"lacks 3 of 6 folds \(trial 0: fold 1; trial 2: folds 0, 1\).*--allow-partial"):
        read(tmp_path)


def test_partial_averages_are_marked_in_every_row_they_touch(tmp_path: Path) -> None:
    write_tiny(tmp_path, without=((0, 1), (2, 0), (2, 1)))
    averaged = read(tmp_path, allow_partial=True)
    assert averaged.partial
    assert averaged.note == "partial: 3 of 6 folds"
    assert averaged.trials["trial"].tolist() == [0, 1, 2]
    assert averaged.trials["folds_used"].tolist() == [1, 2, 0]
    assert averaged.trials["note"].tolist() == ["1 of 2 folds", "", "no folds"]
    alone = averaged.row(0)
    assert (alone["epoch"], alone["val_auroc"]) == (3, 0.75)
    assert np.isnan(alone["val_auroc_sd"])  # one fold has no deviation
    nothing = averaged.row(2)
    assert nothing["rank"] is pd.NA
    assert nothing["epoch"] is pd.NA
    assert np.isnan(nothing["val_auroc"])


def test_a_diverged_fold_ends_its_trial_at_the_epoch_before(tmp_path: Path) -> None:
    histories = {task: history(values) for task, values in TINY_VAL_AUROC.items()}
    # Trial 1's fold 0 diverges at epoch 3, of which its other fold has a row; trial 2's at epoch 1.
    histories[1, 0] = history([0.75, 0.875, np.nan])
    histories[2, 1] = history([np.nan, np.nan, np.nan])
    write_run(tmp_path, "diverging", TINY_TRIALS, histories, folds=2)
    averaged = read(tmp_path, "diverging")
    row = averaged.row(1)
    assert (row["epoch"], row["val_auroc"]) == (1, 0.75)
    assert row["diverged_epoch"] == 3
    assert row["note"] == "diverged at epoch 3 (fold 0)"
    assert averaged.epochs.loc[averaged.epochs["trial"] == 1, "epoch"].tolist() == [1, 2]
    lost = averaged.trials.iloc[-1]
    assert (lost["trial"], lost["diverged_epoch"], lost["note"]) == (2, 1, "diverged at epoch 1 (fold 1)")
    assert lost["rank"] is pd.NA
    assert not averaged.partial  # its folds are there: they ended, each with its own outcome


def test_a_metric_that_a_fold_lacks_has_no_mean(tmp_path: Path) -> None:
    histories = {(0, 0): history([0.5, 0.6]), (0, 1): history([0.5, 0.6], val_f1=[0.5, np.nan], loss=[0.5, np.inf])}
    write_run(tmp_path, "gaps", pd.DataFrame({"trial": [0]}), histories, folds=2)
    row = read(tmp_path, "gaps").best
    assert row["epoch"] == 2
    assert np.isnan(row["val_f1"])
    assert np.isnan(row["val_f1_sd"])
    assert np.isnan(row["loss"])
    assert row["note"] == "diverged at epoch 2 (fold 1)"


def test_folds_of_different_length_count_up_to_the_shortest(tmp_path: Path) -> None:
    histories = {(0, 0): history([0.5, 0.6, 0.9]), (0, 1): history([0.5, 0.7])}
    write_run(tmp_path, "ragged", pd.DataFrame({"trial": [0]}), histories, folds=2)
    row = read(tmp_path, "ragged").best
    assert row["epoch"] == 2
    assert row["note"] == "2 of 3 epochs have every fold"


def test_without_any_value_there_is_no_best_trial(tmp_path: Path) -> None:
    write_run(tmp_path, "lost", pd.DataFrame({"trial": [0]}), {(0, 0): history([np.nan])}, folds=1)
    averaged = read(tmp_path, "lost")
    with pytest.raises(BadData, match="run lost: no trial has an epoch with a val_auroc from every fold"):
        _ = averaged.best
    write_run(tmp_path, "empty", pd.DataFrame({"trial": [0]}), {(0, 0): history([])}, folds=1)
    assert read(tmp_path, "empty").trials["val_auroc"].isna().all()


@settings(max_examples=40)
@given(
    values=st.lists(
        st.lists(
            st.lists(
                st.one_of(st.sampled_from([0.25, 0.5, 0.75]), st.floats(0, 1, width=32), st.just(np.nan)),
                min_size=0,
                max_size=4,
            ),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_it_equals_the_definition_by_brute_force(values: list[list[list[float]]]) -> None:
    """`values`: val_auroc by trial, fold and epoch, of any length; NaN where there is none."""
    rows = [
        frame.assign(trial=trial, fold=fold)
        for trial, folds in enumerate(values)
        for fold, of_fold in enumerate(folds)
        for frame in [history(of_fold)]
    ]
    tasks = [(trial, fold) for trial in range(len(values)) for fold in range(3)]
    results = RunResults(
        run="drawn",
        study=RunDocument(study=StudyPart(name="drawn"), planned=Planned(trials=len(values), folds=3)),
        trials=pd.DataFrame({"trial": range(len(values))}),
        histories=pd.concat(rows, ignore_index=True),
        fold_metadata={task: HistoryMetadata() for task in tasks},
        folds=None,
        index=None,
        dataset=None,
        missing=(),
        diverged={},
    )
    ranked = aggregate(results).trials
    found = ranked.set_index("trial")
    expected = []
    for trial, folds in enumerate(values):
        best: tuple[float, int] | None = None
        for epoch in range(1, min(len(of_fold) for of_fold in folds) + 1):
            at = [of_fold[epoch - 1] for of_fold in folds]
            if not any(np.isnan(at)) and (best is None or sum(at) / 3 > best[0]):
                best = (sum(at) / 3, epoch)
                deviation = np.sqrt(sum((value - best[0]) ** 2 for value in at) / 2)
        if best is None:
            assert np.isnan(found.loc[trial, "val_auroc"])
            continue
        assert found.loc[trial, "val_auroc"] == pytest.approx(best[0], abs=1e-15)
        assert found.loc[trial, "val_auroc_sd"] == pytest.approx(deviation, abs=1e-7)
        epochs = [e for e in range(1, 5) if _mean(folds, e) == pytest.approx(best[0], abs=1e-15)]
        assert found.loc[trial, "epoch"] in epochs
        expected.append((-found.loc[trial, "val_auroc"], trial))
    assert ranked.loc[ranked["rank"].notna(), "trial"].tolist() == [trial for _, trial in sorted(expected)]


def _mean(folds: list[list[float]], epoch: int) -> float:
    at = [of_fold[epoch - 1] if epoch <= len(of_fold) else np.nan for of_fold in folds]
    return sum(at) / 3


def test_it_equals_the_published_table_to_the_last_digit(tmp_path: Path, repository: Path) -> None:
    averaged = read(tmp_path, write_golden(tmp_path, repository))
    top = averaged.trials.head(10)
    assert list(zip(top["learning_rate"], top["epsilon"], top["val_auroc"], strict=True)) == PUBLISHED


@pytest.mark.parametrize(
    ("trials", "folds", "epochs"), [(110, 2, 3), (1, 10, 40)], ids=["regime1-shaped", "final-shaped"]
)
def test_other_studies_are_averaged_as_they_come(tmp_path: Path, trials: int, folds: int, epochs: int) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"trial": range(trials)})
    if trials > 1:
        frame["batch_size"] = rng.integers(16, 2049, trials)
        frame["dropout"] = rng.uniform(0, 0.5, trials)
    write_shaped(tmp_path, "shaped", frame, folds=folds, epochs=epochs, study={"name": "shaped"})
    results = load_run(open_store(str(tmp_path)), "shaped")
    averaged = aggregate(results)
    cube = results.histories["val_auroc"].to_numpy().reshape(trials, folds, epochs)
    expected = cube.mean(axis=1).max(axis=1)
    assert averaged.trials["val_auroc"].to_numpy() == pytest.approx(np.sort(expected)[::-1], abs=1e-15)
    assert averaged.best["trial"] == int(expected.argmax())
    assert averaged.best["epoch"] == int(cube.mean(axis=1)[expected.argmax()].argmax()) + 1
    assert len(averaged.epochs) == trials * epochs


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([(4, 1)], "trial 4: fold 1"),
        ([(4, 2), (4, 1)], "trial 4: folds 1, 2"),
        ([(4, 0), (4, 1), (4, 2), (4, 5)], "trial 4: folds 0-2, 5"),
        ([(t, f) for t in range(7, 32) for f in range(6)] + [(2, 0)], "trial 2: fold 0; trials 7-31: folds 0-5"),
    ],
)
def test_folds_are_named_as_short_as_can_be(tasks: list[tuple[int, int]], words: str) -> None:
    assert describe_folds(tasks) == words
