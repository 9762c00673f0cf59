"""From a run's files to DataFrames: the one place that knows how results lie in the store.

Runs are read by column name, and others may have written them: predictions, folds, the dataset and most columns of
histories may be absent (docs/store.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rustk.planning.batches import FoldTask
from rustk.planning.plan import MOST_TASKS
from rustk.report.data.histories import (
    ALL_METRICS,
    find_diverged,
    fold_keys,
    in_threads,
    placed,
    read_histories,
    recorded_metrics,
)
from rustk.store.base import Store
from rustk.store.datasets import read_dataset, read_index
from rustk.store.documents import DatasetDocument, HistoryMetadata, RunDocument
from rustk.store.runs import read_run
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, KeyMissing
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import conform, read_parquet
from rustk.vocabulary.schemas import predictions_schema

__all__ = ["FoldTask", "RunResults", "in_threads", "load_run", "read_run_dataset"]

# What the tables that are made of trials.parquet have beside a trial's hyperparameters.
_TAKEN = frozenset(
    ["rank", "epoch", "fold", "folds", "folds_used", "folds_planned", "diverged_epoch", "note", "seconds"]
    + [column for name in ALL_METRICS for column in (name, f"{name}_sd")]
)
_TRIAL = pa.schema([pa.field("trial", pa.int64())])
_FOLDS = pa.schema([pa.field("sample_id", pa.string()), pa.field("fold", pa.int64())])
_PREDICTED = pa.schema([pa.field("epoch", pa.int32()), pa.field("sample_id", pa.string())])


@dataclass(frozen=True)
class RunResults:
    """What a run has produced so far. Rows are sorted by trial, fold and epoch.

    `histories` has the columns trial, fold, epoch (from 1), the ten metrics and seconds, NaN where the files have no
    value. `missing` are the planned folds without a history, `diverged` the epoch at which a fold's training diverged:
    as its metadata tells or, where there is none, the first epoch of a recorded loss that is not finite. `warnings`
    are sentences for the reader.
    """

    run: str
    study: RunDocument
    trials: pd.DataFrame
    histories: pd.DataFrame
    fold_metadata: dict[FoldTask, HistoryMetadata]
    folds: pd.DataFrame | None
    index: pd.DataFrame | None
    dataset: DatasetDocument | None
    missing: tuple[FoldTask, ...]
    diverged: dict[FoldTask, int]
    warnings: tuple[str, ...] = ()
    prediction_keys: Mapping[FoldTask, str] = field(default_factory=dict, repr=False)
    store: Store | None = field(default=None, repr=False, compare=False)

    @property
    def instrument(self) -> Instrument | None:
        """The dataset's, or else the one that the run names; None where neither is known."""
        return self.study.instrument if self.dataset is None else self.dataset.instrument

    @property
    def planned_folds(self) -> int:
        """How many folds each trial was planned to have."""
        return self.study.planned.folds

    @property
    def metrics(self) -> tuple[str, ...]:
        """Which of the ten metrics the run's histories record."""
        return recorded_metrics(self.histories)

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """The searched hyperparameters: columns of `trials` with more than one value, in the study's order.

        Empty without a search. What all trials share was not searched, even where it has a column.
        """
        return tuple(str(name) for name in self.trials.columns if name != "trial" and self.trials[name].nunique() > 1)

    @property
    def shared_hyperparameters(self) -> dict[str, Any]:
        """What has a column in `trials`, and one value in all of them."""
        return {
            str(name): self.trials[name].iloc[0]
            for name in self.trials.columns
            if name != "trial" and self.trials[name].nunique() == 1
        }

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.study.name

    @property
    def title(self) -> str:
        """The study's title, or its name where it has none."""
        return self.study.title

    def has_predictions(self, trial: int) -> bool:
        """Whether every fold of the trial that has a history has its predictions too (and at least one has)."""
        present = {fold for at, fold in self.fold_metadata if at == trial}
        return bool(present) and all((trial, fold) in self.prediction_keys for fold in present)

    def predictions(self, trial: int, fold: int | None = None, *, epoch: int | None = None) -> pd.DataFrame:
        """Predictions of one fold, or of all the trial's folds; of all epochs or of one. Read at each call.

        Columns: trial, fold, epoch (int64), sample_id, and a float32 probability for each label of the instrument; for
        each column of floats, where no instrument is known. Rows in the order of the files, folds ascending. Raises
        BadData where there are none, or a file is malformed.
        """
        asked = sorted(f for t, f in self.fold_metadata if t == trial) if fold is None else [fold]
        absent = [str(f) for f in asked if (trial, f) not in self.prediction_keys]
        if absent or not asked:
            raise BadData(
                f"run {self.run} has no predictions of trial {trial} fold {', '.join(absent) or 'any'}: "
                "the run was written without them, or the fold is not done"
            )
        store = self.store
        if store is None:
            raise BadData(f"run {self.run} was not loaded from a store: its predictions can't be read")

        def read(f: int) -> pa.Table:
            key = self.prediction_keys[trial, f]
            found = read_parquet(store.read(key), key)
            table = conform(found, _predictions_schema(found, self.instrument), key)
            if epoch is not None:
                table = table.filter(pc.equal(table["epoch"], epoch))
            return placed(table, trial, f)

        tables = in_threads(read, asked)
        if any(table.schema != tables[0].schema for table in tables):
            raise BadData(f"run {self.run}: the predictions of trial {trial} have other columns from fold to fold")
        return pa.concat_tables(tables).to_pandas()


