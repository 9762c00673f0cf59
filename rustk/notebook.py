"""Runs in a notebook: `rustk.open_run("regime2")` gives what a run produced, as DataFrames."""

from functools import cached_property
from typing import Any

import pandas as pd

from rustk.report.data.aggregate import Aggregate, aggregate
from rustk.report.data.results import RunResults, load_run
from rustk.store import Store, open_store
from rustk.store.runs import find_run
from rustk.vocabulary.settings import load_settings


class Run:
    """One run. Histories are in memory; predictions are read when they are asked for.

    Every DataFrame is a copy: changing it changes nothing here.
    """

    def __init__(self, results: RunResults, *, allow_partial: bool = False) -> None:
        self.results = results
        self._allow_partial = allow_partial

    @property
    def run(self) -> str:
        """The run's id."""
        return self.results.run

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: trial, and a column for each searched hyperparameter."""
        return self.results.trials.copy()

    @property
    def histories(self) -> pd.DataFrame:
        """One row a trial, fold and epoch: the ten metrics and seconds (docs/store.md)."""
        return self.results.histories.copy()

    @property
    def folds(self) -> pd.DataFrame:
        """One row an image: sample_id and the fold in which it validates. Empty where the run does not say."""
        found = self.results.folds
        return pd.DataFrame({"sample_id": [], "fold": []}) if found is None else found.copy()

    @property
    def study(self) -> pd.DataFrame:
        """study.json, one row a field: field (as `study.training.batch_size`) and value."""
        return pd.DataFrame(
            _flat(self.results.study.model_dump(mode="json", by_alias=True)), columns=["field", "value"]
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row a trial, best first: its best epoch, each metric's mean over folds there and standard deviation.

        The columns are those of `rustk.report.data.aggregate.Aggregate.trials`, and of all-trials.csv in the report.
        Raises BadData that names the missing folds, unless the run was opened with `allow_partial`.
        """
        return self.aggregate.trials.copy()

    @property
    def predictions(self) -> pd.DataFrame:
        """Every prediction of every trial, fold and epoch; `predictions_of` reads less.

        Columns: trial, fold, epoch, sample_id, and one float32 probability a label. A row takes about 150 bytes: Regime
        II on 2,500 images has 1.6 million rows. Raises BadData where the run was written without predictions.
        """
        done = sorted({trial for trial, _ in self.results.fold_metadata})
        if not done:
            return self.results.predictions(0)
        return pd.concat([self.results.predictions(trial) for trial in done], ignore_index=True)

    def predictions_of(self, trial: int, fold: int | None = None, epoch: int | None = None) -> pd.DataFrame:
        """Predictions of one trial; of one of its folds and of one epoch where these are given. Raises BadData."""
        return self.results.predictions(trial, fold, epoch=epoch)

    @cached_property
    def aggregate(self) -> Aggregate:
        """Means over folds by epoch (`.epochs`) and by trial (`.trials`), to draw figures from."""
        return aggregate(self.results, allow_partial=self._allow_partial)

    def __repr__(self) -> str:
        done, missing = len(self.results.fold_metadata), len(self.results.missing)
        return f"<run {self.run}: {self.results.title}, {done} of {done + missing} folds>"


def open_run(run: str, store: str | Store | None = None, *, allow_partial: bool = False) -> Run:
    """Open a run by its name, or the only run of a study by the study's.

    store: a directory, s3://bucket/prefix or a store that is open; by default the one of rustk.toml and RUSTK_STORE.
    allow_partial: let `.table` average over the folds there are, when some are missing.
    Raises BadStudy for a run that is not there, BadData for one that is malformed, StoreFailed.
    """
    if store is None or isinstance(store, str):
        settings = load_settings({"store": store})
        store = open_store(settings.store, endpoint_url=settings.s3_endpoint_url)
    return Run(load_run(store, find_run(store, run)), allow_partial=allow_partial)


def _flat(fields: Any, path: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested mappings by dotted path; lists are leaves."""
    if not isinstance(fields, dict):
        return [(path, fields)]
    return [leaf for name, inner in fields.items() for leaf in _flat(inner, f"{path}.{name}" if path else str(name))]
