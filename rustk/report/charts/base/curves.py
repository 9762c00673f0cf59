"""Every trial's curves, grouped once: filtering the whole table for each trial costs more than drawing them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rustk.report.data.aggregate import ALL_METRICS, Aggregate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrialCurves:
    """One trial: its folds' epochs and metrics, and its means. A metric's array is as long as its epochs."""

    folds: dict[int, tuple[NDArray[np.int64], dict[str, Floats]]]
    mean_epochs: NDArray[np.int64]
    means: dict[str, Floats]
    deviations: dict[str, Floats]

    @property
    def epochs(self) -> list[int]:
        """Every epoch that a fold has."""
        return sorted({int(epoch) for epochs, _ in self.folds.values() for epoch in epochs})

    def values(self, metric: str) -> Floats:
        """Every fold's values of a metric, one after the other."""
        return np.concatenate([values[metric] for _, values in self.folds.values()] or [np.empty(0)])


def curves_by_trial(aggregate: Aggregate) -> dict[int, TrialCurves]:
    """The curves of every trial that has a history."""
    histories, averaged = aggregate.results.histories, aggregate.epochs
    trials, folds = histories["trial"].to_numpy(), histories["fold"].to_numpy()
    epochs = histories["epoch"].to_numpy()
    columns = {name: histories[name].to_numpy(np.float64) for name in ALL_METRICS if name in histories}
    mean_trials, mean_epochs = averaged["trial"].to_numpy(), averaged["epoch"].to_numpy()
    means = {name: averaged[name].to_numpy(np.float64) for name in columns}
    deviations = {name: averaged[f"{name}_sd"].to_numpy(np.float64) for name in columns}
    # Rows are sorted by trial, fold and epoch: a fold is a slice.
    breaks = np.flatnonzero((np.diff(trials) != 0) | (np.diff(folds) != 0)) + 1
    of_trial: dict[int, dict[int, tuple[NDArray[np.int64], dict[str, Floats]]]] = {}
    for rows in np.split(np.arange(len(trials)), breaks):
        if not len(rows):
            continue
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        found = {name: values[part] for name, values in columns.items()}
        of_trial.setdefault(int(trials[rows[0]]), {})[int(folds[rows[0]])] = (epochs[part], found)
    result = {}
    for trial, by_fold in of_trial.items():
        part = slice(*np.searchsorted(mean_trials, [trial, trial + 1]))
        result[trial] = TrialCurves(
            by_fold,
            mean_epochs[part],
            {name: values[part] for name, values in means.items()},
            {name: values[part] for name, values in deviations.items()},
        )
    return result
