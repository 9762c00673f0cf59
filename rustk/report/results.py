"""From a run's files to DataFrames: the one place that knows how results lie in the store.

Runs are read by column name, and others may have written them: any integer or float width will do, and predictions,
folds, the `seconds` column and the files' metadata may be absent (docs/store.md). What is read is checked, because a
number averaged from a malformed file looks like any other number.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rustk.report.columns import Reader, conform, read_table
from rustk.vocabulary import names, schemas
from rustk.vocabulary.errors import BadData, KeyMissing

T = TypeVar("T")
R = TypeVar("R")

FoldTask = tuple[int, int]  # (trial, fold)

# A run is hundreds of objects of a few kilobytes: what costs is waiting for each answer of the store.
_THREADS = 16

_SHARES = tuple(name for name in (*schemas.METRICS, *schemas.VAL_METRICS) if not name.endswith("loss"))
_HISTORY = pa.schema(
    [
        pa.field("epoch", pa.int64()),
        *(pa.field(name, pa.float64()) for name in (*schemas.METRICS, *schemas.VAL_METRICS, "seconds")),
    ]
)
_PREDICTIONS = pa.schema([field.with_nullable(True) for field in schemas.PREDICTIONS])
_OPTIONAL = frozenset({"seconds"})


@dataclass(frozen=True)
class RunResults:
    """What a run has produced so far. Rows are sorted by trial, fold and epoch.

    `study` is the whole of study.json. `histories` has the columns trial, fold, epoch (from 1), the ten metrics and
    seconds (NaN where the run does not say). A metric is NaN where the file has no value. `missing` are the planned
    folds without a history, `diverged` the epoch at which a fold's training diverged: as its metadata tells or, where
    there is none, the first epoch without a finite loss or val_auroc. `warnings` are sentences for the reader.
    """

    run: str
    study: dict[str, Any]
    trials: pd.DataFrame
    histories: pd.DataFrame
    fold_metadata: dict[FoldTask, dict[str, Any]]
    folds: pd.DataFrame | None
    index: pd.DataFrame | None
    dataset: dict[str, Any] | None
    missing: tuple[FoldTask, ...]
    diverged: dict[FoldTask, int]
    warnings: tuple[str, ...] = ()
    prediction_keys: Mapping[FoldTask, str] = field(default_factory=dict, repr=False)
    reader: Reader | None = field(default=None, repr=False, compare=False)

    @property
    def planned_folds(self) -> int:
        """How many folds each trial was planned to have."""
        return int(self.study["planned"]["folds"])

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
        return str(self.study["study"]["name"])

    @property
    def title(self) -> str:
        """The study's title, or its name where it has none."""
        return str(self.study["study"].get("title") or self.name)

    def has_predictions(self, trial: int) -> bool:
        """Whether every fold of the trial that has a history has its predictions too (and at least one has)."""
        present = {fold for at, fold in self.fold_metadata if at == trial}
        return bool(present) and all((trial, fold) in self.prediction_keys for fold in present)

    def predictions(self, trial: int, fold: int | None = None, *, epoch: int | None = None) -> pd.DataFrame:
        """Predictions of one fold, or of all the trial's folds; of all epochs or of one. Read at each call.

        Columns: trial, fold, epoch (int64), sample_id, and a float32 probability for each of the 18 labels. Rows in the
        order of the files, folds ascending. Raises BadData where there are none, or a file is malformed.
        """
        asked = sorted(f for t, f in self.fold_metadata if t == trial) if fold is None else [fold]
        absent = [str(f) for f in asked if (trial, f) not in self.prediction_keys]
        if absent or not asked:
            raise BadData(
                f"run {self.run} has no predictions of trial {trial} fold {', '.join(absent) or 'any'}: "
                "the run was written without them, or the fold is not done"
            )
        reader = self.reader
        if reader is None:
            raise BadData(f"run {self.run} was not loaded from a store: its predictions can't be read")

        def read(f: int) -> pa.Table:
            key = self.prediction_keys[trial, f]
            table = conform(read_table(reader, key), _PREDICTIONS, key)
            if epoch is not None:
                table = table.filter(pc.equal(table["epoch"], epoch))
            return _placed(table, trial, f)

        return pa.concat_tables(in_threads(read, asked)).to_pandas()


