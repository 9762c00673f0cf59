"""Which image validates in which fold. Only `develop` is cut; `test` stays sealed."""

from collections.abc import Sequence

import numpy as np

from rustk.planning.study import Folds
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument


def assign_folds(
    folds: Folds,
    instrument: Instrument,
    patients: Sequence[str | None],
    views: Sequence[str],
    scores: dict[str, Sequence[int | None]],
    *,
    dataset: str,
) -> np.ndarray:
    """The fold of every develop image, shape [images], int32 in 0..k-1, in the order of the index.

    patients, views and scores[site] have one value an image; None is an unknown patient or an unscored site.
    `shard` needs nothing but the order: image i goes to fold i mod k. `patient` is scikit-learn's StratifiedGroupKFold
    over patients, stratified by view and rounded mean score.
    Raises BadStudy when the scheme can't be cut from these images.
    """
    count = len(views)
    if count < folds.k:
        raise BadStudy(f"folds.k = {folds.k}: dataset {dataset} has {count} develop images, fewer than folds")
    if folds.scheme == "shard":
        return np.arange(count, dtype=np.int32) % folds.k
    unknown = sum(patient is None for patient in patients)
    if unknown:
        raise BadStudy(
            f"folds.scheme = patient: {unknown} of {count} develop images of dataset {dataset} name no patient; "
            "add the patients to its labels, or accept leakage with --set folds.scheme=shard"
        )
    groups = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
    if groups.max() + 1 < folds.k:
        raise BadStudy(f"folds.k = {folds.k}: dataset {dataset} has only {groups.max() + 1} patients in develop")

    # scikit-learn takes seconds to import, and shard folds do without.
    from sklearn.model_selection import StratifiedGroupKFold

    assigned = np.empty(count, dtype=np.int32)
    splitter = StratifiedGroupKFold(n_splits=folds.k, shuffle=True, random_state=folds.seed)
    strata = _strata(instrument, views, scores, folds.k)
    for fold, (_, validation) in enumerate(splitter.split(np.zeros(count), strata, groups)):
        assigned[validation] = fold
    return assigned


def _strata(
    instrument: Instrument, views: Sequence[str], scores: dict[str, Sequence[int | None]], k: int
) -> np.ndarray:
    """A class an image: its view and rounded mean score. Each class has at least k images, or there is only one."""
    table = np.array([[np.nan if score is None else score for score in scores[site]] for site in instrument.site_names])
    if len({site.scores for site in instrument.sites}) > 1:
        # Scales of different lengths: each score by its place on its own, from 0 to 1, stretched to the longest.
        lengths = np.array([[site.scores[0], site.scores[-1]] for site in instrument.sites], dtype=float)
        longest = max(len(site.scores) for site in instrument.sites) - 1
        table = (table - lengths[:, :1]) / (lengths[:, 1:] - lengths[:, :1]) * longest
    scored = np.count_nonzero(~np.isnan(table), axis=0)
    mean = np.nansum(table, axis=0) / np.maximum(scored, 1)  # 0 where nothing is scored
    fine = np.array([f"{view} {round(value)}" for view, value in zip(views, mean, strict=True)])
    # What is too rare to stand in every fold joins its view, and what is then still too rare the commonest class.
    coarse = np.where(_counts(fine) < k, np.asarray(views, dtype=fine.dtype), fine)
    counts = _counts(coarse)
    return np.where(counts < k, coarse[counts.argmax()], coarse)


def _counts(classes: np.ndarray) -> np.ndarray:
    """For each element, how often its class stands in the array."""
    _, place, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return counts[place]
