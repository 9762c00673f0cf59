"""The images of a run with what is known of them: the rows that every evaluation is made over."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics.bootstrap import patient_clusters
from rustk.metrics.ranking import BoolArray, FloatArray, IntArray, in_view
from rustk.store.remedies import damaged
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.instrument import Instrument, describe_scores


@dataclass(frozen=True)
class Cohort:
    """n images in the order of the index, scored by an instrument with L labels and s sites.

    Arrays are [n] unless said otherwise; labels and sites stand in the order of the instrument.
    """

    instrument: Instrument
    sample_ids: NDArray[np.object_]
    folds: IntArray  # in which fold each image is validated
    views: NDArray[np.object_]
    patients: NDArray[np.object_]  # None: not known
    visits: NDArray[np.object_]  # None: not known
    scores: FloatArray  # [n, s], NaN where unscored

    def __len__(self) -> int:
        return len(self.sample_ids)

    def take(self, rows: BoolArray) -> "Cohort":
        """The cohort of the images where `rows` [n] is true."""
        arrays = ("sample_ids", "folds", "views", "patients", "visits", "scores")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    @cached_property
    def scored(self) -> BoolArray:
        """[n, s]: whether a site has a score on an image."""
        return np.isfinite(self.scores)

    @cached_property
    def truth(self) -> BoolArray:
        """[n, L]: the labels."""
        views = [self.views == label.removeprefix("view_") for label in self.instrument.view_labels]
        scores = [
            self.scores[:, number] == score
            for number, site in enumerate(self.instrument.sites)
            for score in site.scores
        ]
        return np.stack([*views, *scores], axis=1).astype(bool)

    @cached_property
    def site_in_view(self) -> BoolArray:
        """[n, s]: whether an image's view is one in which the site is ever scored."""
        return in_view(self.views, self.scored)

    @cached_property
    def label_in_view(self) -> BoolArray:
        """[n, L]: the same for each label; the labels of the view itself are in no view."""
        nowhere = np.zeros((len(self), len(self.instrument.view_labels)), dtype=bool)
        widths = [len(site.scores) for site in self.instrument.sites]
        return np.concatenate([nowhere, np.repeat(self.site_in_view, widths, axis=1)], axis=1)

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
        """How many patients there are, images of no known patient counted one by one."""
        return int(self.clusters.max(initial=-1)) + 1

    @property
    def knows_patients(self) -> bool:
        """Whether it is known of any image which patient it is of."""
        return any(patient is not None for patient in self.patients)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {sample: place for place, sample in enumerate(self.sample_ids)}

    def align(self, predictions: pd.DataFrame, source: "PredictionFiles | str") -> NDArray[np.float32]:
        """Probabilities [n, L] of one epoch in the cohort's order.

        `predictions` has one row for each image, with the columns fold, sample_id and the labels. Raises BadData that
        begins with the file for an image that is not in the cohort, appears twice or not at all, or was predicted in a
        fold that folds.parquet does not put it in: such a prediction may come from a model that saw it.
        """
        samples, folds = predictions["sample_id"].to_numpy(), predictions["fold"].to_numpy()
        places = np.array([self._place.get(sample, -1) for sample in samples], dtype=np.intp)

        def refuse(row: np.integer, why: str) -> NoReturn:
            raise _fault(source, int(folds[row]), f"sample {clip(samples[row])} {why}")

        for row in np.flatnonzero(places < 0):
            raise _contradicts(source, int(folds[row]), f"sample {clip(samples[row])} is in no fold of folds.parquet")
        counts = np.bincount(places, minlength=len(self))
        once = f"expected one prediction of each of {len(self)} images"
        for row in np.flatnonzero(counts[places] > 1):
            refuse(row, f"is predicted twice: {once}")
        for place in np.flatnonzero(counts == 0):
            sample = clip(self.sample_ids[place])
            raise _fault(source, int(self.folds[place]), f"sample {sample} has no prediction: {once}")
        for row in np.flatnonzero(folds != self.folds[places]):
            expected = self.folds[places[row]]
            why = f"sample {clip(samples[row])} is predicted in fold {folds[row]}, folds.parquet puts it in {expected}"
            raise _contradicts(source, int(folds[row]), why)
        labels = list(self.instrument.labels)
        if absent := [label for label in labels if label not in predictions.columns]:
            raise _fault(source, 0, f"there is no column {absent[0]}: expected one for each label of the instrument")
        found = predictions[labels].to_numpy(dtype=np.float32)
        # What is not a number compares as false.
        for row, column in np.argwhere(~((found >= -_ROUNDING) & (found <= 1 + _ROUNDING))):
            refuse(row, f"has {labels[column]} = {found[row, column]:g}: expected a probability, 0 to 1")
        aligned = np.empty((len(self), len(labels)), dtype=np.float32)
        aligned[places] = found
        return aligned