def load_run(reader: Reader, run: str) -> RunResults:
    """Read a run: study.json, trials.parquet and every history; folds and dataset where they are there.

    Raises BadData, naming the file and the column, for whatever is malformed or contradicts the plan, and for a run
    that is not there. Missing folds are no error: they stand in `missing`.
    """
    study = read_run_study(reader, run)
    trials = _read_trials(reader, run, study)
    folds_planned = int(study["planned"]["folds"])
    keys = _fold_keys(reader, f"runs/{run}/histories/")
    _check_planned(keys, set(trials["trial"]), folds_planned)

    read = in_threads(lambda item: _read_history(reader, item[1], *item[0]), keys.items())
    histories = pa.concat_tables([table for table, _ in read] or [_placed(_HISTORY.empty_table(), 0, 0)]).to_pandas()
    _check_shares(histories, keys)
    metadata = {task: found for task, (_, found) in zip(keys, read, strict=True)}
    dataset, index, warnings = read_run_dataset(reader, study)
    return RunResults(
        run=run,
        study=study,
        trials=trials,
        histories=histories,
        fold_metadata=metadata,
        folds=_read_folds(reader, run, folds_planned),
        index=index,
        dataset=dataset,
        missing=tuple(
            (trial, fold) for trial in trials["trial"] for fold in range(folds_planned) if (trial, fold) not in keys
        ),
        diverged=_find_diverged(metadata, histories),
        warnings=warnings,
        prediction_keys=_fold_keys(reader, f"runs/{run}/predictions/"),
        reader=reader,
    )


