"""What is known of the runs: all of them, and one that somebody looks at."""

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rustk.backends.base import Backend
from rustk.planning.batches import FoldTask
from rustk.planning.progress import FoldStatus, LiveFolds, LiveSource, RunProgress
from rustk.planning.rounds import dropped_folds
from rustk.planning.search.base import Hyperparameters
from rustk.report.data.planned import dropped_trials
from rustk.store.base import Store
from rustk.store.documents import Round, RunDocument, parse_document
from rustk.store.progress import RunView
from rustk.store.rounds import RoundContradicted, read_rounds
from rustk.store.run_list import RunEntry, by_date, read_entry
from rustk.store.runs import fold_times, read_trials, search_of
from rustk.ui.figures import Figures, TrialFigure
from rustk.ui.reading import OneLook
from rustk.ui.watching import Watch
from rustk.vocabulary import names
from rustk.vocabulary.errors import BackendFailed, BadData, BadStudy, KeyMissing, StoreFailed

# So many histories are read before what they say is shown.
_CHUNK = 250
# Beyond so many histories in all, the list of runs leaves figures to the pages of the runs.
_MOST_LISTED = 2000
# A finished run hardly changes, and a backend that can't be reached is not asked all the time.
_RARELY_SECONDS = 60.0
_REFUSED_SECONDS = 15.0
_READERS = 8


@dataclass(frozen=True)
class RunState:
    """A run as it was found at the `version`-th look. fault: why there is nothing to show. remark: what is not known.

    absent: there is no such run. by_trial: the folds of each trial. dropped: in which round a race dropped a trial.
    unread: histories that are still to be read.
    """

    run: str
    version: int = 0
    looked_at: datetime | None = None
    document: RunDocument | None = None
    progress: RunProgress | None = None
    by_trial: Mapping[int, tuple[FoldStatus, ...]] = field(default_factory=dict)
    trials: tuple[Hyperparameters, ...] = ()
    rounds: tuple[Round, ...] = ()
    dropped: Mapping[int, int] = field(default_factory=dict)
    reported: bool = False
    unread: int = 0
    fault: str = ""
    absent: bool = False
    remark: str = ""


@dataclass(frozen=True)
class RunRow:
    """A run in the list. last: when the latest history came. best: None where it was not looked for.

    dropped: folds that a race ended before they were trained. folds: with those of trials that are still to come.
    """

    entry: RunEntry
    done: int = 0
    dropped: int = 0
    failed: int = 0
    folds: int = 0
    last: datetime | None = None
    best: TrialFigure | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        return self.done + self.dropped >= self.folds > 0


@dataclass(frozen=True)
class RunsState:
    """The runs of the store, the one planned last first. fault: why they can't be listed."""

    version: int = 0
    looked_at: datetime | None = None
    rows: tuple[RunRow, ...] = ()
    fault: str = ""


