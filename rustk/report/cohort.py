"""The images of a run with what is known of them: the rows that every evaluation is made over."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics.bootstrap import patient_clusters
from rustk.metrics.ranking import BoolArray, FloatArray, IntArray, in_view
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.labels import CORTICES, LABELS, SCORES, VIEW_LABELS, VIEWS


@dataclass(frozen=True)
class Cohort:
    """n images in the order of the index. Arrays are [n] unless said otherwise; labels stand in the order of
    `LABELS`."""

    sample_ids: NDArray[np.object_]
    folds: IntArray  # in which fold each image is validated
    views: NDArray[np.object_]
    patients: NDArray[np.object_]  # None: not known
    visits: NDArray[np.object_]  # None: not known
    scores: FloatArray  # [n, 4] in the order of CORTICES, NaN where unscored

    def __len__(self) -> int:
        return len(self.sample_ids)

    def take(self, rows: BoolArray) -> "Cohort":
        """The cohort of the images where `rows` [n] is true."""
        return Cohort(
            sample_ids=self.sample_ids[rows],
            folds=self.folds[rows],
            views=self.views[rows],
            patients=self.patients[rows],
            visits=self.visits[rows],
            scores=self.scores[rows],
        )

    @cached_property
    def scored(self) -> BoolArray:
        """[n, 4]: whether a cortex has a score on an image."""
        return np.isfinite(self.scores)

    @cached_property
    def truth(self) -> BoolArray:
        """[n, 18]: the labels."""
        views = np.stack([self.views == view for view in VIEWS], axis=1)
        cortices = (self.scores[:, :, None] == np.array(SCORES)).reshape(len(self), -1)
        return np.concatenate([views, cortices], axis=1).astype(bool)

    @cached_property
    def cortex_in_view(self) -> BoolArray:
        """[n, 4]: whether an image's view is one in which the cortex is ever scored."""
        return in_view(self.views, self.scored)

    @cached_property
    def label_in_view(self) -> BoolArray:
        """[n, 18]: the same for each label; the labels of the view itself are in no view."""
        nowhere = np.zeros((len(self), len(VIEW_LABELS)), dtype=bool)
        return np.concatenate([nowhere, np.repeat(self.cortex_in_view, len(SCORES), axis=1)], axis=1)

    @cached_property
    def view_and_fold(self) -> IntArray:
        """A number for each combination of view and fold: the strata of in-view ranking."""
        _, view = np.unique(self.views.astype(str), return_inverse=True)
        return view * (int(self.folds.max(initial=0)) + 1) + self.folds

    @cached_property
    def clusters(self) -> IntArray:
        """Which patient each image belongs to, from 0; an image of no known patient has a number of its own."""
        return patient_clusters(list(self.patients))[0]

    @property
    def cluster_count(self) -> int:
        return int(self.clusters.max(initial=-1)) + 1

    @cached_property
    def _place(self) -> dict[str, int]:
        return {sample: place for place, sample in enumerate(self.sample_ids)}

    def align(self, predictions: pd.DataFrame, what: str) -> NDArray[np.float32]:
        """Probabilities [n, 18] of one epoch in the cohort's order.

        `predictions` has one row for each image, with the columns fold, sample_id and the labels. Raises BadData that
        begins with `what` for an image that is not in the cohort, stands there twice or not at all, or was
        predicted in a fold that folds.parquet does not put it in: such a prediction may come from a model that saw it.
        """
        samples = predictions["sample_id"].to_numpy()
        places = np.array([self._place.get(sample, -1) for sample in samples], dtype=np.intp)
        if (places < 0).any():
            raise BadData(f"{what}: sample {samples[places < 0][0]!r} is in no fold of folds.parquet")
        counts = np.bincount(places, minlength=len(self))
        for wrong, how in ((counts > 1, "is predicted twice"), (counts == 0, "has no prediction")):
            if wrong.any():
                first = self.sample_ids[wrong][0]
                raise BadData(f"{what}: sample {first!r} {how}: expected one prediction of each of {len(self)} images")
        elsewhere = predictions["fold"].to_numpy() != self.folds[places]
        if elsewhere.any():
            row, place = np.flatnonzero(elsewhere)[0], places[elsewhere][0]
            raise BadData(
                f"{what}: sample {samples[row]!r} is predicted in fold {predictions['fold'].iloc[row]}, "
                f"but folds.parquet puts it in fold {self.folds[place]}"
            )
        aligned = np.empty((len(self), len(LABELS)), dtype=np.float32)
        aligned[places] = predictions[list(LABELS)].to_numpy(dtype=np.float32)
        if not np.isfinite(aligned).all():
            raise BadData(f"{what}: a probability is not a finite number")
        return aligned


def develop_cohort(index: pd.DataFrame, folds: pd.DataFrame) -> Cohort:
    """The images that the folds are cut from. Raises BadData where folds.parquet and the index contradict each
    other."""
    known = index[index["split"] == "develop"]
    if len(twice := folds["sample_id"][folds["sample_id"].duplicated()]):
        raise BadData(f"folds.parquet: sample {twice.iloc[0]!r} stands there twice: expected each image in one fold")
    unknown = ~folds["sample_id"].isin(known["sample_id"])
    if unknown.any():
        raise BadData(
            f"folds.parquet: sample {folds['sample_id'][unknown].iloc[0]!r} is not in the develop split "
            "of the dataset's index: the folds are of another dataset"
        )
    return _cohort(known.merge(folds, on="sample_id", how="inner"))


def split_cohort(index: pd.DataFrame, split: str) -> Cohort:
    """All images of a split, as one fold: what a single model is evaluated on."""
    return _cohort(index[index["split"] == split].assign(fold=0))


def _cohort(rows: pd.DataFrame) -> Cohort:
    def texts(name: str) -> NDArray[np.object_]:
        column = rows[name].astype(object)
        return column.where(column.notna(), None).to_numpy()

    return Cohort(
        sample_ids=texts("sample_id"),
        folds=rows["fold"].to_numpy(dtype=np.intp),
        views=texts("view"),
        patients=texts("patient"),
        visits=texts("visit"),
        scores=np.stack([rows[cortex].to_numpy(dtype=np.float64, na_value=np.nan) for cortex in CORTICES], axis=1),
    )
