"""From a run's files to DataFrames: the one place that knows how results lie in the store.

Runs are read by column name, and others may have written them: predictions, folds, the dataset and most columns of
histories may be absent (docs/store.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rustk.planning.batches import FoldTask
from rustk.planning.plan import MOST_TASKS
from rustk.planning.rounds import dropped_folds
from rustk.planning.searchable import short_name
from rustk.report.data.decided import check_histories, curve_of, judged_on
from rustk.report.data.histories import (
    ALL_METRICS,
    History,
    find_diverged,
    fold_keys,
    in_threads,
    placed,
    read_histories,
    recorded_metrics,
)
from rustk.report.data.own_histories import check_own
from rustk.report.data.planned import (
    check_planned,
    check_rounds,
    check_searched,
    dropped_trials,
    read_folds,
    read_trials,
)
from rustk.store.base import Store
from rustk.store.datasets import check_unchanged, read_dataset, read_index
from rustk.store.documents import DatasetDocument, HistoryMetadata, Round, RunDocument
from rustk.store.remedies import advised, damaged
from rustk.store.rounds import read_rounds
from rustk.store.runs import follow_rounds, read_run, search_of
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import conform, read_parquet
from rustk.vocabulary.schemas import predictions_schema

__all__ = ["FoldTask", "RunResults", "in_threads", "load_run", "read_run_dataset", "rounds_words"]

_TRIALS_AT_ONCE = 8
_PREDICTED = pa.schema([pa.field("epoch", pa.int32()), pa.field("sample_id", pa.string())])


@dataclass(frozen=True)
class RunResults:
    """What a run has produced so far. Rows are sorted by trial, fold and epoch.

    `histories` has the columns trial, fold, epoch (from 1), the ten metrics and seconds, NaN where the files have no
    value. `missing` are the planned folds without a history, `diverged` the epoch at which a fold's training diverged:
    as its metadata tells or, where there is none, the first epoch of a recorded loss that is not finite. `warnings`
    are sentences for the reader. `rounds` are those that the search was decided in, `dropped` in which of them each
    trial was dropped that has not every fold, and `dropped_folds` the folds that were therefore not trained, each with
    its reason: they are not missing.
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
    rounds: tuple[Round, ...] = field(default=(), repr=False)
    dropped: Mapping[int, int] = field(default_factory=dict)
    dropped_folds: Mapping[FoldTask, str] = field(default_factory=dict, repr=False)
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
    def trials_to_come(self) -> int:
        """How many trials the search will still ask for."""
        return max(0, search_of(self.study).trials - len(self.trials))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Which of the ten metrics the run's histories record."""
        return recorded_metrics(self.histories)

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """The hyperparameters in which trials differ: columns of `trials` with more than one value, in their order.

        What all trials share is not among them, even where it was searched: `searched` has that too.
        """
        return tuple(str(name) for name in self.trials.columns if name != "trial" and self.trials[name].nunique() > 1)

    @property
    def searched(self) -> tuple[str, ...]:
        """The hyperparameters that the study's search names, whether or not trials differ in them, and those in which
        trials differ: columns of `trials`, in their order. Empty without a search."""
        parameters = (self.study.study.search or {}).get("parameters")
        asked = {short_name(str(path)) for path in parameters} if isinstance(parameters, Mapping) else set()
        return tuple(str(name) for name in self.trials.columns if name in asked or name in self.hyperparameters)

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
        asked = self._predicted_folds(trial, fold)
        tables = in_threads(lambda f: self._read_predictions(trial, f, None if epoch is None else [epoch]), asked)
        return self._joined(trial, tables).to_pandas()

    def predictions_by_trial(
        self, wanted: Mapping[int, Sequence[int]]
    ) -> Iterator[tuple[int, dict[int, pd.DataFrame]]]:
        """(trial, its predictions by epoch) of each trial of `wanted` with its epochs, in that order; as
        `predictions` gives them. A few trials are read at a time: their files together, and never more of them."""
        trials = list(wanted)
        for first in range(0, len(trials), _TRIALS_AT_ONCE):
            here = trials[first : first + _TRIALS_AT_ONCE]
            tasks = [(trial, fold) for trial in here for fold in self._predicted_folds(trial)]
            tables = in_threads(lambda task: self._read_predictions(*task, wanted[task[0]]), tasks)
            for trial in here:
                joined = self._joined(trial, [tables[place] for place, task in enumerate(tasks) if task[0] == trial])
                yield (
                    trial,
                    {epoch: joined.filter(pc.equal(joined["epoch"], epoch)).to_pandas() for epoch in wanted[trial]},
                )

    def _predicted_folds(self, trial: int, fold: int | None = None) -> list[int]:
        """The folds whose predictions are asked for, ascending. Raises BadData where there are none."""
        asked = sorted(f for t, f in self.fold_metadata if t == trial) if fold is None else [fold]
        absent = [f for f in asked if (trial, f) not in self.prediction_keys]
        if not asked:
            raise BadData(f"run {self.run} has no predictions of trial {trial}: none of its folds is done")
        if absent:
            if (task := (trial, absent[0])) in self.dropped_folds:
                why = "the search dropped the trial before that fold was trained"
            elif task in self.fold_metadata:
                why = "the run was written without them"
            else:
                why = "it is not done"
            folds = f"{'folds' if len(absent) > 1 else 'fold'} {', '.join(map(str, absent))}"
            raise BadData(f"run {self.run} has no predictions of trial {trial}, {folds}: {why}")
        return asked

    def _read_predictions(self, trial: int, fold: int, epochs: Sequence[int] | None) -> pa.Table:
        if self.store is None:
            raise BadData(f"run {self.run} was not loaded from a store: its predictions can't be read")
        key = self.prediction_keys[trial, fold]
        with advised(key):
            found = read_parquet(self.store.read(key), key)
            table = conform(found, _predictions_schema(found, self.instrument), key)
        if epochs is not None:
            table = table.filter(pc.is_in(table["epoch"], pa.array(epochs, table.schema.field("epoch").type)))
        return placed(table, trial, fold)

    def _joined(self, trial: int, tables: Sequence[pa.Table]) -> pa.Table:
        if any(table.schema != tables[0].schema for table in tables):
            raise BadData(f"run {self.run}: the predictions of trial {trial} have other columns from fold to fold")
        return pa.concat_tables(tables)


