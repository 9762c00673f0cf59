"""The files of a run's folds: which there are, and each fold's history, checked.

Others may have written them: any integer or float width will do, and all columns may be absent but `epoch` and the
figure of merit. What is read is checked, because a number averaged from a malformed file looks like any other number.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rustk.planning.batches import FoldTask
from rustk.store.base import Store
from rustk.store.documents import HistoryMetadata, parse_document
from rustk.store.remedies import advised, damaged
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.parquet import conform, read_metadata_bytes, read_parquet
from rustk.vocabulary.schemas import MERIT, METRICS, VAL_METRICS

if TYPE_CHECKING:
    import pandas as pd  # half a second, which those who only look for what is there need not wait

T = TypeVar("T")
R = TypeVar("R")

ALL_METRICS = (*METRICS, *VAL_METRICS)

# A run is hundreds of objects of a few kilobytes: what costs is waiting for each answer of the store.
_THREADS = 16
_LATEST_EPOCH = 1_000_000
_ROUNDING = 1e-6
_SHARES = tuple(name for name in ALL_METRICS if not name.endswith("loss"))
_HISTORY = pa.schema(
    [pa.field("epoch", pa.int64()), *(pa.field(name, pa.float64()) for name in (*ALL_METRICS, "seconds"))]
)
_PLACE = ("trial", "fold")
_OPTIONAL = frozenset(_HISTORY.names) - {"epoch", MERIT}


@dataclass(frozen=True)
class History:
    """One fold's history: its rows with the columns trial, fold, epoch, the ten metrics and seconds (NaN where the
    file has no value), what its metadata says, and which of the metrics it records."""

    rows: pa.Table
    metadata: HistoryMetadata
    recorded: frozenset[str]


def in_threads(call: Callable[[T], R], items: Iterable[T], threads: int = _THREADS) -> list[R]:
    """`[call(item) for item in items]`, many at a time; the first error, in the order of the items, is raised."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, items))


def fold_keys(store: Store, prefix: str) -> dict[FoldTask, str]:
    """The fold files below `prefix`, sorted by trial and fold. What is no Parquet file is none of ours.

    Raises BadData for a Parquet file that is named otherwise, and for two files of one fold.
    """
    keys: dict[FoldTask, str] = {}
    for entry in store.list(prefix):
        if not entry.key.endswith(".parquet"):
            continue
        task = names.parse_fold_key(entry.key)
        if task is None:
            raise BadData(f"{entry.key}: not the name of a fold's file: expected {prefix}trial=0007/fold=3.parquet")
        if task in keys:
            raise BadData(f"{entry.key} and {keys[task]} are both trial {task[0]} fold {task[1]}: remove one of them")
        keys[task] = entry.key
    return dict(sorted(keys.items()))


def read_histories(
    store: Store, keys: Mapping[FoldTask, str], threads: int = _THREADS
) -> "tuple[pd.DataFrame, dict[FoldTask, History]]":
    """(all rows, each fold's history) of the files `keys`. Raises BadData that names the file and the column."""
    found = in_threads(lambda item: _read_file(store, item[1], *item[0]), keys.items(), threads)
    read = _checked_together(found) or [_checked(file) for file in found]
    tables = [history.rows for history in read] or [placed(_HISTORY.empty_table(), 0, 0)]
    rows = pa.concat_tables(tables).to_pandas()
    _check_shares(rows, keys)
    return rows, dict(zip(keys, read, strict=True))


def find_diverged(rows: "pd.DataFrame", histories: Mapping[FoldTask, History]) -> dict[FoldTask, int]:
    """The epoch at which each fold that diverged did so.

    As its metadata says or, where there is none, the first epoch whose loss was recorded and is not finite. A loss that
    a file does not have, or that has no value in the whole run, was not recorded.
    """
    diverged: dict[FoldTask, int] = {}
    ends = rows.groupby(["trial", "fold"])["epoch"].max()
    for task, history in histories.items():
        if history.metadata.outcome == "diverged":
            after_last = int(ends.get(task, 0)) + 1
            diverged[task] = history.metadata.diverged_epoch or after_last
    wrong = np.isinf(rows["val_loss"].to_numpy())
    if rows["loss"].notna().any():
        wrong |= ~np.isfinite(rows["loss"].to_numpy())
    for trial, fold, epoch in rows.loc[wrong, ["trial", "fold", "epoch"]].itertuples(index=False):
        if {"loss", "val_loss"} & histories[trial, fold].recorded:
            diverged.setdefault((trial, fold), epoch)
    return dict(sorted(diverged.items()))


def recorded_metrics(rows: "pd.DataFrame") -> tuple[str, ...]:
    """The metrics that have a value anywhere."""
    return tuple(name for name in ALL_METRICS if rows[name].notna().any())


