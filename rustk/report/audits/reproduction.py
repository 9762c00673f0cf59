"""Whether the histories' figure of merit follows from the stored predictions and the index's labels."""

import numpy as np

from rustk.metrics import thresholded
from rustk.report.audits.base import Context, Finding
from rustk.report.data.aggregate import MERIT

ORDER = 40

_REPRODUCED = 1e-6


def audit(context: Context) -> list[Finding]:
    """One finding, of the best trial at its best epoch; nothing without its predictions."""
    cohort, probabilities = context.judged, context.probabilities
    if cohort is None or probabilities is None:
        return []
    best = context.aggregate.best
    trial, epoch = int(best["trial"]), int(best["epoch"])
    rows = context.results.histories
    recorded = rows[(rows["trial"] == trial) & (rows["epoch"] == epoch)].set_index("fold")[MERIT]
    folds = np.unique(cohort.folds)
    worst, worst_fold = 0.0, -1
    for fold in folds:
        here = cohort.folds == fold
        found = thresholded.auroc(cohort.truth[here].astype(np.float32), probabilities[here])
        if (difference := abs(found - float(recorded[fold]))) > worst:
            worst, worst_fold = difference, int(fold)
    if worst > _REPRODUCED:
        sentence = (
            f"The stored predictions of trial {trial} don't give the val_auroc of its history: fold {worst_fold} "
            f"differs by {worst:.2g} at epoch {epoch}. Labels, predictions and history are not of one run."
        )
        return [Finding("reproduction", "fault", sentence)]
    by_fold = [cohort.truth[cohort.folds == fold] for fold in folds]
    undefined = sum(int((labels.all(axis=0) | ~labels.any(axis=0)).sum()) for labels in by_fold)
    if undefined:
        cells = len(by_fold) * len(cohort.instrument.labels)
        sentence = (
            f"In {undefined} of {cells} pairs of a label and a fold there is nothing to rank; the studies' figure "
            "counts those as 0, as Keras does, and is lower for it. The exact figures leave them out."
        )
        return [Finding("reproduction", "note", sentence)]
    sentence = "The stored predictions give the history's val_auroc of the best trial in every fold, within 1e-6."
    return [Finding("reproduction", "clean", sentence)]
