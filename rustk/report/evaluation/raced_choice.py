"""The price of choosing where a race dropped trials: BBC-CV repeats the race inside each resample of the patients.

In a resample the folds of a trial have other figures, and the race's own rule, asked with those, may drop others than
the run dropped. It is replayed round by round in the run's order of folds. A trial that the replay keeps where the run
had dropped it has no predictions to go on with: it leaves the replay there, and can't be chosen. So the choice in a
resample is among trials that both the run and the replay kept to the end. The run chose these by all patients, also by
those that judge them, so that a part of the optimism stays; `beyond` says how often it could.

A rule that resamples patients itself would do so within each resample, R times R. Instead the spread of all patients'
figures over the R resamples is taken for the spread in each of them, around the resample's own figure: the bootstrap's
own assumption, that the spread of a figure hardly depends on where it lies.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rustk.metrics.bootstrap import multiplicities
from rustk.metrics.ranking import FloatArray, keras_bins, mean_defined
from rustk.metrics.selection import FoldFigure, figure_under_weights, judged_choice
from rustk.planning.races.base import RaceSpec, Standing
from rustk.report.data.aggregate import Aggregate
from rustk.report.data.cohort import Cohort, PredictionFiles
from rustk.report.data.race import Curves, Race
from rustk.report.data.reproduced import RecordedMerit
from rustk.report.evaluation.selection_bias import (
    CONFIGURATIONS,
    RESAMPLES,
    Choice,
    candidates,
    exact_figures,
    usable_trials,
)
from rustk.vocabulary import names
from rustk.vocabulary.checking import validated
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.kinds import load_kind

Configuration = tuple[int, int]  # (trial, epoch)


def weigh_raced_choice(
    aggregate: Aggregate,
    race: Race,
    cohort: Cohort,
    floor: NDArray[np.float32],
    seed: int,
    configurations: int = CONFIGURATIONS,
    resamples: int = RESAMPLES,
) -> Choice | None:
    """As `weigh_choice`, of a run with races; None when no trial of every fold has predictions.

    Beside a whole trial's epochs, each trial stands with its best epoch of each round that it was in, by which that
    round's figure was. Raises BadData for a rule that this version of rustk does not know.
    """
    results = aggregate.results
    whole = usable_trials(aggregate)
    if not whole:
        return None
    known = set(whole) | {trial for trial in results.dropped if results.has_predictions(trial)}
    epochs = candidates(aggregate, whole, max(configurations, len(whole)))
    curves = Curves(results)
    for step in race.steps:
        for trial in known.intersection(step.trials):
            epoch = curves.best_epoch(trial, step.seen)
            if epoch is not None and epoch not in epochs.setdefault(trial, []):
                epochs[trial].append(epoch)
    weights = multiplicities(cohort.cluster_count, resamples, seed)
    left_out = (weights == 0).astype(weights.dtype)
    everyone = np.ones((len(weights), 1), dtype=weights.dtype)
    columns = np.concatenate([weights, left_out, everyone], axis=1)
    figure = FoldFigure(cohort.truth, cohort.folds, cohort.clusters, columns)
    listed: list[Configuration] = [(trial, epoch) for trial, found in epochs.items() for epoch in found]
    by_fold, rows = np.empty((len(listed), len(np.unique(cohort.folds)), columns.shape[1])), []
    best_epoch = aggregate.trials.set_index("trial")["epoch"].to_dict()
    recorded, unlike = RecordedMerit(results.histories), []
    # The matrices are small: threads that share one would spend their time waiting for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        place = 0
        for trial, by_epoch in results.predictions_by_trial(epochs):
            for epoch, here in by_epoch.items():
                folds = here["fold"].unique()
                part = np.isin(cohort.folds, folds)
                judged = cohort.take(part)
                probabilities = judged.align(here, PredictionFiles(results.run, trial, epoch))
                if found := recorded.unlike(trial, epoch, judged, probabilities):
                    unlike.append((trial, epoch, found[0]))
                scores = np.zeros(cohort.truth.shape, dtype=np.intp)
                scores[part] = keras_bins(probabilities)
                by_fold[place] = figure.by_fold(scores, only=set(folds.tolist()))
                place += 1
                if trial in set(whole) and epoch == best_epoch[trial]:
                    rows.append({"trial": trial, **exact_figures(cohort, probabilities)})
    replay = _Replay(race, listed, by_fold[:, :, :resamples], by_fold[:, :, -1], np.unique(cohort.folds))
    eligible, beyond = replay.eligible(set(whole))
    # What stands here for the rounds alone can't win.
    of_whole = np.array([trial in set(whole) for trial, _ in listed]) & np.isfinite(by_fold[:, :, -1]).all(axis=1)
    outside = figure_under_weights(cohort.truth, keras_bins(floor), cohort.folds, cohort.clusters, left_out)
    return Choice(
        corrected=judged_choice(mean_defined(by_fold[of_whole], axis=1), outside, eligible[of_whole]),
        configurations=tuple(one for one, can_win in zip(listed, of_whole, strict=True) if can_win),
        possible=int(aggregate.epochs["trial"].isin(whole).sum()),
        left_out=tuple(sorted(set(aggregate.trials["trial"]) - known)),
        trials=pd.DataFrame(rows),
        beyond=beyond,
        unlike=tuple(unlike),
    )


class _Replay:
    """Repeats the races of a run on each resample's figures.

    inside [configurations, folds, R] under the resamples, everyone [configurations, folds] on all patients.
    """

    def __init__(
        self,
        race: Race,
        listed: Sequence[Configuration],
        inside: FloatArray,
        everyone: FloatArray,
        numbers: NDArray[np.int64],
    ) -> None:
        self._race, self._inside, self._everyone = race, inside, everyone
        self._rule = _rule_of(race)
        self._row_of_fold = {int(number): row for row, number in enumerate(numbers)}
        places: dict[int, list[int]] = {}
        for place, (trial, _) in enumerate(listed):
            places.setdefault(trial, []).append(place)
        widest = max(map(len, places.values()))
        # Those with fewer epochs repeat one: every trial's curve is as long.
        self._places = {t: np.array([*found, *[found[0]] * (widest - len(found))]) for t, found in places.items()}
        self._trial_of = np.array([trial for trial, _ in listed])
        self._spreads: dict[tuple[int, ...], FloatArray] = {}

    def eligible(self, whole: set[int]) -> tuple[NDArray[np.bool_], float]:
        """([configurations, R + 1] that could be chosen, in which share of the resamples a trial was kept that has no
        predictions to go on with). whole: the trials that the run kept to the end."""
        count = self._inside.shape[2]
        found = np.zeros((len(self._trial_of), count + 1), dtype=bool)
        found[:, -1] = np.isin(self._trial_of, list(whole))
        beyond = 0
        for column in range(count):
            kept, was_beyond = self._run(column)
            found[:, column] = np.isin(self._trial_of, list(whole.intersection(kept) or whole))
            beyond += was_beyond
        return found, beyond / max(count, 1)

    def _run(self, column: int) -> tuple[set[int], bool]:
        """(the trials that one resample's replay keeps to the end, whether one was kept beyond its predictions)."""
        ended: list[int] = []
        beyond = False
        for steps in self._race.races:
            alive = [trial for trial in steps[0].trials if trial in self._places]
            before = tuple(ended)
            for step, later in pairwise(steps):
                if not alive:
                    break
                kept = self._rule.decide(self._standing(tuple(alive), before, step.seen, column)).kept
                alive = [trial for trial in kept if self._has(trial, later.fold)]
                beyond |= len(alive) < len(kept)
            ended += alive
        return set(ended), beyond

    def _has(self, trial: int, fold: int) -> bool:
        return bool(np.isfinite(self._everyone[self._places[trial], self._row_of_fold[fold]]).any())

    def _standing(
        self, trials: tuple[int, ...], whole: tuple[int, ...], seen: tuple[int, ...], column: int
    ) -> Standing:
        places = np.stack([self._places[trial] for trial in trials + whole])  # [trials, epochs]
        rows = [self._row_of_fold[fold] for fold in seen]
        curves = self._inside[places[:, :, None], rows, column].transpose(0, 2, 1)  # [trials, rounds, epochs]
        resampled = None
        if self._rule.needs_predictions:
            means = curves.mean(axis=1)
            best = np.where(np.isfinite(means), means, -np.inf).argmax(axis=1)
            at = places[np.arange(len(places)), best]
            resampled = means[np.arange(len(places)), best][:, None] + self._spread(tuple(rows))[at]
        return Standing(trials, curves, whole, resampled)

    def _spread(self, rows: tuple[int, ...]) -> FloatArray:
        """[configurations, R]: each resample's figure on these folds less that of all patients."""
        if rows not in self._spreads:
            here = list(rows)
            self._spreads[rows] = self._inside[:, here].mean(axis=1) - self._everyone[:, here].mean(axis=1)[:, None]
        return self._spreads[rows]


def _rule_of(race: Race) -> RaceSpec:
    source = names.round_key("*", race.steps[0].number)
    module = load_kind("planning/races", race.kind, f"{source}: rule.kind")
    spec: RaceSpec = validated(module.Race, dict(race.rule), source, BadData, at="rule")
    return spec