class RunWatch(Watch[RunState]):
    """One run, while somebody looks at it."""

    def __init__(
        self, store: Store, backend: Backend, run: str, figures: Figures, *, seconds: float, idle_seconds: float
    ) -> None:
        super().__init__(RunState(run), seconds=seconds, idle_seconds=idle_seconds)
        self.figures = figures
        self._store = OneLook(store)
        self._run_name = run
        self._alive = _Alive(backend, run)
        self._study = b""
        self._view: _View | None = None
        self._trials: tuple[Hyperparameters, ...] = ()
        self._rounds: tuple[Round, ...] = ()

    def look(self) -> bool:
        self._store.again()
        try:
            state = self._looked()
        except KeyMissing:
            self._view = None
            missing = f"there is no run {self._run_name} in the store {self._store.url}: it may have been deleted"
            self._tell(RunState(self._run_name, fault=missing, absent=True))
            return False
        except (BadData, BadStudy) as error:
            self._view = None
            self._tell(RunState(self._run_name, fault=str(error)))
            return False
        except StoreFailed as error:  # what was known stays to be seen
            known = self._state if self._state.document else RunState(self._run_name, fault=str(error))
            self._tell(replace(known, remark=str(error)))
            return False
        assert state.document is not None
        there = self._there(state.document)
        unread = self.figures.unread(there)
        until = time.monotonic() + self.seconds
        if not self._told(state, unread):
            return False
        while unread:
            try:
                unread = self.figures.take(state.document, there, _CHUNK)
            except StoreFailed as error:
                self._tell(replace(state, unread=unread, remark=str(error)))
                return False
            if not self._told(state, unread):
                return False
            if unread and time.monotonic() > until:
                return True  # the states of the folds are of more interest than the rest of the figures
        return False

    def rest(self) -> None:
        self._alive.close()

    def _looked(self) -> RunState:
        key = names.run_study_key(self._run_name)
        study = self._store.read(key)
        if self._view is None or study != self._study:
            parse_document(RunDocument, study, key)
            self._view = _View(self._store, self._run_name, self._alive, self.figures)
            self._study = study
            self._trials = ()
            with contextlib.suppress(BadData, KeyMissing):  # then trials have numbers alone
                self._trials = read_trials(self._store, self._run_name)
        progress = self._view.progress()
        remark = self._alive.remark
        try:
            self._rounds = read_rounds(self._store, self._run_name, self._rounds)
        except (BadData, KeyMissing) as error:
            remark = remark or str(error)
        by_trial: dict[int, list[FoldStatus]] = {}
        for fold in progress.folds:
            by_trial.setdefault(fold.trial, []).append(fold)
        return RunState(
            self._run_name,
            document=self._view.document,
            progress=progress,
            by_trial={trial: tuple(folds) for trial, folds in by_trial.items()},
            trials=self._trials,
            reported=self._store.exists(f"{names.report_prefix(self._run_name)}index.html"),
            rounds=self._rounds,
            dropped=dropped_trials(self._rounds, dropped_folds(self._rounds, self._view.document.planned.folds)),
            remark=remark,
        )

    def _there(self, document: RunDocument) -> dict[FoldTask, datetime]:
        return _planned(fold_times(self._store, names.histories_prefix(self._run_name)), document)

    def _told(self, state: RunState, unread: int) -> bool:
        """Show what there is, unless the histories contradict a round; whether they don't."""
        try:
            self.figures.check(state.rounds)
        except RoundContradicted as error:
            self._tell(RunState(self._run_name, fault=str(error)))
            return False
        self._tell(replace(state, unread=unread))
        return True

    def _tell(self, state: RunState) -> None:
        self.publish(replace(state, version=self._state.version + 1, looked_at=datetime.now(UTC)))


