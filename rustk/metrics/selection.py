"""Choosing the best of many: the corrected figure.

The best of N configurations looks better than it is, for the same images that chose it also judge it. BBC-CV repeats
the choice: in each bootstrap resample of the patients it chooses by the patients drawn, and judges the choice by the
patients left out. The mean of those judgements is an estimate for what the procedure "try N, take the best" delivers,
and their spread gives its interval. No model is trained again: the out-of-fold predictions of every configuration are
all it needs.

Source: Tsamardinos, Greasidou & Borboudakis, Bootstrapping the out-of-sample predictions for efficient and accurate
cross-validation, Machine Learning 107 (2018), algorithm 4 (BBC-CV), and 4.2 for its interval.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rustk.metrics.bootstrap import Interval, percentile_interval
from rustk.metrics.ranking import BoolArray, FloatArray, IntArray, PairTable, Weights, mean_defined


@dataclass(frozen=True)
class Corrected:
    """The outcome of BBC-CV."""

    naive: float  # the best configuration's figure, on all samples
    chosen: int  # which one that is
    corrected: Interval
    resamples: int  # how many resamples could be judged
    share_won: FloatArray  # [configurations]: in which share of the resamples each was chosen
    above_reference: Interval | None = None  # the judgement minus the reference's, on the same left-out samples

    @property
    def optimism(self) -> float:
        """How much the naive figure promises too much."""
        return self.naive - self.corrected.value


def figure_under_weights(
    truth: BoolArray, scores: ArrayLike, folds: IntArray, clusters: IntArray, weights: Weights
) -> FloatArray:
    """Macro AUROC as the studies' histories give it, under each column of cluster weights, [R].

    Within each fold the mean over labels, then the mean over folds. `truth` and `scores` [n, L], `folds` and `clusters`
    [n], `weights` [clusters, R]. With `scores` = `keras_bins(probabilities)` this is the thesis's figure: as in Keras,
    a label that a fold holds no pair of counts 0 there. One that only a resample lacks is left out of its mean, and so
    is a fold without any sample.
    """
    scores_ = np.asarray(scores)
    everyone = np.ones((len(weights), 1), dtype=weights.dtype)
    filled = np.bincount(folds) > 0
    areas = []  # [L][folds, R]
    for label in range(truth.shape[1]):
        table = PairTable(truth[:, label], scores_[:, label], folds, clusters, len(weights))
        concordant, pairs = table.count(weights)
        _, possible = table.count(everyone)
        absent = np.where((possible > 0) | ~filled[:, None], np.nan, 0.0)
        areas.append(np.divide(concordant, pairs, out=np.repeat(absent, weights.shape[1], axis=1), where=pairs > 0))
    return mean_defined(mean_defined(np.stack(areas), axis=0), axis=0)


def corrected_best(
    truth: BoolArray,
    configurations: Iterable[ArrayLike],
    folds: IntArray,
    clusters: IntArray,
    weights: Weights,
    reference: ArrayLike | None = None,
) -> Corrected:
    """BBC-CV over `configurations`, each the scores [n, L] of one configuration for the same samples in the same order.

    `weights` [clusters, R] are the multiplicities of R resamples. A configuration is chosen by `figure_under_weights`
    of the drawn patients and judged by the same figure of those not drawn; resamples where the judgement is undefined
    are left out and the number of the others is given. `reference` [n, L] are the scores of a predictor that nobody
    chose; it is judged on the same left-out patients, so that the difference to it is a paired one. Raises ValueError
    without configurations.
    """
    left_out = (weights == 0).astype(weights.dtype)
    everyone = np.ones((len(weights), 1), dtype=weights.dtype)
    both = np.concatenate([weights, left_out, everyone], axis=1)
    rows = [figure_under_weights(truth, scores, folds, clusters, both) for scores in configurations]
    if not rows:
        raise ValueError("no configuration to choose from")
    figures = np.stack(rows)  # [configurations, 2 R + 1]
    count = weights.shape[1]
    inside, outside, naive = figures[:, :count], figures[:, count : 2 * count], figures[:, -1]
    winner = np.where(np.isfinite(inside), inside, -np.inf).argmax(axis=0)
    judged = outside[winner, np.arange(count)]
    defined = np.isfinite(judged)
    chosen = int(np.where(np.isfinite(naive), naive, -np.inf).argmax())
    mean = float(judged[defined].mean()) if defined.any() else float("nan")
    share = np.bincount(winner, minlength=len(rows)) / max(count, 1)
    above = None
    if reference is not None:
        difference = judged - figure_under_weights(truth, reference, folds, clusters, left_out)
        above = percentile_interval(float(mean_defined(difference, axis=0)), difference)
    return Corrected(float(naive[chosen]), chosen, percentile_interval(mean, judged), int(defined.sum()), share, above)
