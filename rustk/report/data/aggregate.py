"""From fold histories to the figure of merit: what every table and figure is drawn from.

The figure of merit is the thesis's: at each epoch the mean of val_auroc over the folds, then the maximum over epochs.
An epoch counts only where every fold of the trial has a value; a mean is never taken over fewer folds than it says.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rustk.planning.batches import FoldTask
from rustk.report.data.histories import ALL_METRICS
from rustk.report.data.results import RunResults, rounds_words
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.schemas import MERIT

__all__ = ["ALL_METRICS", "MERIT", "Aggregate", "aggregate", "describe_folds"]


@dataclass(frozen=True)
class Aggregate:
    """A run's trials, averaged over folds.

    `epochs` has one row for each trial and epoch at which every fold of the trial has a value: trial, epoch, folds,
    and for each of the ten metrics its mean and, as `<metric>_sd`, its standard deviation over the folds (ddof = 1;
    NaN for a single fold).

    `trials` has one row a trial, best first: rank (1 is best; null without a figure of merit), trial, the searched
    hyperparameters, epoch (the best one), each metric's mean and sd at that epoch, folds_used, folds_planned,
    diverged_epoch (the earliest of its folds'; null: none) and note (what a reader must know of this row); of a race
    also dropped_round (null: not dropped). Equal figures of merit go to the earlier epoch and the lower trial. Trials
    that a race dropped come after all others, those dropped last first: their figures are of fewer folds.
    """

    results: RunResults
    epochs: pd.DataFrame
    trials: pd.DataFrame

    @property
    def partial(self) -> bool:
        """Whether folds are missing."""
        return bool(self.results.missing)

    @property
    def note(self) -> str:
        """What must stand on every figure: how many of the planned folds were used; empty for all of them."""
        planned = int(self.trials["folds_planned"].sum()) - len(self.results.dropped_folds)
        used = int(self.trials["folds_used"].sum())
        return f"partial: {used} of {planned} folds" if self.partial else ""

    @property
    def best(self) -> pd.Series:
        """The best trial's row of `trials`. Raises BadData when no trial has a figure of merit."""
        first = self.trials.iloc[0]
        if pd.isna(first[MERIT]) or int(first["trial"]) in self.results.dropped:
            raise BadData(f"run {self.results.run}: no trial has an epoch with a {MERIT} from every fold")
        return first

    @property
    def whole(self) -> pd.DataFrame:
        """The rows of `trials` that no race dropped: those whose figures are of all folds, or of those there are."""
        return self.trials[~self.trials["trial"].isin(list(self.results.dropped))]

    def row(self, trial: int) -> pd.Series:
        """The trial's row of `trials`."""
        return self.trials[self.trials["trial"] == trial].iloc[0]


def aggregate(
    results: RunResults, *, allow_partial: bool = False, permission: str | None = "--allow-partial"
) -> Aggregate:
    """Average a run's histories over folds, and find each trial's best epoch.

    Raises BadData that names the missing folds, unless `allow_partial`: then each trial is averaged over the folds it
    has, and every row says how many those are. A fold that diverged is not missing: the epochs before its divergence
    count, the later ones are left out for the whole trial. Nor is one that a race dropped: its trial is averaged over
    the folds that were trained, and is never the best. permission: how whoever asks gives `allow_partial`;
    None where they can't.
    """
    if results.missing and not allow_partial:
        planned = len(results.trials) * results.planned_folds - len(results.dropped_folds)
        otherwise = f", or average over those there are, marked so, with {permission}" if permission else ""
        raise BadData(
            f"run {results.run} lacks {len(results.missing)} of {planned} folds ({describe_folds(results.missing)}): "
            f"submit it again to finish them{otherwise}"
        )
    used = pd.Series(
        pd.DataFrame(list(results.fold_metadata), columns=["trial", "fold"]).groupby("trial").size(), dtype=np.int64
    )
    epochs = _average_folds(results.histories, used)
    return Aggregate(results, epochs, _rank_trials(results, epochs, used))


def describe_folds(tasks: Iterable[FoldTask]) -> str:
    """Folds by name, as short as they can be said: `trial 4: folds 1, 2; trials 7-31: folds 0-5`."""
    folds_of: dict[int, list[int]] = {}
    for trial, fold in sorted(tasks):
        folds_of.setdefault(trial, []).append(fold)
    trials_with: dict[tuple[int, ...], list[int]] = {}
    for trial, folds in folds_of.items():
        trials_with.setdefault(tuple(folds), []).append(trial)
    return "; ".join(f"{_counted('trial', trials)}: {_counted('fold', folds)}" for folds, trials in trials_with.items())


def _counted(noun: str, numbers: Iterable[int]) -> str:
    listed = list(numbers)
    return f"{noun}{'s' if len(listed) > 1 else ''} {_ranges(listed)}"


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers with runs of three or more drawn together: 0, 1, 4-7."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = [run.tolist() for run in np.split(np.array(numbers), breaks)]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _average_folds(histories: pd.DataFrame, used: pd.Series) -> pd.DataFrame:
    metrics = list(ALL_METRICS)
    finite = histories.assign(**histories[metrics].replace([np.inf, -np.inf], np.nan))
    groups = finite.groupby(["trial", "epoch"])[metrics]
    counts = groups.count()
    folds = used.reindex(counts.index.get_level_values("trial")).to_numpy()
    # pandas averages over the values there are; a metric that one fold lacks has no mean.
    whole = counts.eq(folds, axis=0)
    means = groups.mean().where(whole)
    deviations = groups.std(ddof=1).where(whole).add_suffix("_sd")
    both = pd.concat([means, deviations], axis=1)[[name for metric in metrics for name in (metric, f"{metric}_sd")]]
    both.insert(0, "folds", folds)
    return both[whole[MERIT].to_numpy()].reset_index()


def _rank_trials(results: RunResults, epochs: pd.DataFrame, used: pd.Series) -> pd.DataFrame:
    # Rows are sorted by epoch, and idxmax takes the first of equals: the earliest epoch.
    best = epochs.loc[epochs.groupby("trial")[MERIT].idxmax()].drop(columns="folds")
    best["epoch"] = best["epoch"].astype("Int64")
    table = results.trials.merge(best, on="trial", how="left")
    table["folds_used"] = used.reindex(table["trial"], fill_value=0).to_numpy()
    table["folds_planned"] = results.planned_folds
    if results.dropped:
        table["dropped_round"] = pd.array([results.dropped.get(trial) for trial in table["trial"]], dtype="Int64")
    diverged = _by_trial(results.diverged)
    table["diverged_epoch"] = pd.array(
        [min(diverged[trial].values()) if trial in diverged else None for trial in table["trial"]], dtype="Int64"
    )
    spans = results.histories.groupby("trial")["epoch"].max()
    complete = epochs.groupby("trial").size()
    spared = Counter(trial for trial, _ in results.dropped_folds)
    table["note"] = [
        _note(
            used=int(used.get(trial, 0)),
            planned=results.planned_folds - spared[trial],
            dropped=rounds_words(results, trial),
            diverged=diverged.get(trial, {}),
            complete_epochs=int(complete.get(trial, 0)),
            epochs=int(spans.get(trial, 0)),
        )
        for trial in table["trial"]
    ]
    # Without a figure, last; then the dropped, after all that a race kept to the end.
    left = np.where(table[MERIT].isna(), -1, [results.dropped.get(trial, np.inf) for trial in table["trial"]])
    table = table.assign(_left=left).sort_values(
        ["_left", MERIT, "trial"], ascending=[False, False, True], na_position="last", ignore_index=True
    )
    table = table.drop(columns="_left")
    ranks = pd.Series(range(1, len(table) + 1), dtype="Int64").mask(table[MERIT].isna())
    table.insert(0, "rank", ranks)
    return table


def _by_trial(diverged: Mapping[FoldTask, int]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for (trial, fold), epoch in diverged.items():
        found.setdefault(trial, {})[fold] = epoch
    return found


def _note(
    *, used: int, planned: int, dropped: str, diverged: Mapping[int, int], complete_epochs: int, epochs: int
) -> str:
    parts = [dropped] if dropped else []
    if used < planned:
        parts.append(f"{used} of {planned} folds" if used else "no folds")
    if diverged:
        parts.append(f"diverged at epoch {min(diverged.values())} ({_counted('fold', sorted(diverged))})")
    elif complete_epochs < epochs:
        parts.append(f"{complete_epochs} of {epochs} epochs have every fold")
    return "; ".join(parts)