def rounds_words(results: RunResults, trial: int) -> str:
    """`dropped in round 2 of 6`; empty for a trial that no round dropped.

    In a search that asks for trials in batches, rounds are numbered through all batches, and folds are told.
    """
    number = results.dropped.get(trial)
    if number is None:
        return ""
    trained = results.planned_folds - sum(1 for at, _ in results.dropped_folds if at == trial)
    if number == trained:
        return f"dropped in round {number} of {results.planned_folds}"
    return f"dropped in round {number}, after {trained} of {results.planned_folds} folds"


def load_run(store: Store, run: str) -> RunResults:
    """Read a run: study.json, trials.parquet and every history; folds and dataset where they are there.

    Raises BadStudy for a run that is not there, and BadData, naming the file and the column, for whatever is malformed
    or contradicts the plan. Missing folds are no error: they stand in `missing`, those that a race dropped apart.
    """
    study = read_run(store, run)
    rounds = read_rounds(store, run)
    planned = study.planned
    if planned.trials * planned.folds > MOST_TASKS:
        raise BadData(
            f"{names.run_study_key(run)}: planned.trials = {planned.trials}, planned.folds = {planned.folds}: expected "
            f"at most {MOST_TASKS:,} folds in all"
        )
    trials = read_trials(store, run, planned.trials, grows=any(one.asked for one in rounds))
    if (known := search_of(study).study) is not None:
        check_searched(run, known, trials)
    check_rounds(run, rounds, planned)
    keys = fold_keys(store, names.histories_prefix(run))
    check_planned(keys, set(trials["trial"]), planned.folds)
    rows, histories = read_histories(store, keys)
    check_own(keys, histories, study, trials)
    _check_decided(run, study, trials, rounds, histories)
    dataset, index, warnings = read_run_dataset(store, run, study)
    spared = {task: why for task, why in dropped_folds(rounds, planned.folds).items() if task not in keys}
    return RunResults(
        run=run,
        study=study,
        trials=trials,
        histories=rows,
        fold_metadata={task: history.metadata for task, history in histories.items()},
        folds=read_folds(store, run, planned.folds),
        index=index,
        dataset=dataset,
        missing=tuple(
            (trial, fold)
            for trial in trials["trial"]
            for fold in range(planned.folds)
            if (trial, fold) not in keys and (trial, fold) not in spared
        ),
        diverged=find_diverged(rows, histories),
        warnings=(*warnings, *_to_come(study, planned.trials), *_unrecorded(rows)),
        prediction_keys=fold_keys(store, names.predictions_prefix(run)),
        rounds=rounds,
        dropped=dropped_trials(rounds, spared),
        dropped_folds=spared,
        store=store,
    )


def _check_decided(
    run: str,
    study: RunDocument,
    trials: pd.DataFrame,
    rounds: tuple[Round, ...],
    histories: Mapping[FoldTask, History],
) -> None:
    """Raise RoundContradicted for a round that does not follow from those before it, or from its histories."""
    search = search_of(study)
    if rounds and search.study is not None and search.is_decided_in_rounds:
        planned = tuple(trials.drop(columns="trial").to_dict(orient="records"))
        follow_rounds(run, search.study, planned, rounds)
    curves = {task: curve_of(history) for task, history in histories.items()} if rounds else {}
    for decided in rounds:
        check_histories(run, decided, {task: curves[task] for task in judged_on(decided) if task in curves})


def read_run_dataset(
    store: Store, run: str, study: RunDocument
) -> tuple[DatasetDocument | None, pd.DataFrame | None, tuple[str, ...]]:
    """(dataset.json, index, warnings) of a run with this study.json.

    A dataset that is no longer the run's own, or not in the store, is left out, and said. Raises BadData for one that
    is damaged, or whose index, image shape or instrument is not of its digest.
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
    check_unchanged(dataset)
    if study.instrument is not None and study.instrument.encoding() != dataset.instrument.encoding():
        key = names.run_study_key(run)
        why = f"instrument has other views, sites or scores than that of {names.dataset_key(name)}: expected the same"
        raise damaged(key, f"{key}: {why}")
    return dataset, read_index(store, dataset).to_pandas(), ()


def _to_come(study: RunDocument, trials: int) -> tuple[str, ...]:
    """That the search is not over, in one sentence."""
    asks = search_of(study).trials
    if asks <= trials:
        return ()
    return (f"The search will ask for {asks - trials:,} more trials: what is said here is of its first {trials:,}.",)


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
    with advised(key):
        found = read_parquet(store.read(key), key)
        return conform(found, _predictions_schema(found, instrument), key).to_pandas().assign(fold=0)