def in_threads(call: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`[call(item) for item in items]`, many at a time; the first error, in the order of the items, is raised."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(call, items))


def read_json(reader: Reader, key: str) -> dict[str, Any]:
    """A JSON object. Raises KeyMissing, or BadData for anything else than an object."""
    try:
        found = json.loads(reader.read(key))
    except ValueError as error:
        raise BadData(f"{key}: not JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadData(f"{key}: expected a JSON object, found {type(found).__name__}")
    return found


def read_run_study(reader: Reader, run: str) -> dict[str, Any]:
    """The whole of a run's study.json. Raises BadData for a run that is not there, and for one that can't be read."""
    key = names.run_study_key(run)
    try:
        study = read_json(reader, key)
    except KeyMissing as error:
        raise BadData(f"there is no run {run!r}: {error}; `rustk runs` lists those that are") from error
    if not isinstance(study.get("study"), dict) or not isinstance(study["study"].get("name"), str):
        raise BadData(f'{key}: study.name is missing: expected {{"study": {{"name": "..."}}, ...}}')
    planned = study.get("planned")
    for name in ("trials", "folds"):
        count = planned.get(name) if isinstance(planned, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise BadData(f"{key}: planned.{name} is {count!r}: expected how many {name} the run was to have")
    return study


def _read_trials(reader: Reader, run: str, study: dict[str, Any]) -> pd.DataFrame:
    key = names.trials_key(run)
    try:
        table = read_table(reader, key)
    except KeyMissing as error:
        raise BadData(f"{error}: expected the column trial, and one for each searched hyperparameter") from error
    trials = conform(table.select(["trial"] if "trial" in table.column_names else []), _TRIAL, key)
    for name in table.column_names:
        # pandas keeps the index of a DataFrame in a column of such a name.
        if name != "trial" and not name.startswith("__index_level_"):
            trials = trials.append_column(name, _hyperparameter(table[name]))
    frame = trials.to_pandas().sort_values("trial", ignore_index=True)
    if len(twice := frame["trial"][frame["trial"].duplicated()]):
        raise BadData(f"{key}: column trial has {twice.iloc[0]} twice: expected each trial once")
    if len(frame) != study["planned"]["trials"]:
        raise BadData(
            f"{key}: {len(frame)} trials, but {names.run_study_key(run)} has planned.trials = "
            f"{study['planned']['trials']}: expected the same number"
        )
    return frame


def _hyperparameter(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A searched value as it was meant: 0.001 stored in 32 bits is 0.001, not 0.0010000000474974513."""
    if not pa.types.is_floating(column.type) or column.type == pa.float64():
        return column
    return pa.chunked_array([pa.array([float(str(value)) for value in column.to_numpy()], pa.float64())])


_TRIAL = pa.schema([pa.field("trial", pa.int64())])
_FOLDS = pa.schema([pa.field("sample_id", pa.string()), pa.field("fold", pa.int64())])


def _read_folds(reader: Reader, run: str, folds_planned: int) -> pd.DataFrame | None:
    key = names.folds_key(run)
    try:
        folds = conform(read_table(reader, key), _FOLDS, key).to_pandas()
    except KeyMissing:
        return None
    if len(wrong := folds["fold"][~folds["fold"].between(0, folds_planned - 1)]):
        raise BadData(f"{key}: column fold has {wrong.iloc[0]}: expected 0 to {folds_planned - 1}")
    return folds


def read_run_dataset(
    reader: Reader, study: dict[str, Any]
) -> tuple[dict[str, Any] | None, pd.DataFrame | None, tuple[str, ...]]:
    """(dataset.json, index, warnings) of the run with this study.json.

    A dataset that is no longer the run's own is left out, and said.
    """
    named = study.get("dataset")
    if not isinstance(named, dict) or not isinstance(name := named.get("name"), str):
        return None, None, ()
    try:
        dataset = read_json(reader, names.dataset_key(name))
        key = names.dataset_index_key(name)
        index = conform(read_table(reader, key), schemas.INDEX, key, optional=_INDEX_OPTIONAL).to_pandas()
    except KeyMissing as error:
        absent = f"The dataset {name} is not in the store ({error.key}): nothing below is computed from it."
        return None, None, (absent,)
    ours, theirs = named.get("digest"), dataset.get("digest")
    if ours is not None and ours != theirs:
        changed = (
            f"The dataset {name} in the store is not the one this run was made on (digest {str(theirs)[:12]}, the "
            f"run's {str(ours)[:12]}): nothing below is computed from it."
        )
        return None, None, (changed,)
    return dataset, index, ()


_INDEX_OPTIONAL = frozenset(field.name for field in schemas.INDEX if field.nullable)


def _fold_keys(reader: Reader, prefix: str) -> dict[FoldTask, str]:
    """The fold files below `prefix`, sorted by trial and fold. What is no Parquet file is none of ours."""
    keys: dict[FoldTask, str] = {}
    for entry in reader.list(prefix):
        if not entry.key.endswith(".parquet"):
            continue
        task = names.parse_fold_key(entry.key)
        if task is None:
            raise BadData(f"{entry.key}: not the name of a fold's file: expected {prefix}trial=0007/fold=3.parquet")
        if task in keys:
            raise BadData(f"{entry.key} and {keys[task]} are both trial {task[0]} fold {task[1]}: remove one of them")
        keys[task] = entry.key
    return dict(sorted(keys.items()))


def _check_planned(keys: Mapping[FoldTask, str], trials: set[int], folds: int) -> None:
    for (trial, fold), key in keys.items():
        if trial not in trials:
            raise BadData(f"{key}: trials.parquet has no trial {trial}: add its row, or remove the file")
        if fold >= folds:
            raise BadData(f"{key}: fold {fold}, but study.json has planned.folds = {folds}: folds count from 0")


def _read_history(reader: Reader, key: str, trial: int, fold: int) -> tuple[pa.Table, dict[str, Any]]:
    table = read_table(reader, key)
    try:
        metadata = schemas.read_metadata(table.schema)
    except ValueError as error:
        raise BadData(f"{key}: its metadata under the key 'rustk' is not JSON ({error})") from error
    for name, expected in (("trial", trial), ("fold", fold)):
        if name in table.column_names and any(found != expected for found in pc.unique(table[name]).to_pylist()):
            raise BadData(f"{key}: column {name} does not say {expected} in every row, as the file's name does")
    table = conform(table, _HISTORY, key, optional=_OPTIONAL)
    epochs = table["epoch"].to_numpy()
    if len(epochs) and epochs.min() < 1:
        raise BadData(f"{key}: column epoch has {epochs.min()}: expected 1 or more, the first epoch is 1")
    steps = np.diff(epochs)
    if (steps <= 0).any():
        table = table.sort_by("epoch")
        epochs = table["epoch"].to_numpy()
        if len(twice := epochs[1:][np.diff(epochs) == 0]):
            raise BadData(f"{key}: column epoch has {twice[0]} twice: expected one row an epoch")
    return _placed(table, trial, fold), metadata if isinstance(metadata, dict) else {}


def _placed(table: pa.Table, trial: int, fold: int) -> pa.Table:
    """The table with its place in the run as the first two columns."""
    for position, (name, value) in enumerate((("trial", trial), ("fold", fold))):
        table = table.add_column(position, name, pa.array(np.full(table.num_rows, value, np.int64)))
    return table


def _check_shares(histories: pd.DataFrame, keys: Mapping[FoldTask, str]) -> None:
    values = histories[list(_SHARES)].to_numpy()
    rows, columns = np.nonzero((values < -1e-6) | (values > 1 + 1e-6))
    if len(rows):
        row = histories.iloc[rows[0]]
        raise BadData(
            f"{keys[int(row['trial']), int(row['fold'])]}: column {_SHARES[columns[0]]} is "
            f"{values[rows[0], columns[0]]!r} at epoch {int(row['epoch'])}: expected 0 to 1"
        )


def _find_diverged(metadata: Mapping[FoldTask, Mapping[str, Any]], histories: pd.DataFrame) -> dict[FoldTask, int]:
    diverged: dict[FoldTask, int] = {}
    for task, found in metadata.items():
        if found.get("outcome") == "diverged" and isinstance(epoch := found.get("diverged_epoch"), int):
            diverged[task] = epoch
    finite = np.isfinite(histories["loss"]) & np.isfinite(histories["val_auroc"])
    for trial, fold, epoch in histories.loc[~finite, ["trial", "fold", "epoch"]].itertuples(index=False):
        diverged.setdefault((trial, fold), epoch)
    return dict(sorted(diverged.items()))
