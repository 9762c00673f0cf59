"""The figure of merit of trials on some folds, in many resamples of the patients."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rustk.metrics.bootstrap import multiplicities
from rustk.metrics.ranking import keras_bins
from rustk.metrics.selection import FoldFigure
from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan
from rustk.report.data.cohort import Cohort, PredictionFiles, develop_cohort
from rustk.report.data.histories import placed
from rustk.store import Store
from rustk.store.datasets import read_dataset, read_index
from rustk.store.remedies import advised, damaged
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing
from rustk.vocabulary.parquet import conform, read_parquet
from rustk.vocabulary.schemas import predictions_schema

_READERS = 8


class Resampler:
    """Resamples the out-of-fold predictions of a run's trials."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self._store = store
        self._plan = plan
        self._known: Cohort | None = None

    def figures(
        self, epochs: Mapping[int, int | None], folds: Sequence[int], *, number: int, resamples: int
    ) -> tuple[NDArray[np.float64], dict[FoldTask, str]]:
        """([trials, resamples], digests of the predictions by fold): the figure of merit on `folds`.

        epochs: at which each trial is judged, in the order of the rows; a trial without one has NaN. number: the
        round's; with the study's seed it decides the draws, the same patients for all trials. Raises BadData for
        predictions that are missing or contradict the folds.
        """
        cohort = self._cohort()
        judged = cohort.take(np.isin(cohort.folds, folds))
        seed = int(np.random.SeedSequence([self._plan.study.seed, number]).generate_state(1, np.uint64)[0])
        weights = multiplicities(judged.cluster_count, resamples, seed)
        figure = FoldFigure(judged.truth, judged.folds, judged.clusters, weights)
        digests: dict[FoldTask, str] = {}
        rows = []
        # The matrices are small: threads that share one would spend their time waiting for each other.
        with threadpool_limits(limits=1, user_api="blas"):
            for trial, epoch in epochs.items():
                if epoch is None:
                    rows.append(np.full(resamples, np.nan))
                    continue
                predicted = self._predictions(trial, epoch, folds)
                probabilities = judged.align(predicted, PredictionFiles(self._plan.run, trial, epoch))
                digests |= {
                    (trial, fold): hashlib.sha256(
                        probabilities[judged.folds == fold].astype("<f4").tobytes()
                    ).hexdigest()
                    for fold in folds
                }
                rows.append(figure.of(keras_bins(probabilities)))
        return np.stack(rows), digests

    def _cohort(self) -> Cohort:
        if self._known is None:
            plan = self._plan
            dataset = read_dataset(self._store, plan.dataset)
            if dataset.digest != plan.dataset_digest:
                raise BadData(
                    f"dataset {plan.dataset} is not the one that run {plan.run} was planned on: its race compares "
                    "predictions by the dataset's labels: put that one back"
                )
            folds = pd.DataFrame({"sample_id": list(plan.sample_ids), "fold": plan.fold_of})
            self._known = develop_cohort(
                read_index(self._store, dataset).to_pandas(), folds, plan.instrument, names.folds_key(plan.run)
            )
        return self._known

    def _predictions(self, trial: int, epoch: int, folds: Sequence[int]) -> pd.DataFrame:
        def read(fold: int) -> pa.Table:
            key = names.prediction_key(self._plan.run, trial, fold)
            try:
                with advised(key):
                    found = read_parquet(self._store.read(key), key)
                    table = conform(found, predictions_schema(self._plan.instrument), key)
            except KeyMissing as error:
                why = "search.race = bootstrap compares predictions of every fold"
                raise damaged(key, f"{error}: {why}") from None
            return placed(table.filter(pc.equal(table["epoch"], epoch)), trial, fold)

        with ThreadPoolExecutor(_READERS) as threads:
            return pa.concat_tables(threads.map(read, folds)).to_pandas()
