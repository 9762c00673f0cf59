"""The watches of everything that is looked at, and the figures that they share."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from rustk.backends.base import Backend
from rustk.store.base import Store
from rustk.ui.figures import Figures
from rustk.ui.reading import ReadOnlyStore
from rustk.ui.runs import RunsWatch, RunWatch
from rustk.ui.watching import LogWatch, Watch

K = TypeVar("K")
W = TypeVar("W", bound=Watch[Any])

# So many runs, and folds, are kept in mind after nobody looks at them any more.
_MOST_RUNS = 16
_MOST_LOGS = 64


class Hub:
    """seconds: between two looks. idle_seconds: how long a watch goes on after the last question."""

    def __init__(self, store: Store, backend: Backend, *, seconds: float = 3.0, idle_seconds: float = 20.0) -> None:
        self.store = ReadOnlyStore(store)
        self.seconds = seconds
        self._backend = backend
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._figures = _FiguresOf(self.store)
        self.runs = RunsWatch(self.store, self._figures, seconds=seconds, idle_seconds=idle_seconds)
        self._runs: OrderedDict[str, RunWatch] = OrderedDict()
        self._logs: OrderedDict[tuple[str, int, int], LogWatch] = OrderedDict()

    def run(self, run: str) -> RunWatch:
        """The watch of one run; it looks once it is asked for its state."""
        with self._lock:
            if run not in self._runs:
                self._runs[run] = RunWatch(
                    self.store,
                    self._backend,
                    run,
                    self._figures[run],
                    seconds=self.seconds,
                    idle_seconds=self._idle_seconds,
                )
            self._runs.move_to_end(run)
            _trim(self._runs, _MOST_RUNS)
            return self._runs[run]

    def log(self, run: str, trial: int, fold: int) -> LogWatch:
        """The watch of a fold's log."""
        key = (run, trial, fold)
        with self._lock:
            if key not in self._logs:
                figures = self._figures[run]
                self._logs[key] = LogWatch(
                    self._backend,
                    *key,
                    ended=lambda: figures.history(trial, fold) is not None,
                    seconds=self.seconds,
                    idle_seconds=self._idle_seconds,
                )
            self._logs.move_to_end(key)
            _trim(self._logs, _MOST_LOGS)
            return self._logs[key]

    def close(self) -> None:
        """End every watch."""
        with self._lock:
            watches: list[Watch[Any]] = [self.runs, *self._runs.values(), *self._logs.values()]
        for watch in watches:
            watch.close()


def _trim(watches: OrderedDict[K, W], most: int) -> None:
    """Forget those that were asked for longest ago, but none that is at work, nor the last."""
    resting = [key for key in list(watches)[:-1] if not watches[key].watched]
    for key in resting[: max(0, len(watches) - most)]:
        del watches[key]


class _FiguresOf(Mapping[str, Figures]):
    """The figures of each run, made when they are first asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: dict[str, Figures] = {}
        self._lock = threading.Lock()

    def __getitem__(self, run: str) -> Figures:
        with self._lock:
            if run not in self._made:
                self._made[run] = Figures(self._store, run)
            return self._made[run]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._made))

    def __len__(self) -> int:
        return len(self._made)
