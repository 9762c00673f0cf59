"""Runs as a race leaves them: of a run that is whole, the rounds of a rule, and only the folds that it would train."""

from itertools import product

import numpy as np

from rustk.metrics.bootstrap import multiplicities
from rustk.metrics.ranking import keras_bins
from rustk.metrics.selection import FoldFigure
from rustk.planning.races.base import RaceSpec, Standing
from rustk.planning.races.halving import Race as Halving
from rustk.report.data.aggregate import Aggregate, aggregate
from rustk.report.data.cohort import develop_cohort
from rustk.report.data.decided import curve_of
from rustk.report.data.histories import fold_keys, read_histories
from rustk.report.data.race import Curves
from rustk.report.data.results import RunResults, load_run
from rustk.store.base import Store
from rustk.store.documents import DroppedTrial, Round
from rustk.store.rounds import put_round
from rustk.vocabulary import names

HALVING = Halving(least=2)


def hold_race(
    store: Store, run: str, rule: RaceSpec = HALVING, seed: int = 0, batch: int | None = None
) -> tuple[Round, ...]:
    """Race a whole run, or its trials `batch` at a time: write its rounds, and delete the folds that they left
    untrained."""
    results = load_run(store, run)
    order = rule.order(seed, results.planned_folds)
    trials = [int(trial) for trial in results.trials["trial"]]
    batch = batch or len(trials)
    curves, rounds = Curves(results), []
    keys = fold_keys(store, names.histories_prefix(run))
    digests = {task: curve_of(history).digest for task, history in read_histories(store, keys)[1].items()}
    whole: tuple[int, ...] = ()
    for first in range(0, len(trials), batch):
        alive, asked = tuple(trials[first : first + batch]), trials[first + batch : first + 2 * batch]
        # The last round of a batch has a file where another batch is asked for then.
        for number in range(1, len(order) + bool(asked)):
            seen, compared = order[:number], alive + whole
            resampled = _resampled(results, compared, seen, rule.resample_count) if rule.needs_predictions else None
            verdict = rule.decide(Standing(alive, np.stack([curves.of(t, seen) for t in compared]), whole, resampled))
            rounds.append(
                Round(
                    number=len(rounds) + 1,
                    trials=alive,
                    whole=whole,
                    folds=(order[number - 1],),
                    rule=rule.describe(),
                    predictions={"trial=0000/fold=0": "0" * 64} if rule.needs_predictions else {},
                    figures=dict(verdict.figures),
                    kept=verdict.kept,
                    dropped=tuple(DroppedTrial.model_validate(vars(one)) for one in verdict.dropped),
                    asked=tuple({"learning_rate": 1.0} for _ in asked) if number == len(order) else (),
                    histories={names.fold_path(*task): digests[task] for task in product(compared, seen)},
                )
            )
            put_round(store, run, rounds[-1])
            for trial in set(alive) - set(verdict.kept):
                for fold in set(order) - set(seen):
                    store.delete(names.history_key(run, trial, fold))
                    store.delete(names.prediction_key(run, trial, fold))
            alive = verdict.kept
        whole += alive
    return tuple(rounds)


def raced(store: Store, run: str, rule: RaceSpec = HALVING) -> Aggregate:
    """A whole run, raced and averaged."""
    hold_race(store, run, rule)
    return aggregate(load_run(store, run))


def _resampled(results: RunResults, trials: tuple[int, ...], seen: tuple[int, ...], count: int) -> np.ndarray:
    assert results.index is not None
    assert results.folds is not None
    assert results.instrument is not None
    cohort = develop_cohort(results.index, results.folds, results.instrument)
    part = cohort.take(np.isin(cohort.folds, seen))
    weights = multiplicities(part.cluster_count, count, 0)
    figure, curves, rows = FoldFigure(part.truth, part.folds, part.clusters, weights), Curves(results), []
    for trial in trials:
        epoch = curves.best_epoch(trial, seen)
        found = results.predictions(trial, epoch=epoch)
        rows.append(figure.of(keras_bins(part.align(found[found["fold"].isin(seen)], "test"))))
    return np.stack(rows)
