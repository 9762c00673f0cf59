"""Choosing the best of many: the corrected figure.

The best of N configurations looks better than it is, for the same images that chose it also judge it. BBC-CV repeats
the choice: in each bootstrap resample of the patients it chooses by the patients drawn, and judges the choice by the
patients left out. The mean of those judgements is an estimate for what the procedure "try N, take the best" delivers,
and their spread gives its interval. No model is trained again: the out-of-fold predictions of every configuration are
all it needs.

Source: Tsamardinos, Greasidou & Borboudakis, Bootstrapping the out-of-sample predictions for efficient and accurate
cross-validation, Machine Learning 107 (2018), algorithm 4 (BBC-CV), and 4.2 for its interval.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from rustk.metrics.bootstrap import Interval, percentile_interval
from rustk.metrics.ranking import BoolArray, FloatArray, IntArray, Weights, mean_defined


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


class FoldFigure:
    """Macro AUROC as the studies' histories give it, under many sets of cluster weights, for one set of scores after
    another.

    Within each fold the mean over labels, then the mean over folds. As in Keras, a label that a fold holds no pair of
    counts 0 there. One that only a resample lacks is left out of its mean, and so is a fold without any sample.

    A fold holds some hundred images, of which few have a label: all pairs (an image with the label, one without) are
    written out once for each set of scores, and one matrix product counts them under all weights. Counts are whole or
    halves and far below 2^24, so that float32 keeps them exact.
    """

    def __init__(self, truth: BoolArray, folds: IntArray, clusters: IntArray, weights: Weights) -> None:
        """`truth` [n, L]; `folds` and `clusters` [n]; `weights` [clusters, R]."""
        self._shape = truth.shape
        self._numbers = np.unique(folds)
        self._folds = [_Fold(truth, np.flatnonzero(folds == fold), clusters, weights) for fold in self._numbers]
        self._columns = weights.shape[1]

    def of(self, scores: ArrayLike) -> FloatArray:
        """The figure of `scores` [n, L] under each column of weights, [R].

        With `keras_bins(probabilities)` for scores it is the thesis's. Raises ValueError for scores of another shape,
        or that are not finite.
        """
        return mean_defined(self.by_fold(scores), axis=0)

    def by_fold(self, scores: ArrayLike, only: Collection[int] | None = None) -> FloatArray:
        """The figure of each fold, whose mean is that of all, [folds, R]; NaN where a fold has none.

        only: the folds that `scores` are of; the others are NaN, and what stands in their rows does not matter.
        """
        scores_ = np.asarray(scores)
        if scores_.shape != self._shape or not np.isfinite(scores_).all():
            raise ValueError(f"scores of shape {scores_.shape}: expected {self._shape}, all finite")
        found = np.full((len(self._folds), self._columns), np.nan)
        for row, (number, fold) in enumerate(zip(self._numbers, self._folds, strict=True)):
            if only is None or number in only:
                found[row] = mean_defined(fold.areas(scores_), axis=0)
        return found


class _Fold:
    """The pairs of one fold, those of all labels below each other: one row for each (label, image that has it)."""

    def __init__(self, truth: BoolArray, rows: IntArray, clusters: IntArray, weights: Weights) -> None:
        self._rows, self._truth = rows, truth[rows]
        self._weights = np.ascontiguousarray(weights[clusters[rows]])  # [m, R]
        self._label, self._image = np.nonzero(self._truth.T)
        self._counted = (~self._truth.T[self._label]).astype(self._weights.dtype)  # [positives, m]: a pair's other side
        positives = self._truth.T.astype(np.float64) @ self._weights
        negatives = (~self._truth).T.astype(np.float64) @ self._weights
        self._pairs = positives * negatives  # [L, R]
        self._has = np.zeros((self._truth.shape[1], len(self._label)), dtype=self._weights.dtype)  # [L, positives]
        self._has[self._label, np.arange(len(self._label))] = 1
        # Sums of whole numbers and halves lose nothing where twice the largest has a place in the mantissa.
        self._exact = 2 * self._pairs.max(initial=0.0) < 2.0 ** np.finfo(self._weights.dtype).nmant
        possible = self._truth.any(axis=0) & ~self._truth.all(axis=0)
        self._absent = np.where(possible, np.nan, 0.0)[:, None]

    def areas(self, scores: NDArray[np.generic]) -> FloatArray:
        """AUROC of each label under each column of weights, [L, R]; `scores` [n, L]."""
        here = scores[self._rows].T  # [L, m]
        own, others = here[self._label, self._image][:, None], here[self._label]
        won = np.greater(own, others).astype(self._weights.dtype)  # [positives, m]
        won += np.equal(own, others) * won.dtype.type(0.5)
        won *= self._counted
        product = (won @ self._weights) * self._weights[self._image]  # [positives, R]
        if self._exact:
            concordant: FloatArray = (self._has @ product).astype(np.float64)
        else:
            concordant = self._has.astype(np.float64) @ product
        out = np.repeat(self._absent, self._pairs.shape[1], axis=1)
        return np.divide(concordant, self._pairs, out=out, where=self._pairs > 0)


def figure_under_weights(
    truth: BoolArray, scores: ArrayLike, folds: IntArray, clusters: IntArray, weights: Weights
) -> FloatArray:
    """`FoldFigure` of a single set of scores [n, L]: [R]."""
    return FoldFigure(truth, folds, clusters, weights).of(scores)


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
    drawn = FoldFigure(truth, folds, clusters, np.concatenate([weights, everyone], axis=1))
    judging = FoldFigure(truth, folds, clusters, left_out)
    # The matrices are small: threads that share one would spend their time waiting for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        known, rows = [], []
        for scores in configurations:
            known.append(np.asarray(scores))
            rows.append(drawn.of(scores))
        if not rows:
            raise ValueError("no configuration to choose from")
        chosen_by = np.stack(rows)
        inside, naive = chosen_by[:, :-1], chosen_by[:, -1:]
        # Only what is chosen somewhere is judged.
        outside = np.full(inside.shape, np.nan)
        for winner in np.unique(_winners(inside)):
            outside[winner] = judging.of(known[winner])
        reference_outside = None if reference is None else judging.of(reference)
    return judged_choice(np.concatenate([inside, outside, naive], axis=1), reference_outside)


def _winners(inside: FloatArray) -> IntArray:
    """Which configuration is best in each resample, [R]; `inside` [configurations, R], NaN where undefined."""
    return np.where(np.isfinite(inside), inside, -np.inf).argmax(axis=0)


def judged_choice(
    figures: FloatArray, reference_outside: FloatArray | None = None, eligible: BoolArray | None = None
) -> Corrected:
    """BBC-CV of figures that are there already.

    `figures` [configurations, 2 R + 1]: each configuration's under the R resamples, then on the samples that each
    resample left out, then on all samples; NaN where undefined. `reference_outside` [R]: that of a predictor that
    nobody chose, on the left-out samples. `eligible` [configurations, R + 1]: which of them could be chosen in each
    resample and, last, on all samples; None: all. A resample in which none could is left out.
    """
    count = figures.shape[1] // 2
    inside, outside, naive = figures[:, :count], figures[:, count : 2 * count], figures[:, -1]
    can_win = np.ones((len(figures), count + 1), dtype=bool) if eligible is None else eligible
    winner = _winners(np.where(can_win[:, :count], inside, np.nan))
    judged = outside[winner, np.arange(count)]
    nobody = ~can_win[:, :count].any(axis=0)
    judged = np.where(nobody, np.nan, judged)
    defined = np.isfinite(judged)
    chosen = int(np.where(np.isfinite(naive) & can_win[:, -1], naive, -np.inf).argmax())
    mean = float(judged[defined].mean()) if defined.any() else float("nan")
    share = np.bincount(winner[~nobody], minlength=len(figures)) / max(count, 1)
    above = None
    if reference_outside is not None:
        difference = judged - reference_outside
        above = percentile_interval(float(mean_defined(difference, axis=0)), difference)
    return Corrected(float(naive[chosen]), chosen, percentile_interval(mean, judged), int(defined.sum()), share, above)
