"""What the folds of a run gave, as rounds are decided by it: each history is read once."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from rustk.planning.batches import FoldTask
from rustk.report.data.decided import Curve, curve_of
from rustk.report.data.histories import read_histories
from rustk.store import Store
from rustk.vocabulary import names


class Evidence:
    """The curves of a run's folds, each read once for as long as its file does not change."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._read: dict[FoldTask, tuple[datetime, Curve]] = {}

    def curves(self, tasks: Iterable[FoldTask], written: Mapping[FoldTask, datetime]) -> dict[FoldTask, Curve]:
        """The curves of `tasks`. written: when each history came into the store.

        Raises BadData for a file that can't be read as a history.
        """
        asked = list(tasks)
        stale = [task for task in asked if task not in self._read or self._read[task][0] != written[task]]
        if stale:
            keys = {task: names.history_key(self._run, *task) for task in sorted(stale)}
            for task, history in read_histories(self._store, keys)[1].items():
                self._read[task] = (written[task], curve_of(history))
        return {task: self._read[task][1] for task in asked}
