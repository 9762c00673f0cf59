"""Where a run stands: what its files say, put together with what a backend sees alive."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from rustk.planning.batches import FoldTask
from rustk.planning.progress import LiveSource, RunProgress, make_progress
from rustk.planning.rounds import dropped_folds
from rustk.store.base import Store
from rustk.store.documents import Failure, HistoryMetadata, Round, parse_document, read_document
from rustk.store.rounds import read_rounds
from rustk.store.runs import first_submitted, fold_times, follow_rounds, read_run, read_trials, search_of
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing
from rustk.vocabulary.parquet import read_metadata_bytes, read_parquet

# Beyond so many folds, how long a complete run took is not worth reading all histories, nor how long it held GPUs a
# list of all Jobs that succeeded.
_MOST_READ = 1000
_READERS = 16


class RunView:
    """A run's plan and what the store knows of it; failure records are read once.

    fault: what can't be said of it, and why, in a sentence; else empty.
    """

    def __init__(self, store: Store, run: str, source: LiveSource) -> None:
        """Raises BadStudy for a run that is not there, BadData for one that can't be read."""
        self._store = store
        self.run = run
        self.document = read_run(store, run)
        self._source = source
        self._search = search_of(self.document)
        self._rounds: tuple[Round, ...] = ()
        self._tasks: list[FoldTask] = []
        self._submitted: datetime | None = None
        self.fault = ""
        try:
            self._submitted = first_submitted(store, run)
        except BadData as error:  # without it, only how long the run has taken is not known
            self.fault = f"how long it took is not known: {error}"
        self._reasons: dict[str, str] = {}
        self._ended: datetime | None = None

    def progress(self) -> RunProgress:
        """Where the run stands now. Raises StoreFailed, BackendFailed or, for a damaged search, RoundContradicted."""
        # What is alive before what is done: a fold that ends in between must not look lost.
        live = self._source.live_folds(datetime.now(UTC))
        done = self._done()
        dropped, to_come = self._search_so_far()
        failures = self._failures()
        alive = live.folds
        is_moving = any(fold.state in ("running", "pending") for fold in alive)
        known = {(fold.trial, fold.fold) for fold in alive} | done.keys() | dropped.keys() | failures.keys()
        # A Job that succeeded without a history is rare: in a large run it is looked for when nothing else goes on.
        if len(self._tasks) <= _MOST_READ or not (is_moving or known.issuperset(self._tasks)):
            alive = live.all_folds()
            # One that came to its end since the histories were listed must not look as if it had left none.
            if any(fold.state == "succeeded" and (fold.trial, fold.fold) not in done for fold in alive):
                done = self._done()
        is_over = not to_come and all(task in done or task in dropped for task in self._tasks)
        if self._ended is None and len(done) <= _MOST_READ and is_over:
            self._ended = self.last_end(sorted(done))
        return make_progress(
            self.run,
            self._tasks,
            done=done,
            failures=failures,
            live=alive,
            submitted=self._submitted,
            ended=self._ended,
            now=datetime.now(UTC),
            dropped=dropped,
            searches=self._search.is_decided_in_rounds,
            rounds=len(self._rounds),
            trials_to_come=to_come,
            races=self._search.races,
        )

    def _done(self) -> dict[FoldTask, datetime]:
        return fold_times(self._store, names.histories_prefix(self.run))

    def _search_so_far(self) -> tuple[dict[FoldTask, str], int]:
        """The folds that a race dropped, and how many trials are to come; the tasks are those planned by now."""
        planned = self.document.planned
        trials = planned.trials
        if self._search.is_decided_in_rounds:
            rounds = read_rounds(self._store, self.run, self._rounds)
            if rounds != self._rounds:
                self._follow(rounds)
            self._rounds = rounds
        if self._rounds:
            # study.json may be an instant behind the rounds.
            trials = max(trials, len(self._rounds[0].trials) + sum(len(one.asked) for one in self._rounds))
        if len(self._tasks) != trials * planned.folds:
            self._tasks = [(trial, fold) for trial in range(trials) for fold in range(planned.folds)]
        return dropped_folds(self._rounds, planned.folds), max(0, self._search.trials - trials)

    def _follow(self, rounds: tuple[Round, ...]) -> None:
        """Raise RoundContradicted for a round that does not follow from those before it."""
        assert self._search.study is not None  # it is known to be decided in rounds
        try:
            trials = read_trials(self._store, self.run)
        except (BadData, KeyMissing):
            return  # of a run whose trials can't be read, there is nothing to follow
        follow_rounds(self.run, self._search.study, trials[: self.document.planned.trials], rounds)

    def wait(self, seconds: float) -> None:
        """Until something may have changed, at most this long."""
        self._source.wait(seconds)

    def last_end(self, tasks: list[FoldTask]) -> datetime | None:
        """When the last fold ended, by the histories' own words; None where they don't say."""

        def ended(task: FoldTask) -> datetime | None:
            key = names.history_key(self.run, *task)
            with contextlib.suppress(KeyMissing, BadData):
                told = read_metadata_bytes(read_parquet(self._store.read(key), key).schema)
                return parse_document(HistoryMetadata, told, key).ended_at
            return None

        with ThreadPoolExecutor(_READERS) as threads:
            known = [moment for moment in threads.map(ended, tasks) if moment is not None]
        return max(known, default=None)

    def _failures(self) -> dict[FoldTask, str]:
        found: dict[FoldTask, str] = {}
        for task, modified in fold_times(self._store, names.failures_prefix(self.run)).items():
            key = names.failure_key(self.run, *task)
            known = f"{key} {modified.isoformat()}"
            if known not in self._reasons:
                with contextlib.suppress(KeyMissing):  # its fold has just been done after all
                    self._reasons[known] = self._reason(key)
            if known in self._reasons:
                found[task] = self._reasons[known]
        return found

    def _reason(self, key: str) -> str:
        try:
            record = read_document(self._store, key, Failure)
        except BadData:
            return "its worker left a record that can't be read"
        return f"exit code {record.exit_code}: {record.message}"