def load_run(store: Store, run: str) -> RunResults:
    """Read a run: study.json, trials.parquet and every history; folds and dataset where they are there.

    Raises BadStudy for a run that is not there, and BadData, naming the file and the column, for whatever is malformed
    or contradicts the plan. Missing folds are no error: they stand in `missing`.
    """
    study = read_run(store, run)
    planned = study.planned
    if planned.trials * planned.folds > MOST_TASKS:
        raise BadData(
            f"{names.run_study_key(run)}: planned.trials = {planned.trials}, planned.folds = {planned.folds}: expected "
            f"at most {MOST_TASKS:,} folds in all"
        )
    trials = _read_trials(store, run, planned.trials)
    keys = fold_keys(store, names.histories_prefix(run))
    _check_planned(keys, set(trials["trial"]), planned.folds)
    rows, histories = read_histories(store, keys)
    dataset, index, warnings = read_run_dataset(store, study)
    return RunResults(
        run=run,
        study=study,
        trials=trials,
        histories=rows,
        fold_metadata={task: history.metadata for task, history in histories.items()},
        folds=_read_folds(store, run, planned.folds),
        index=index,
        dataset=dataset,
        missing=tuple(
            (trial, fold) for trial in trials["trial"] for fold in range(planned.folds) if (trial, fold) not in keys
        ),
        diverged=find_diverged(rows, histories),
        warnings=(*warnings, *_unrecorded(rows)),
        prediction_keys=fold_keys(store, names.predictions_prefix(run)),
        store=store,
    )


def read_run_dataset(
    store: Store, study: RunDocument
) -> tuple[DatasetDocument | None, pd.DataFrame | None, tuple[str, ...]]:
    """(dataset.json, index, warnings) of the run with this study.json.

    A dataset that is no longer the run's own, or not in the store, is left out, and said. Raises BadData for one that
    is damaged.
    """
    if study.dataset is None:
        return None, None, ()
    name, ours = study.dataset.name, study.dataset.digest
    for key in (names.dataset_key(name), names.dataset_index_key(name)):
        if not store.exists(key):
            return None, None, (f"The dataset {name} is not in the store ({key}): nothing here is computed from it.",)
    dataset = read_dataset(store, name)
    if ours is not None and ours != dataset.digest:
        changed = (
            f"The dataset {name} in the store is not the one this run was made on (digest {dataset.digest[:12]}, the "
            f"run's {ours[:12]}): nothing here is computed from it."
        )
        return None, None, (changed,)
    return dataset, read_index(store, dataset).to_pandas(), ()


