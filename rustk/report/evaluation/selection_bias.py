"""The price of choosing: every configuration's out-of-fold predictions, and the best one's figure corrected for the
choice.

A configuration is a trial at one epoch, for the studies choose both by the same figure. Of a study's trials x epochs,
those that could be chosen are few: each trial stands with its best epoch, and the best further epochs join them up to
a limit, in the order of the figure of merit. Configurations far below the best are never chosen in a resample, so
leaving them out changes nothing but the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics.bootstrap import multiplicities
from rustk.metrics.ranking import IntArray, auroc, keras_bins, macro, stratified_auroc
from rustk.metrics.selection import Corrected, corrected_best
from rustk.report.data.aggregate import MERIT, Aggregate
from rustk.report.data.cohort import Cohort, PredictionFiles
from rustk.report.data.reproduced import RecordedMerit

CONFIGURATIONS = 64
RESAMPLES = 500


@dataclass(frozen=True)
class Choice:
    """What choosing the best of a study's configurations costs. The reference of `corrected` is the floor."""

    corrected: Corrected
    configurations: tuple[tuple[int, int], ...]  # (trial, epoch) of each one compared
    possible: int  # trials x epochs that could have been chosen
    left_out: tuple[int, ...]  # trials without predictions of every planned fold
    # A row a compared trial, at its best epoch: trial, auroc_scores (mean over folds), auroc_in_view.
    trials: pd.DataFrame
    # In which share of the resamples the race, repeated, would have kept a trial that the run dropped; None: no race.
    beyond: float | None = None
    # (trial, epoch, fold) of those compared whose predictions don't give the figure of merit that is recorded.
    unlike: tuple[tuple[int, int, int], ...] = ()

    @property
    def share_won_by_trial(self) -> dict[int, float]:
        """In which share of the resamples each trial was chosen, at whatever epoch."""
        shares: dict[int, float] = {}
        for (trial, _), share in zip(self.configurations, self.corrected.share_won, strict=True):
            shares[trial] = shares.get(trial, 0.0) + float(share)
        return shares


def beyond_words(choice: Choice) -> str:
    """Of a raced choice, that the race was repeated, and what of the optimism is left for what it could not follow;
    empty where there was no race."""
    if choice.beyond is None:
        return ""
    told = "The race was repeated in each resample."
    if choice.beyond > 0:
        told += (
            f" In {choice.beyond:.0%} of them the race would have kept a trial that the run dropped, and that can't be "
            "followed there: a part of the optimism stays in the corrected figure."
        )
    return told


def weigh_choice(
    aggregate: Aggregate,
    cohort: Cohort,
    floor: NDArray[np.float32],
    seed: int,
    configurations: int = CONFIGURATIONS,
    resamples: int = RESAMPLES,
) -> Choice | None:
    """BBC-CV over the study's configurations; None when no trial has predictions of every planned fold.

    `floor` [n, L] are the floor's probabilities of the cohort, which the choice is judged against.
    Reads the predictions of all trials, a few at a time. Raises BadData for predictions that contradict the folds.
    """
    results, usable = aggregate.results, usable_trials(aggregate)
    if not usable:
        return None
    chosen = candidates(aggregate, usable, max(configurations, len(usable)))
    best_epoch = aggregate.trials.set_index("trial")["epoch"].to_dict()
    rows: list[dict[str, float]] = []
    recorded, unlike = RecordedMerit(results.histories), []

    def scores() -> Iterator[IntArray]:
        for trial, by_epoch in results.predictions_by_trial(chosen):
            for epoch, predictions in by_epoch.items():
                probabilities = cohort.align(predictions, PredictionFiles(results.run, trial, epoch))
                if found := recorded.unlike(trial, epoch, cohort, probabilities):
                    unlike.append((trial, epoch, found[0]))
                if epoch == best_epoch[trial]:
                    rows.append({"trial": trial, **exact_figures(cohort, probabilities)})
                yield keras_bins(probabilities)

    weights = multiplicities(cohort.cluster_count, resamples, seed)
    corrected = corrected_best(
        cohort.truth, scores(), cohort.folds, cohort.clusters, weights, reference=keras_bins(floor)
    )
    left_out = sorted(set(aggregate.trials["trial"]) - set(usable))
    return Choice(
        corrected=corrected,
        configurations=tuple((trial, epoch) for trial, epochs in chosen.items() for epoch in epochs),
        possible=int(aggregate.epochs["trial"].isin(usable).sum()),
        left_out=tuple(left_out),
        trials=pd.DataFrame(rows),
        unlike=tuple(unlike),
    )


def usable_trials(aggregate: Aggregate) -> list[int]:
    """The trials that can be chosen and judged, best first: those with a figure of merit, and predictions of every
    planned fold."""
    rows = aggregate.whole
    every = rows["folds_used"] == aggregate.results.planned_folds
    found = rows.loc[every & rows[MERIT].notna(), "trial"]
    return [int(trial) for trial in found if aggregate.results.has_predictions(int(trial))]


def candidates(aggregate: Aggregate, usable: list[int], limit: int) -> dict[int, list[int]]:
    """Each usable trial's epochs to compare, trials best first: its best epoch, and the best others up to `limit` in
    all.
    """
    epochs = aggregate.epochs[aggregate.epochs["trial"].isin(usable)]
    ranked = epochs.sort_values([MERIT, "trial", "epoch"], ascending=[False, True, True])
    first = ranked.drop_duplicates("trial")
    others = ranked.drop(first.index).head(limit - len(first))
    chosen: dict[int, list[int]] = {trial: [] for trial in usable}
    for trial, epoch in pd.concat([first, others])[["trial", "epoch"]].itertuples(index=False):
        chosen[int(trial)].append(int(epoch))
    return chosen


def exact_figures(cohort: Cohort, probabilities: NDArray[np.float32]) -> dict[str, float]:
    """The figures that stand beside every trial in the table, without intervals."""
    columns = cohort.instrument.score_columns
    truth, scores = cohort.truth[:, columns], probabilities[:, columns]
    by_fold = [
        macro(auroc(truth[cohort.folds == fold], scores[cohort.folds == fold])).value
        for fold in np.unique(cohort.folds)
    ]
    within = stratified_auroc(truth, scores, cohort.view_and_fold, cohort.label_in_view[:, columns])
    return {"auroc_scores": macro(by_fold).value, "auroc_in_view": macro(within).value}
