"""The figures of a run that grows: each history is read once, and a trial is averaged again only when it has more.

The averages are those of `rustk.report.data.aggregate`, over the folds that a trial has so far.
"""

import math
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd
import pyarrow as pa

from rustk.planning.batches import FoldTask
from rustk.report.data.aggregate import MERIT, aggregate
from rustk.report.data.decided import Curve, check_histories, curve_of, judged_on
from rustk.report.data.histories import History, find_diverged, read_histories
from rustk.report.data.results import RunResults
from rustk.store.base import Store
from rustk.store.documents import Round, RunDocument
from rustk.ui.reading import ReadOnlyStore
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing

_FETCHERS = 8


@dataclass(frozen=True)
class TrialFigure:
    """What a trial has come to: its greatest mean val_auroc, at which epoch, over which folds.

    merit and epoch None: no epoch has a value from every fold there is. curve: the mean by epoch.
    by_fold: each fold's value at that epoch.
    """

    trial: int
    merit: float | None
    deviation: float | None
    epoch: int | None
    folds: int
    note: str
    epochs: tuple[int, ...] = ()
    curve: tuple[float, ...] = ()
    by_fold: Mapping[int, float] = field(default_factory=dict)


class Figures:
    """The histories of a run, as far as they have been read. Safe to use from several threads."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._lock = threading.Lock()
        self._seen: dict[FoldTask, datetime] = {}
        self._histories: dict[int, dict[int, History]] = {}
        self._trials: dict[int, TrialFigure] = {}
        self._faults: dict[FoldTask, str] = {}
        self._seconds: dict[FoldTask, float] = {}
        self._curves: dict[FoldTask, Curve] = {}
        self._checked: dict[int, object] = {}

    def take(self, document: RunDocument, there: Mapping[FoldTask, datetime], most: int) -> int:
        """Read at most so many of the histories that are there and were not read; how many are left.

        there: when each history came into the store. One that came anew is read anew, one that is gone is forgotten.
        """
        with self._lock:
            gone = [task for task in self._seen if task not in there]
            fresh = [task for task, modified in there.items() if self._seen.get(task) != modified]
            now = sorted(fresh)[:most]
            for task in (*gone, *now):
                self._forget(task)
            found = self._read(now)
            for task in now:
                self._seen[task] = there[task]
            for (trial, fold), history in found.items():
                self._histories.setdefault(trial, {})[fold] = history
                self._seconds[trial, fold] = _seconds(history)
                self._curves[trial, fold] = curve_of(history)
            self._average(document, {trial for trial, _ in (*gone, *now)})
            return len(fresh) - len(now)

    def unread(self, there: Mapping[FoldTask, datetime]) -> int:
        """How many of the histories that are there were not read; those that are gone count as well."""
        with self._lock:
            return sum(self._seen.get(task) != modified for task, modified in there.items()) + len(
                self._seen.keys() - there.keys()
            )

    def ranked(self, dropped: Mapping[int, int] | None = None) -> list[TrialFigure]:
        """The trials with a figure, best first; of equal ones the lower number first.

        dropped: in which round a race dropped a trial. Those come after all others, those dropped last first: their
        figures are of fewer folds.
        """
        with self._lock:
            found = [one for one in self._trials.values() if one.merit is not None]
        rounds = dropped or {}
        return sorted(found, key=lambda one: (-rounds.get(one.trial, math.inf), -(one.merit or 0.0), one.trial))

    def trials(self) -> dict[int, TrialFigure]:
        """Every trial of which a history was read."""
        with self._lock:
            return dict(self._trials)

    def check(self, rounds: Iterable[Round]) -> None:
        """Raise RoundContradicted for a round that the histories read so far contradict."""
        for decided in rounds:
            with self._lock:
                curves = {task: self._curves[task] for task in judged_on(decided) if task in self._curves}
                seen = (decided, {task: self._seen[task] for task in curves})
            if self._checked.get(decided.number) != seen:
                check_histories(self._run, decided, curves)
                self._checked[decided.number] = seen

    def faults(self) -> dict[FoldTask, str]:
        """Why a history that is there could not be used."""
        with self._lock:
            return dict(self._faults)

    @property
    def read(self) -> int:
        """How many histories were read."""
        return len(self._seen)

    def device_seconds(self) -> tuple[float, int]:
        """(seconds that folds took on their devices, how many folds say so)."""
        with self._lock:
            told = [seconds for seconds in self._seconds.values() if math.isfinite(seconds)]
        return sum(told), len(told)

    def last_end(self, tasks: Iterable[FoldTask]) -> datetime | None:
        """When the last of these folds ended, by the histories' own words; None while one is not read."""
        with self._lock:
            if any(task not in self._seen for task in tasks):
                return None
            ends = [one.metadata.ended_at for folds in self._histories.values() for one in folds.values()]
        return max((end for end in ends if end is not None), default=None)

    def history(self, trial: int, fold: int) -> History | None:
        """A fold's history, if it was read."""
        with self._lock:
            return self._histories.get(trial, {}).get(fold)

    def _forget(self, task: FoldTask) -> None:
        self._seen.pop(task, None)
        self._faults.pop(task, None)
        self._seconds.pop(task, None)
        self._curves.pop(task, None)
        self._histories.get(task[0], {}).pop(task[1], None)

    def _read(self, tasks: list[FoldTask]) -> dict[FoldTask, History]:
        keys = {task: names.history_key(self._run, *task) for task in tasks}
        if not keys:
            return {}
        held = _Held(self._store, keys.values())
        keys = {task: key for task, key in keys.items() if key in held}
        try:
            return read_histories(held, keys, threads=1)[1]
        except BadData:  # of one of them: which, is found one by one
            found = {}
            for task, key in keys.items():
                try:
                    found.update(read_histories(held, {task: key}, threads=1)[1])
                except BadData as error:
                    self._faults[task] = str(error)
            return found

    def _average(self, document: RunDocument, trials: set[int]) -> None:
        for trial in trials:
            self._trials.pop(trial, None)
        having = sorted(trial for trial in trials if self._histories.get(trial))
        if not having:
            return
        histories = {(trial, fold): one for trial in having for fold, one in sorted(self._histories[trial].items())}
        rows = pa.concat_tables([one.rows for one in histories.values()]).to_pandas()
        results = RunResults(
            run=self._run,
            study=document,
            trials=pd.DataFrame({"trial": having}),
            histories=rows,
            fold_metadata={task: one.metadata for task, one in histories.items()},
            folds=None,
            index=None,
            dataset=None,
            missing=(),
            diverged=find_diverged(rows, histories),
        )
        averaged = aggregate(results, allow_partial=True)
        curves = {int(trial): part for trial, part in averaged.epochs.groupby("trial")}
        at_epoch = {(t, e, f): v for t, f, e, v in rows[["trial", "fold", "epoch", MERIT]].itertuples(index=False)}
        for row in averaged.trials.to_dict(orient="records"):
            trial = int(row["trial"])
            epoch = None if pd.isna(row["epoch"]) else int(row["epoch"])
            curve = curves.get(trial)
            self._trials[trial] = TrialFigure(
                trial=trial,
                merit=_number(row[MERIT]),
                deviation=_number(row[f"{MERIT}_sd"]),
                epoch=epoch,
                folds=int(row["folds_used"]),
                note=str(row["note"]),
                epochs=() if curve is None else tuple(curve["epoch"].tolist()),
                curve=() if curve is None else tuple(curve[MERIT].tolist()),
                by_fold={
                    fold: value
                    for fold in self._histories[trial]
                    if epoch is not None and (value := _number(at_epoch.get((trial, epoch, fold)))) is not None
                },
            )


class _Held(ReadOnlyStore):
    """Some objects of a store, fetched at once; those that are gone are left out.

    They are waited for by many threads and made sense of by one: many would keep those that answer readers waiting.
    """

    def __init__(self, store: Store, keys: Iterable[str]) -> None:
        super().__init__(store)
        with ThreadPoolExecutor(_FETCHERS) as threads:
            self._held = {key: data for key, data in threads.map(self._fetched, keys) if data is not None}

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def read(self, key: str) -> bytes:
        return self._held[key]

    def _fetched(self, key: str) -> tuple[str, bytes | None]:
        try:
            return key, self._store.read(key)
        except KeyMissing:
            return key, None


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _seconds(history: History) -> float:
    """What a fold took: by its phases, or else by its epochs; NaN where neither says."""
    if history.metadata.phases_seconds:
        return sum(history.metadata.phases_seconds.values())
    seconds = [value for value in history.rows["seconds"].to_pylist() if value is not None and math.isfinite(value)]
    return sum(seconds) if seconds else math.nan
