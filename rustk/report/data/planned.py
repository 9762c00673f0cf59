"""What a run was planned to be, checked: its trials, its folds, and the rounds that its search was decided in."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from rustk.planning.batches import FoldTask
from rustk.planning.search.base import short_name
from rustk.planning.study import Study
from rustk.report.data.histories import ALL_METRICS
from rustk.store.base import Store
from rustk.store.documents import Planned, Round
from rustk.store.remedies import advised, damaged
from rustk.store.rounds import contradicted
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, KeyMissing
from rustk.vocabulary.parquet import conform, read_parquet
from rustk.vocabulary.wording import counted

# What the tables that are made of trials.parquet have beside a trial's hyperparameters.
_TAKEN = frozenset(
    [
        "rank",
        "epoch",
        "fold",
        "folds",
        "folds_used",
        "folds_planned",
        "dropped_round",
        "diverged_epoch",
        "note",
        "seconds",
    ]
    + [column for name in ALL_METRICS for column in (name, f"{name}_sd")]
)
_TRIAL = pa.schema([pa.field("trial", pa.int64())])
_FOLDS = pa.schema([pa.field("sample_id", pa.string()), pa.field("fold", pa.int64())])


def read_trials(store: Store, run: str, planned: int, *, grows: bool) -> pd.DataFrame:
    """trials.parquet, sorted by trial. Where the search `grows`, its first `planned` rows: study.json comes after it.

    Raises BadData for a file that is malformed, or has another number of trials.
    """
    key = names.trials_key(run)
    try:
        with advised(key):
            frame = _trials_in(read_parquet(store.read(key), key), key)
    except KeyMissing as error:
        raise BadData(f"{error}: expected the column trial, and one for each searched hyperparameter") from None
    if grows:
        frame = frame.head(planned)
    if len(frame) != planned:
        there = f"{names.run_study_key(run)} has planned.trials = {planned}"
        raise damaged(key, f"{key}: {counted(len(frame), 'trial')}, but {there}: expected the same number")
    return frame


def check_searched(run: str, study: Study, trials: pd.DataFrame) -> None:
    """Raise BadData for a trial that the study's search does not have: its figures would stand under wrong values."""
    key = names.trials_key(run)
    for path in study.search.paths if study.search is not None else ():
        name = short_name(path)
        if name not in trials.columns:
            raise damaged(key, f"{key}: column {name} is missing: study.search of study.json varies it")
        check = study.searched_check(path)
        for trial, value in zip(trials["trial"].tolist(), trials[name].tolist(), strict=True):
            try:
                check(value)
            except ValueError as error:
                why = f"column {name} has {clip(value)} for trial {trial}: {error}, as study.json has it"
                raise damaged(key, f"{key}: {why}") from None


def _trials_in(table: pa.Table, key: str) -> pd.DataFrame:
    trials = conform(table, _TRIAL, key)
    for position, name in enumerate(table.column_names):
        # pandas keeps the index of a DataFrame in a column of such a name.
        if name == "trial" or name.startswith("__index_level_"):
            continue
        if name in _TAKEN or name in trials.column_names:
            why = "appears twice" if name in trials.column_names else "is what a result is called"
            raise BadData(f"{key}: column {clip(name)} {why}: expected trial, and the hyperparameters by their names")
        trials = trials.append_column(name, _hyperparameter(table.column(position), f"{key}: column {clip(name)}"))
    frame = trials.to_pandas().sort_values("trial", ignore_index=True)
    if len(twice := frame["trial"][frame["trial"].duplicated()]):
        raise BadData(f"{key}: column trial has {twice.iloc[0]} twice: expected each trial once")
    if len(frame) and frame["trial"].iloc[0] < 0:
        raise BadData(f"{key}: column trial has {frame['trial'].iloc[0]}: expected 0 or more")
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


def read_folds(store: Store, run: str, planned: int) -> pd.DataFrame | None:
    """folds.parquet; None where there is none. Raises BadData for a fold that was not planned."""
    key = names.folds_key(run)
    try:
        with advised(key):
            folds = conform(read_parquet(store.read(key), key), _FOLDS, key).to_pandas()
            if len(wrong := folds["fold"][~folds["fold"].between(0, planned - 1)]):
                raise BadData(f"{key}: column fold has {wrong.iloc[0]}: expected 0 to {planned - 1}")
    except KeyMissing:
        return None
    return folds


def check_planned(keys: Mapping[FoldTask, str], trials: set[int], folds: int) -> None:
    """Raise BadData for the file of a fold that was not planned."""
    for (trial, fold), key in keys.items():
        if trial not in trials:
            raise BadData(f"{key}: trials.parquet has no trial {trial}: add its row, or remove the file")
        if fold >= folds:
            raise BadData(f"{key}: fold {fold}, but study.json has planned.folds = {folds}: folds count from 0")


def dropped_trials(rounds: tuple[Round, ...], spared: Mapping[FoldTask, str]) -> dict[int, int]:
    """In which round each trial was dropped that was therefore not trained on every fold."""
    short = {trial for trial, _ in spared}
    return {one.trial: decided.number for decided in rounds for one in decided.dropped if one.trial in short}


def check_rounds(run: str, rounds: tuple[Round, ...], planned: Planned) -> None:
    """Raise BadData for a round that speaks of trials or folds that the run does not have."""
    gone: dict[int, int] = {}
    for decided in rounds:
        for what, found, count in (("trials", decided.trials, planned.trials), ("folds", decided.folds, planned.folds)):
            if found and max(found) >= count:
                why = f"{what} has {max(found)}: study.json has planned.{what} = {count}, from 0"
                raise contradicted(run, decided.number, why)
        for trial in decided.trials:
            if trial in gone:
                raise contradicted(run, decided.number, f"trials has {trial}, which round {gone[trial]} dropped")
        gone |= {one.trial: decided.number for one in decided.dropped}
