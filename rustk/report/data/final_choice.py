"""What a run's cross-validation chose for its final model: a trial, and for how many epochs it is trained."""

import numpy as np

from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run, rounds_words
from rustk.store.base import Store
from rustk.store.card import Chosen
from rustk.store.runs import read_run
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.schemas import MERIT

__all__ = ["Chosen", "choose"]


def choose(store: Store, run: str, trial: int | None = None, epochs: int | None = None) -> Chosen:
    """The trial and number of epochs of the greatest mean val_auroc, where they are not given.

    Raises BadData where folds are missing or the search is not over, and BadStudy for a run or trial that was not
    planned.
    """
    if trial is not None:
        planned = read_run(store, run).planned.trials
        if not 0 <= trial < planned:
            raise BadStudy(f"run {run} has no trial {trial}: it has {planned}, from 0")
        if epochs is not None:
            return Chosen(trial=trial, epochs=epochs, by="given")
    results = load_run(store, run)
    averaged = aggregate(results, permission=None)
    if trial is None and results.trials_to_come:
        raise BadData(
            f"run {run}: its search will ask for {results.trials_to_come:,} more trials, so its best is not known: "
            "submit it again to finish it, or give a trial"
        )
    row = averaged.best if trial is None else averaged.row(trial)
    if epochs is None and not np.isfinite(row[MERIT]):
        raise BadStudy(f"trial {int(row['trial'])} of run {run} has no best epoch: say how many epochs to train")
    by = "greatest mean val_auroc over the folds" if trial is None else "given trial, its best epoch"
    if dropped := rounds_words(averaged.results, int(row["trial"])):
        by += f" over the folds it was trained on ({dropped})"
    if epochs is not None:
        return Chosen(trial=int(row["trial"]), epochs=epochs, by=f"{by}; given epochs")
    return Chosen(trial=int(row["trial"]), epochs=int(row["epoch"]), by=by, val_auroc=float(row[MERIT]))
