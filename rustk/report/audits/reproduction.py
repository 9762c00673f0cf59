"""Whether the histories' figure of merit follows from the stored predictions and the index's labels."""

import numpy as np

from rustk.report.audits.base import Context, Finding, first_few
from rustk.report.data.reproduced import RecordedMerit

ORDER = 40


def audit(context: Context) -> list[Finding]:
    """One finding, of the best trial at its best epoch and of what it was chosen from; nothing without predictions."""
    cohort, probabilities = context.judged, context.probabilities
    if cohort is None or probabilities is None:
        return []
    best = context.aggregate.best
    trial, epoch = int(best["trial"]), int(best["epoch"])
    if unlike := RecordedMerit(context.results.histories).unlike(trial, epoch, cohort, probabilities):
        fold, difference = unlike
        sentence = (
            f"The stored predictions of trial {trial} don't give the val_auroc of its history: fold {fold} "
            f"differs by {difference:.2g} at epoch {epoch}. Labels, predictions and history are not of one run."
        )
        return [Finding("reproduction", "fault", sentence)]
    if context.unlike:
        sentence = (
            "The stored predictions of other trials or epochs don't give the val_auroc of their histories: the best "
            "one was chosen by figures that are not those of the predictions."
        )
        details = [f"trial {trial} epoch {epoch} fold {fold}" for trial, epoch, fold in context.unlike]
        return [Finding("reproduction", "fault", sentence, first_few(details))]
    folds = np.unique(cohort.folds)
    by_fold = [cohort.truth[cohort.folds == fold] for fold in folds]
    undefined = sum(int((labels.all(axis=0) | ~labels.any(axis=0)).sum()) for labels in by_fold)
    if undefined:
        cells = len(by_fold) * len(cohort.instrument.labels)
        sentence = (
            f"In {undefined} of {cells} pairs of a label and a fold there is nothing to rank; the studies' figure "
            "counts those as 0, as Keras does, and is lower for it. The exact figures leave them out."
        )
        return [Finding("reproduction", "note", sentence)]
    sentence = (
        "The stored predictions give the histories' val_auroc in every fold, within 1e-6: of the best trial, and of "
        "the trials and epochs that its choice is corrected for."
    )
    return [Finding("reproduction", "clean", sentence)]