class RunsWatch(Watch[RunsState]):
    """The list of runs, while somebody looks at it."""

    def __init__(self, store: Store, figures: Mapping[str, Figures], *, seconds: float, idle_seconds: float) -> None:
        super().__init__(RunsState(), seconds=seconds, idle_seconds=idle_seconds)
        self._store = OneLook(store)
        self._figures = figures
        self._rows: dict[str, RunRow] = {}
        self._looked: dict[str, float] = {}
        self._rounds: dict[str, tuple[Round, ...]] = {}
        self._there: dict[str, dict[FoldTask, datetime]] = {}  # the histories of runs whose figures are to be read

    def look(self) -> bool:
        self._store.again()
        try:
            found = [run for run in self._store.folders(names.RUNS) if names.is_folder(run)]
            with ThreadPoolExecutor(_READERS) as threads:
                rows = {run: row for run, row in zip(found, threads.map(self._row, found), strict=True) if row}
        except StoreFailed as error:
            self._tell(replace(self._state, fault=str(error)))
            return False
        self._rows = rows
        for forgotten in self._looked.keys() - rows.keys():
            del self._looked[forgotten]
        self._show()
        return self._read_figures()

    def _row(self, run: str) -> RunRow | None:
        row = self._rows.get(run)
        settled = row is not None and (row.entry.document is None or row.finished)
        if settled and time.monotonic() - self._looked[run] < _RARELY_SECONDS:
            return row
        self._looked[run] = time.monotonic()
        entry = read_entry(self._store, run)
        if entry is None or entry.document is None:
            return None if entry is None else RunRow(entry)
        done = _planned(fold_times(self._store, names.histories_prefix(run)), entry.document)
        planned, search = entry.document.planned, search_of(entry.document)
        if search.is_decided_in_rounds:
            with contextlib.suppress(BadData, KeyMissing):  # the run's own page says why
                self._rounds[run] = read_rounds(self._store, run, self._rounds.get(run, ()))
        dropped = dropped_folds(self._rounds.get(run, ()), planned.folds).keys() - done
        folds = max(planned.trials, search.trials) * planned.folds
        failed = 0
        if len(done) + len(dropped) < folds:
            left_word = _planned(fold_times(self._store, names.failures_prefix(run)), entry.document)
            failed = len(left_word.keys() - done - dropped)
        self._there[run] = done
        last, best = max(done.values(), default=None), None if row is None else row.best
        return RunRow(entry, len(done), len(dropped), failed, folds, last, best)

    def _read_figures(self) -> bool:
        """Read the histories that are new, the runs planned last first. Whether one look had no time for all."""
        room, until = _MOST_LISTED, time.monotonic() + self.seconds
        for row in self._state.rows:
            run, document = row.entry.run, row.entry.document
            there = self._there.pop(run, None)
            room -= row.done
            if document is None or there is None or room < 0:
                continue
            figures = self._figures[run]
            with contextlib.suppress(StoreFailed):  # the run's own page says why
                while figures.take(document, there, _CHUNK):
                    if time.monotonic() > until:
                        self._there[run] = there
                        break
            rounds = self._rounds.get(run, ())
            ended = dropped_trials(rounds, dropped_folds(rounds, document.planned.folds))
            best = next((one for one in figures.ranked(ended) if one.trial not in ended), None)
            self._rows[run] = replace(row, best=best)
            if time.monotonic() > until:
                break
        self._show()
        return bool(self._there.keys() & self._rows.keys()) and time.monotonic() > until

    def _show(self) -> None:
        ordered = by_date(row.entry for row in self._rows.values())
        self._tell(RunsState(rows=tuple(self._rows[entry.run] for entry in ordered)))

    def _tell(self, state: RunsState) -> None:
        self.publish(replace(state, version=self._state.version + 1, looked_at=datetime.now(UTC)))


class _View(RunView):
    """A run's view that takes from the figures what they know already."""

    def __init__(self, store: Store, run: str, source: LiveSource, figures: Figures) -> None:
        super().__init__(store, run, source)
        self._figures = figures

    def last_end(self, tasks: list[FoldTask]) -> datetime | None:
        return self._figures.last_end(tasks)


class _Alive:
    """What the backend sees alive of a run; nothing, and `remark` says why, while it can't be asked."""

    def __init__(self, backend: Backend, run: str) -> None:
        self.remark = ""
        self._backend = backend
        self._run = run
        self._source: LiveSource | None = None
        self._held = contextlib.ExitStack()
        self._refused = float("-inf")

    def live_folds(self, now: datetime) -> LiveFolds:
        """Every fold that is alive, or whose Job is still there, as far as that is known."""
        if self._source is None and time.monotonic() - self._refused < _REFUSED_SECONDS:
            return LiveFolds()
        try:
            if self._source is None:
                self._source = self._held.enter_context(self._backend.observe(self._run, watched=True))
            found = self._source.live_folds(now)
        except BackendFailed as error:
            self.close()
            self._refused = time.monotonic()
            self.remark = f"what is running is not known: {error}"
            return LiveFolds()
        self.remark = ""
        return found

    def wait(self, seconds: float) -> None:
        """A watch has its own pace."""
        time.sleep(seconds)

    def close(self) -> None:
        """Let go of the backend until it is asked again."""
        self._source = None
        self._held.close()


def _planned(times: Mapping[FoldTask, datetime], document: RunDocument) -> dict[FoldTask, datetime]:
    planned = document.planned
    return {
        (trial, fold): when for (trial, fold), when in times.items() if trial < planned.trials and fold < planned.folds
    }