@dataclass(frozen=True)
class PredictionFiles:
    """Where the predictions of a trial's epoch lie, a file a fold: for what is said of a faulty one."""

    run: str
    trial: int
    epoch: int

    def key(self, fold: int) -> str:
        return names.prediction_key(self.run, self.trial, fold)


def _fault(source: PredictionFiles | str, fold: int, why: str) -> BadData:
    """The error of predictions, which names the file and says what to do about it."""
    if isinstance(source, str):
        return damaged(source, f"{source}: {why}")
    key = source.key(fold)
    return damaged(key, f"{key}: epoch {source.epoch}: {why}")


def _contradicts(source: PredictionFiles | str, fold: int, why: str) -> BadData:
    """The error of predictions of other images than a fold's: nobody can say which of the two files was changed."""
    where = source if isinstance(source, str) else f"{source.key(fold)}: epoch {source.epoch}"
    return BadData(f"{where}: {why}: one of the two files was changed since: put it back as it was written")


_ROUNDING = 1e-4  # of sums and products in half precision


def develop_cohort(
    index: pd.DataFrame, folds: pd.DataFrame, instrument: Instrument, source: str = "folds.parquet"
) -> Cohort:
    """The images that the folds are cut from. source: where `folds` were read.

    Raises BadData that begins with `source` where the folds and the index contradict each other."""
    known = index[index["split"] == "develop"]
    if not len(folds):
        raise damaged(source, f"{source}: no rows: expected the fold of each develop image")
    if len(twice := folds["sample_id"][folds["sample_id"].duplicated()]):
        why = f"sample {clip(twice.iloc[0])} appears twice: expected each image in one fold"
        raise damaged(source, f"{source}: {why}")
    unknown = ~folds["sample_id"].isin(known["sample_id"])
    if unknown.any():
        sample = clip(folds["sample_id"][unknown].iloc[0])
        why = f"sample {sample} is not in the develop split of the dataset's index: expected the images of that split"
        raise damaged(source, f"{source}: {why}")
    return _cohort(known.merge(folds, on="sample_id", how="inner"), instrument)


def split_cohort(index: pd.DataFrame, split: str, instrument: Instrument) -> Cohort:
    """All images of a split, as one fold: what a single model is evaluated on."""
    return _cohort(index[index["split"] == split].assign(fold=0), instrument)


def _cohort(rows: pd.DataFrame, instrument: Instrument) -> Cohort:
    def texts(name: str) -> NDArray[np.object_]:
        column = rows[name].astype(object)
        return column.where(column.notna(), None).to_numpy()

    for site in instrument.sites:
        wrong = rows[site.name].notna() & ~rows[site.name].isin(site.scores)
        if wrong.any():
            row = rows[wrong].iloc[0]
            raise BadData(
                f"index.parquet: sample {clip(row['sample_id'])}: {site.name} = {row[site.name]:g}: expected "
                f"{describe_scores(site.scores)}, or nothing"
            )
    if (strange := ~rows["view"].isin(instrument.views)).any():
        row = rows[strange].iloc[0]
        raise BadData(
            f"index.parquet: sample {clip(row['sample_id'])}: view = {clip(row['view'])}: expected one of "
            f"{', '.join(instrument.views)}"
        )
    if len(twice := rows["sample_id"][rows["sample_id"].duplicated()]):
        raise BadData(f"index.parquet: sample {clip(twice.iloc[0])} appears twice: expected one row an image")
    sites = [rows[site].to_numpy(dtype=np.float64, na_value=np.nan) for site in instrument.site_names]
    return Cohort(
        instrument=instrument,
        sample_ids=texts("sample_id"),
        folds=rows["fold"].to_numpy(dtype=np.intp),
        views=texts("view"),
        patients=texts("patient"),
        visits=texts("visit"),
        scores=np.stack(sites, axis=1),
    )