def placed(table: pa.Table, trial: int, fold: int) -> pa.Table:
    """The table with its place in the run as the first two columns."""
    for position, (name, value) in enumerate(zip(_PLACE, (trial, fold), strict=True)):
        table = table.add_column(position, name, pa.array(np.full(table.num_rows, value, np.int64)))
    return table


@dataclass(frozen=True)
class _File:
    """A history's file as it was read: its columns are not yet checked."""

    key: str
    trial: int
    fold: int
    table: pa.Table
    metadata: HistoryMetadata

    @property
    def recorded(self) -> frozenset[str]:
        return frozenset(ALL_METRICS).intersection(self.table.column_names)


def _read_file(store: Store, key: str, trial: int, fold: int) -> _File:
    with advised(key):
        return _file_of(store.read(key), key, trial, fold)


def _file_of(data: bytes, key: str, trial: int, fold: int) -> _File:
    found = read_parquet(data, key)
    metadata = parse_document(HistoryMetadata, read_metadata_bytes(found.schema), f"{key}: its metadata")
    for name, expected in (("trial", trial), ("fold", fold)):
        indices = found.schema.get_all_field_indices(name)
        if any(pc.unique(found.column(index)).to_pylist() not in ([expected], []) for index in indices):
            raise BadData(f"{key}: column {name} does not say {expected} in every row, as the file's name does")
    for name, expected, said in (("trial", trial, metadata.trial), ("fold", fold, metadata.fold)):
        if said not in (None, expected):
            raise BadData(f"{key}: its metadata has {name} {said}: expected {expected}, as the file's name has it")
    run = names.run_of(key)
    if metadata.run not in (None, run):
        raise BadData(f"{key}: its metadata has run {clip(metadata.run)}: expected {run}, whose folder it lies in")
    return _File(key, trial, fold, found, metadata)


def _checked_together(files: Sequence[_File]) -> list[History] | None:
    """What `_checked` makes of each file, of all at once: hundreds of tables of a few rows take ten times as long one
    by one. None where they differ in their columns or anything is not as it should be: file by file it will be said.
    """
    if not files or any(not file.table.schema.equals(files[0].table.schema) for file in files):
        return None
    try:
        table = conform(pa.concat_tables([file.table for file in files]), _HISTORY, "", optional=_OPTIONAL)
    except BadData:
        return None
    lengths = np.array([file.table.num_rows for file in files])
    of_file = np.repeat(np.arange(len(files)), lengths)
    epochs = table["epoch"].to_numpy()
    rising = (np.diff(epochs) > 0) | (np.diff(of_file) > 0)
    if not rising.all() or (len(epochs) and not 1 <= epochs.min() <= epochs.max() <= _LATEST_EPOCH):
        return None
    for position, numbers in enumerate(([file.trial for file in files], [file.fold for file in files])):
        column = pa.array(np.array(numbers, np.int64)[of_file])
        table = table.add_column(position, _PLACE[position], column)
    table, starts, recorded = table.combine_chunks(), np.cumsum(lengths) - lengths, files[0].recorded
    return [
        History(table.slice(int(start), int(length)), file.metadata, recorded)
        for file, start, length in zip(files, starts, lengths, strict=True)
    ]


def _checked(file: _File) -> History:
    with advised(file.key):
        return _checked_alone(file)


def _checked_alone(file: _File) -> History:
    key, table = file.key, conform(file.table, _HISTORY, file.key, optional=_OPTIONAL)
    epochs = table["epoch"].to_numpy()
    if len(epochs) and epochs.min() < 1:
        raise BadData(f"{key}: column epoch has {epochs.min()}: expected 1 or more, the first epoch is 1")
    if len(epochs) and epochs.max() > _LATEST_EPOCH:
        raise BadData(f"{key}: column epoch has {epochs.max()}: expected at most {_LATEST_EPOCH:,}")
    if (np.diff(epochs) <= 0).any():
        table = table.sort_by("epoch")
        epochs = table["epoch"].to_numpy()
        if len(twice := epochs[1:][np.diff(epochs) == 0]):
            raise BadData(f"{key}: column epoch has {twice[0]} twice: expected one row an epoch")
    return History(placed(table, file.trial, file.fold), file.metadata, file.recorded)


def _check_shares(rows: "pd.DataFrame", keys: Mapping[FoldTask, str]) -> None:
    values = rows[list(_SHARES)].to_numpy()
    wrong, columns = np.nonzero((values < -_ROUNDING) | (values > 1 + _ROUNDING))
    if len(wrong):
        row = rows.iloc[wrong[0]]
        key = keys[int(row["trial"]), int(row["fold"])]
        found = f"{float(values[wrong[0], columns[0]])} at epoch {int(row['epoch'])}"
        raise damaged(key, f"{key}: column {_SHARES[columns[0]]} is {found}: expected 0 to 1")
