"""What the folds of a run gave, as rounds are decided by it: curves of the figure of merit, and their digests."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rustk.planning.batches import FoldTask
from rustk.report.data.histories import read_histories
from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.schemas import MERIT

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """val_auroc of one fold: `values[i]` at epoch `epochs[i]`."""

    epochs: NDArray[np.int64]
    values: FloatArray

    @property
    def digest(self) -> str:
        """SHA-256 of the epochs and values, little-endian. How long the fold took, and where, is no part of it."""
        return hashlib.sha256(self.epochs.astype("<i8").tobytes() + self.values.astype("<f8").tobytes()).hexdigest()


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
                rows = history.rows
                curve = Curve(rows["epoch"].to_numpy(), rows[MERIT].to_numpy())
                self._read[task] = (written[task], curve)
        return {task: self._read[task][1] for task in asked}


def stacked(curves: Mapping[FoldTask, Curve], trials: Sequence[int], folds: Sequence[int]) -> FloatArray:
    """[trials, folds, epochs]; NaN where a fold has no value: after a divergence, and where its curve is not there."""
    latest = max((int(curve.epochs.max(initial=0)) for curve in curves.values()), default=0)
    values = np.full((len(trials), len(folds), max(latest, 1)), np.nan)
    for row, trial in enumerate(trials):
        for column, fold in enumerate(folds):
            curve = curves.get((trial, fold))
            if curve is not None:
                values[row, column, curve.epochs - 1] = np.where(np.isfinite(curve.values), curve.values, np.nan)
    return values
