"""What a run's cross-validation chose for its final model: a trial, and for how many epochs it is trained."""

from dataclasses import dataclass

import numpy as np

from rustk.report.aggregate import aggregate
from rustk.report.results import Reader, load_run, read_json
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy


@dataclass(frozen=True)
class Chosen:
    """What the final model is trained with, and what said so."""

    trial: int
    epochs: int
    by: str
    val_auroc: float | None  # the mean over folds that it was chosen for; None where somebody chose it otherwise


def choose(reader: Reader, run: str, trial: int | None = None, epochs: int | None = None) -> Chosen:
    """The trial and number of epochs of the greatest mean val_auroc, where they are not given.

    Raises BadData where folds are missing, and BadStudy for a trial that was not planned.
    """
    if trial is not None:
        _check_planned(reader, run, trial)
        if epochs is not None:
            return Chosen(trial, epochs, "given", None)
    averaged = aggregate(load_run(reader, run))
    row = averaged.best if trial is None else averaged.row(trial)
    if epochs is None and not np.isfinite(row["val_auroc"]):
        raise BadStudy(f"trial {int(row['trial'])} of run {run} has no best epoch: say how many epochs to train")
    by = "greatest mean val_auroc over the folds" if trial is None else "given trial, its best epoch"
    if epochs is not None:
        return Chosen(int(row["trial"]), epochs, f"{by}; given epochs", None)
    return Chosen(int(row["trial"]), int(row["epoch"]), by, float(row["val_auroc"]))


def _check_planned(reader: Reader, run: str, trial: int) -> None:
    key = names.run_study_key(run)
    try:
        planned = int(read_json(reader, key)["planned"]["trials"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(f"{key}: expected planned.trials, a whole number ({error})") from None
    if trial >= planned:
        raise BadStudy(f"run {run} has no trial {trial}: it has {planned}, from 0")
