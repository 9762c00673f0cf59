"""Rank statistics: how often a model puts an image that has a label above one that hasn't.

Keras's AUROC, by which the studies are compared, is cut at 200 thresholds and pools the images of all views. The
pooling matters more than the thresholds: where a site is scored in one view only, a model that knows nothing but the
view puts every image of the other views below, and scores about 0.8 on mRUST. The functions here count the pairs
exactly, and can count them within strata: with strata = (view, fold), the *in-view* AUROC compares only images that the
view can't tell apart, and its chance level is 0.5 whatever the view tells.

Everything is counted with weights of clusters (patients), because the bootstrap over patients is nothing but such
weights: a patient drawn twice counts twice. `PairTable` sorts once and then answers for a thousand sets of weights at
the price of a sparse matrix product.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rustk.metrics.thresholded import AUROC_THRESHOLDS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
# How much each cluster counts: float32 is enough for multiplicities.
Weights = NDArray[np.floating]

# A matrix of counts up to this size is not worth a sparse one, nor the import of SciPy.
_DENSE_NUMBERS = 200_000
# Numbers worked on at once, columns of weights times distinct scores: bounds the memory of large cohorts.
_NUMBERS_AT_ONCE = 4_000_000


class PairTable:
    """The pairs (an image with the label, one without) of one label, sorted once, countable under any cluster weights.

    A pair counts within a stratum only, and is concordant when the image with the label has the higher score, half
    concordant on a tie: the Mann-Whitney statistic, U. Cost: O(n log n) to build, O(n) for each set of weights.
    """

    def __init__(
        self,
        truth: ArrayLike,
        scores: ArrayLike,
        strata: ArrayLike | None = None,
        clusters: ArrayLike | None = None,
        cluster_count: int | None = None,
    ) -> None:
        """`truth` [n] 0/1, `scores` [n] higher = more likely, `strata` [n] and `clusters` [n] integers from 0
        (default: one stratum, each sample its own cluster). Raises ValueError when lengths differ or a score is not a
        number."""
        positive = np.asarray(truth).astype(bool)
        score = np.asarray(scores)
        n = len(positive)
        stratum = np.zeros(n, dtype=np.intp) if strata is None else np.asarray(strata, dtype=np.intp)
        cluster = np.arange(n) if clusters is None else np.asarray(clusters, dtype=np.intp)
        if not (len(score) == len(stratum) == len(cluster) == n):
            raise ValueError(
                f"{n} truths, {len(score)} scores, {len(stratum)} strata, {len(cluster)} clusters: "
                "expected as many of each"
            )
        if not np.isfinite(score).all():
            raise ValueError(f"{np.count_nonzero(~np.isfinite(score))} of {n} scores are not finite")
        self.strata_count = int(stratum.max(initial=0)) + 1
        self.cluster_count = int(cluster.max(initial=-1)) + 1 if cluster_count is None else cluster_count

        levels, rank = np.unique(score, return_inverse=True)
        key = stratum * max(len(levels), 1) + rank  # sorts by stratum, then by score
        keys, row = np.unique(key[positive], return_inverse=True)
        # The positives of every distinct (stratum, score), by cluster: [keys, clusters]
        self._positives = _counts(row, cluster[positive], (len(keys), self.cluster_count))
        # The negatives that come in below each key. One that ties with a key counts half for it and whole from the
        # next on, so half of it enters at the key and half behind; one above every key enters nowhere.
        negative_key = key[~positive]
        entry = np.concatenate([np.searchsorted(keys, negative_key, side) for side in ("left", "right")])
        entering, inside = np.tile(cluster[~positive], 2), entry < len(keys)
        self._negatives = _counts(entry[inside], entering[inside], (len(keys), self.cluster_count), 0.5)
        shape = (self.strata_count, self.cluster_count)
        self._stratum_positives = _counts(stratum[positive], cluster[positive], shape)
        self._stratum_negatives = _counts(stratum[~positive], cluster[~positive], shape)
        self._stratum_of_key = keys // max(len(levels), 1)

    def count(self, weights: Weights) -> tuple[FloatArray, FloatArray]:
        """(concordant, pairs), each [strata, R], under `weights` [clusters, R]: a sample counts with its cluster's
        weight.

        Works in the precision of `weights`: in float32 it takes half the time, and whole weights are still exact.
        """
        columns, kind = weights.shape[1], weights.dtype
        by_key, below_key = self._positives.astype(kind), self._negatives.astype(kind)
        positives, negatives = self._stratum_positives.astype(kind), self._stratum_negatives.astype(kind)
        present, starts = np.unique(self._stratum_of_key, return_index=True)
        concordant, pairs = np.zeros((2, self.strata_count, columns))
        width = max(_NUMBERS_AT_ONCE // max(len(self._stratum_of_key), 1), 64)
        for left in range(0, columns, width):
            these = slice(left, left + width)
            part = np.ascontiguousarray(weights[:, these])
            total = negatives @ part
            np.multiply(positives @ part, total, out=pairs[:, these], dtype=np.float64)
            if not len(starts):
                continue
            below = below_key @ part
            for row in range(1, len(below)):  # np.cumsum down the rows takes ten times as long
                below[row] += below[row - 1]
            # `below` runs on over the strata: take away what the strata before this one brought.
            before = (np.cumsum(total, axis=0) - total)[self._stratum_of_key]
            product = (below - before) * (by_key @ part)
            concordant[present, these] = np.add.reduceat(product, starts, axis=0, dtype=np.float64)
        return concordant, pairs


def _counts(rows: IntArray, columns: IntArray, shape: tuple[int, int], each: float = 1.0) -> Any:
    """A matrix, sparse where it is large, with `each` added at every (row, column)."""
    if shape[0] * shape[1] <= _DENSE_NUMBERS:
        return each * np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    from scipy.sparse import csr_array

    return csr_array((np.full(len(rows), each), (rows, columns)), shape=shape)


@dataclass(frozen=True)
class Macro:
    """An unweighted mean over labels, with how many labels had no value: never hidden, since a mean over fewer labels
    is another figure."""

    value: float  # NaN where no label is defined
    defined: int
    undefined: int


def macro(per_label: ArrayLike) -> Macro:
    """The mean of the defined (not NaN) entries of `per_label` [L], with the number of undefined ones.

    >>> macro([0.5, 1.0, float("nan")])
    Macro(value=0.75, defined=2, undefined=1)
    """
    values = np.asarray(per_label, dtype=np.float64)
    defined = np.isfinite(values)
    return Macro(
        float(values[defined].mean()) if defined.any() else float("nan"), int(defined.sum()), int((~defined).sum())
    )


def mean_defined(values: FloatArray, axis: int) -> FloatArray:
    """The mean over `axis` of the entries that are not NaN; NaN (without a warning) where there are none."""
    defined = np.isfinite(values)
    count = defined.sum(axis=axis)
    total = np.where(defined, values, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def auroc(truth: ArrayLike, scores: ArrayLike) -> FloatArray:
    """Exact area under the ROC curve of each label, [L]. Higher is better, chance is 0.5, NaN where a label has one
    class only.

    `truth` [n, L] 0/1, `scores` [n, L]. AUROC = (concordant pairs + ties / 2) / pairs. Source: Hanley & McNeil,
    Radiology 143 (1982); equals `sklearn.metrics.roc_auc_score`.

    >>> auroc([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]])
    array([0.75])
    """
    truth_, scores_ = np.asarray(truth).astype(bool), np.asarray(scores)
    if not np.isfinite(scores_).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores_))} of {scores_.size} scores are not finite")
    if not len(truth_):
        return np.full(truth_.shape[1], np.nan)
    order = np.argsort(scores_, axis=0)
    positive, score = (np.take_along_axis(values, order, axis=0) for values in (truth_, scores_))
    # Those with the same score share the mean of their ranks, from the first of them to the last.
    rows = np.arange(len(score))[:, None]
    differs = score[1:] != score[:-1]
    edge = np.ones((1, score.shape[1]), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, differs]), rows, 0), axis=0)
    last = np.where(np.concatenate([differs, edge]), rows, len(score))
    last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    positives = truth_.sum(axis=0)
    concordant = np.where(positive, (first + last) / 2 + 1, 0.0).sum(axis=0) - positives * (positives + 1) / 2
    pairs = positives * (len(truth_) - positives)
    return np.divide(concordant, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def stratified_auroc(
    truth: ArrayLike, scores: ArrayLike, strata: ArrayLike, counted: ArrayLike | None = None
) -> FloatArray:
    """AUROC of each label over the pairs that lie within one stratum, [L]. Higher is better, chance is 0.5, NaN
    without such a pair.

    `truth`, `scores` [n, L]; `strata` [n] integers from 0; `counted` [n, L] 0/1 leaves samples out of single labels
    (default: none). Strata are weighted by their pairs: AUROC = sum over strata of concordant pairs / sum over strata
    of pairs. A stratum with one stray positive therefore hardly counts, and one without a pair doesn't at all.
    Source: van Elteren's stratified Mann-Whitney statistic (1960) with the weights n+ n-; Obuchowski & McClish,
    covariate-adjusted ROC.

    Within the two strata every positive is above every negative; pooled (as in `auroc`) 0.8 would stand below 0.9:

    >>> stratified_auroc([[0], [1], [0], [1]], [[0.1], [0.8], [0.9], [1.0]], [0, 0, 1, 1])
    array([1.])
    """
    truth_, scores_ = np.asarray(truth).astype(bool), np.asarray(scores)
    counted_ = np.ones(truth_.shape, dtype=bool) if counted is None else np.asarray(counted).astype(bool)
    strata_ = np.asarray(strata, dtype=np.intp)
    values = np.full(truth_.shape[1], np.nan)
    for label in range(truth_.shape[1]):
        kept = counted_[:, label]
        concordant, pairs = _count_pairs(truth_[kept, label], scores_[kept, label], strata_[kept])
        if pairs > 0:
            values[label] = concordant / pairs
    return values


def _count_pairs(positive: BoolArray, scores: NDArray[np.generic], strata: IntArray) -> tuple[float, int]:
    """(concordant pairs, pairs) within the strata, every sample counted once: what a PairTable counts under weights of
    one, without its matrices. Raises ValueError for a score that is not a number."""
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {len(scores)} scores are not finite")
    levels, rank = np.unique(scores, return_inverse=True)
    key = strata * max(len(levels), 1) + rank  # sorts by stratum, then by score
    first = strata[positive] * max(len(levels), 1)  # the least key of each positive's stratum
    positives, negatives = key[positive], np.sort(key[~positive])
    before, behind = (np.searchsorted(negatives, first + step) for step in (0, max(len(levels), 1)))
    below, tied = (np.searchsorted(negatives, positives, side) for side in ("left", "right"))
    return float(((below + tied) / 2 - before).sum()), int((behind - before).sum())


def in_view(views: ArrayLike, scored: ArrayLike) -> BoolArray:
    """Which images count for each site: those of the views in which the site is scored at least once, [n, sites].

    `views` [n] of any kind, `scored` [n, sites] 0/1. Which view shows which site is read off the data, not assumed.
    Images of such a view whose site is unscored count, as images without the label: the model was trained on them that
    way.
    """
    views_, scored_ = np.asarray(views), np.asarray(scored).astype(bool)
    counted = np.zeros(scored_.shape, dtype=bool)
    for view in np.unique(views_):
        rows = views_ == view
        counted[rows] = scored_[rows].any(axis=0)
    return counted


def keras_bins(probabilities: ArrayLike) -> IntArray:
    """Which of the 199 intervals between Keras's 200 thresholds each probability lies in, same shape, 0 to 198.

    `keras.metrics.AUC` draws the ROC curve through these thresholds and integrates it by trapezia. That is the
    Mann-Whitney statistic of the intervals' numbers, ties counted half; so with these for scores, everything here gives
    Keras's figure. Products are formed in float32, as in `thresholded.auroc_by_label`.
    """
    clipped = np.clip(np.asarray(probabilities, dtype=np.float32), 0, 1)
    return np.maximum(np.ceil(clipped * np.float32(AUROC_THRESHOLDS - 1)).astype(np.intp) - 1, 0)