def _read_trials(store: Store, run: str, planned: int) -> pd.DataFrame:
    key = names.trials_key(run)
    try:
        table = read_parquet(store.read(key), key)
    except KeyMissing as error:
        raise BadData(f"{error}: expected the column trial, and one for each searched hyperparameter") from None
    trials = conform(table, _TRIAL, key)
    for position, name in enumerate(table.column_names):
        # pandas keeps the index of a DataFrame in a column of such a name.
        if name == "trial" or name.startswith("__index_level_"):
            continue
        if name in _TAKEN or name in trials.column_names:
            why = "stands there twice" if name in trials.column_names else "is what a result is called"
            raise BadData(f"{key}: column {clip(name)} {why}: expected trial, and the hyperparameters by their names")
        trials = trials.append_column(name, _hyperparameter(table.column(position), f"{key}: column {clip(name)}"))
    frame = trials.to_pandas().sort_values("trial", ignore_index=True)
    if len(twice := frame["trial"][frame["trial"].duplicated()]):
        raise BadData(f"{key}: column trial has {twice.iloc[0]} twice: expected each trial once")
    if len(frame) and frame["trial"].iloc[0] < 0:
        raise BadData(f"{key}: column trial has {frame['trial'].iloc[0]}: expected 0 or more")
    if len(frame) != planned:
        raise BadData(
            f"{key}: {len(frame)} trials, but {names.run_study_key(run)} has planned.trials = {planned}: expected the "
            "same number"
        )
    return frame


def _hyperparameter(column: pa.ChunkedArray, source: str) -> pa.ChunkedArray:
    """A searched value as it was meant: 0.001 stored in 32 bits is 0.001, not 0.0010000000474974513."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or kind in (pa.string(), pa.large_string(), pa.float64()):
        return column
    if pa.types.is_null(kind):
        return column.cast(pa.float64())
    if not pa.types.is_floating(kind):
        raise BadData(f"{source} is {kind}: expected numbers or texts")
    values = [None if value is None else float(str(value)) for value in column.to_numpy()]
    return pa.chunked_array([pa.array(values, pa.float64())])


def _read_folds(store: Store, run: str, planned: int) -> pd.DataFrame | None:
    key = names.folds_key(run)
    try:
        folds = conform(read_parquet(store.read(key), key), _FOLDS, key).to_pandas()
    except KeyMissing:
        return None
    if len(wrong := folds["fold"][~folds["fold"].between(0, planned - 1)]):
        raise BadData(f"{key}: column fold has {wrong.iloc[0]}: expected 0 to {planned - 1}")
    return folds


def _check_planned(keys: Mapping[FoldTask, str], trials: set[int], folds: int) -> None:
    for (trial, fold), key in keys.items():
        if trial not in trials:
            raise BadData(f"{key}: trials.parquet has no trial {trial}: add its row, or remove the file")
        if fold >= folds:
            raise BadData(f"{key}: fold {fold}, but study.json has planned.folds = {folds}: folds count from 0")


def _unrecorded(rows: pd.DataFrame) -> tuple[str, ...]:
    """What no history of the run has, in one sentence."""
    absent = [name for name in ALL_METRICS if name not in recorded_metrics(rows)]
    if not len(rows) or not absent:
        return ()
    return (f"The histories don't record {', '.join(absent)}: nothing here is said of it.",)


def _predictions_schema(found: pa.Table, instrument: Instrument | None) -> pa.Schema:
    """What a file of predictions must hold: the instrument's labels or, where it is not known, its columns of
    floats."""
    if instrument is not None:
        return pa.schema([field.with_nullable(True) for field in predictions_schema(instrument)])
    floats = [column.name for column in found.schema if pa.types.is_floating(column.type)]
    return pa.schema([*_PREDICTED, *(pa.field(name, pa.float32()) for name in floats if name not in _PREDICTED.names)])


def read_test_predictions(store: Store, run: str, instrument: Instrument) -> pd.DataFrame:
    """What a run's final model predicted of the test split: fold (0 everywhere), epoch, sample_id and the labels.

    Raises KeyMissing or BadData.
    """
    key = names.test_prediction_key(run)
    found = read_parquet(store.read(key), key)
    return conform(found, _predictions_schema(found, instrument), key).to_pandas().assign(fold=0)
