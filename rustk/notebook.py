"""Runs in a notebook: `rustk.open_run("regime2")` gives what a run produced, as DataFrames and figures."""

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from html import escape
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rustk.report.data.aggregate import MERIT, Aggregate, aggregate
from rustk.report.data.results import RunResults, load_run
from rustk.report.data.words import describe_trial
from rustk.store import Store, open_store
from rustk.store.run_list import find_run
from rustk.vocabulary.checking import clip, did_you_mean
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.settings import load_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rustk.report.page.report import Report
    from rustk.report.tables.table import Table

_SHOWN_TRIALS = 10
_PERMISSION = "rustk.open_run(..., allow_partial=True)"


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
    def best(self) -> pd.Series:
        """The best trial's row of `table`. Raises BadData as `table` does, and where no trial has a figure of merit."""
        return self.aggregate.best.copy()

    def trials_dataframe(self) -> pd.DataFrame:
        """One row a trial, in the manner of `optuna.Study.trials_dataframe`, whether the run is finished or not.

        number, value (the figure of merit, the greatest mean val_auroc over the folds; of a trial that a race dropped
        the mean over the folds that it had; NaN of one that is not whole), datetime_start and datetime_complete (UTC,
        where the histories tell), duration, params_* (searched), user_attrs_* (best_epoch, value_sd, folds,
        folds_planned, diverged_epoch, dropped_round) and state: COMPLETE, PRUNED (dropped by a race), FAIL (diverged
        before its first whole epoch), RUNNING (some folds are there) or WAITING.
        """
        averaged = aggregate(self.results, allow_partial=True).trials.sort_values("trial")
        return pd.DataFrame([self._as_optuna(row) for row in averaged.to_dict("records")])

    def predictions(self, trial: int | None = None, fold: int | None = None, epoch: int | None = None) -> pd.DataFrame:
        """Predictions of one trial; of one of its folds and of one epoch where these are given; of all trials by
        default.

        Columns: trial, fold, epoch, sample_id, and one float32 probability a label. A row takes about 150 bytes: all
        of Regime II on 2,500 images is 1.6 million rows. Raises BadStudy for a trial, fold or epoch that there is not,
        and BadData where the run was written without predictions, or the fold is not done.
        """
        trial = self._number("trial", trial, len(self.results.trials))
        fold = self._number("fold", fold, self.results.planned_folds)
        epoch = self._number("epoch", epoch)
        with_fold = {at for at, number in self.results.fold_metadata if fold in (None, number)}
        trials = sorted(with_fold) or [0] if trial is None else [trial]
        is_one = epoch is None or 0 < epoch < 2**31  # what a file can hold
        frames = [self.results.predictions(at, fold, epoch=epoch) for at in trials] if is_one else []
        if epoch is not None and not any(map(len, frames)):
            epochs = {number for at in trials for number in self.results.predictions(at, fold)["epoch"]}
            there = ", ".join(map(str, sorted(epochs))) or "none"
            raise BadStudy(f"run {self.run} has no predictions of epoch {_shown(epoch)}: the epochs there are {there}")
        return pd.concat(frames, ignore_index=True)

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of the report's figures that this run has something for."""
        return tuple(self._report.charts)

    def figure(self, name: str = "learning-curves") -> "Figure":
        """A figure of the report, as a matplotlib figure to show, change or save. Raises BadStudy for another name."""
        from rustk.report.charts.base.printing import figure_of

        if not isinstance(name, str) or name not in self._report.charts:
            raise BadStudy(f"run {self.run} has no figure {_shown(name)}: {did_you_mean(name, self.figures)}")
        return figure_of(self._report.charts[name])

    @property
    def methods(self) -> str:
        """The methods section of a paper on this run, Markdown (`rustk methods`)."""
        return self._report.methods.markdown

    def compare(self, *others: "Run") -> pd.DataFrame:
        """One row a run, this one first: its best trial's metrics, each mean over the folds and standard deviation.

        Raises BadStudy for what is no run, and BadData as `table` does.
        """
        from rustk.report.tables.comparison import comparison

        runs = (self, *_opened(others))
        floors = {run.run: run._report.floor for run in runs if run._report.floor is not None}
        return _records(comparison([run.aggregate for run in runs], floors=floors))

    def differences(self, *others: "Run") -> pd.DataFrame:
        """One row a pair of runs and figure: the paired difference over patients with its interval, and over folds by
        Nadeau and Bengio's corrected t-test (docs/evaluation.md). Raises as `compare` does."""
        from rustk.report.evaluation.comparison import compare
        from rustk.report.tables.comparison import differences

        runs = (self, *_opened(others))
        return _records(
            differences(compare([run._report.analysis for run in runs]), {run.run: run.run for run in runs})
        )

    @cached_property
    def aggregate(self) -> Aggregate:
        """Means over folds by epoch (`.epochs`) and by trial (`.trials`), to draw figures from."""
        return aggregate(self.results, allow_partial=self._allow_partial, permission=_PERMISSION)

    @cached_property
    def _report(self) -> "Report":
        """What `rustk aggregate` makes of the run, in memory; reads its predictions."""
        from rustk.report.evaluation.analysis import analyse
        from rustk.report.page.report import make_report

        return make_report(analyse(self.aggregate))

    def _number(self, name: str, value: object, count: int | None = None) -> int | None:
        """The number of a trial, fold or epoch; a row of a DataFrame has them as floats. count: how many there are.

        Raises BadStudy for what is none.
        """
        if value is None:
            return None
        expected = f"a whole number from 0 to {count - 1}" if count else "a whole number"
        if isinstance(value, float | np.floating) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise BadStudy(f"{name} = {_shown(value)}: expected {expected}")
        number = int(value)
        if count is not None and not 0 <= number < count:
            raise BadStudy(f"run {self.run} has no {name} {_shown(number)}: expected {expected}")
        return number

    def _as_optuna(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        trial, done = int(row["trial"]), int(row["folds_used"])
        known = [found for (at, _), found in self.results.fold_metadata.items() if at == trial]
        seconds = self.results.histories.loc[self.results.histories["trial"] == trial, "seconds"].sum()
        ends = [found.ended_at for found in known if found.ended_at is not None]
        dropped = self.results.dropped.get(trial)
        undefined = pd.isna(row[MERIT])
        if dropped is not None:
            state = "PRUNED"
        elif done < self.results.planned_folds:
            state = "RUNNING" if done else "WAITING"
        else:
            state = "FAIL" if undefined else "COMPLETE"
        told = state in ("COMPLETE", "PRUNED") and not undefined
        return {
            "number": trial,
            "value": float(row[MERIT]) if told else np.nan,
            "datetime_start": min(ends) - _spent(known) if ends else pd.NaT,
            "datetime_complete": max(ends) if ends and state in ("COMPLETE", "PRUNED", "FAIL") else pd.NaT,
            "duration": timedelta(seconds=float(seconds)),
            **{f"params_{name}": row[name] for name in self.results.hyperparameters},
            "user_attrs_best_epoch": row["epoch"] if told else pd.NA,
            "user_attrs_value_sd": row[f"{MERIT}_sd"] if told else np.nan,
            "user_attrs_folds": done,
            "user_attrs_folds_planned": self.results.planned_folds,
            "user_attrs_diverged_epoch": row["diverged_epoch"],
            "user_attrs_dropped_round": pd.NA if dropped is None else dropped,
            "state": state,
        }

    def _stands(self) -> str:
        done, missing = len(self.results.fold_metadata), len(self.results.missing)
        return f"{done} of {done + missing} folds"

    def _repr_html_(self) -> str:
        """The run at a glance, for Jupyter."""
        averaged = aggregate(self.results, allow_partial=True)
        head = f"<strong>{escape(self.results.title)}</strong> · run <code>{escape(self.run)}</code> · {self._stands()}"
        try:
            best = averaged.best
        except BadData:
            return f"<div><p>{head}</p><p>No trial has a figure of merit yet.</p></div>"
        chosen = escape(describe_trial(averaged, int(best["trial"])))
        partial = f" ({escape(averaged.note)})" if averaged.note else ""
        words = f"Best so far{partial}" if averaged.partial else "Best"
        sentence = (
            f"{words}: mean validation AUROC {best[MERIT]:.4f} at epoch {best['epoch']} of trial {best['trial']}"
            f"{f' ({chosen})' if chosen else ''}."
        )
        columns = ["rank", "trial", *self.results.hyperparameters, "epoch", MERIT, f"{MERIT}_sd", "note"]
        shown = averaged.trials.head(_SHOWN_TRIALS)[columns]
        more = len(averaged.trials) - len(shown)
        left = f"<p>and {more} more: <code>.table</code></p>" if more else ""
        table = shown.to_html(index=False, escape=True, na_rep="–", float_format=lambda value: f"{value:.6g}")
        return f"<div><p>{head}<br>{sentence}</p>{table}{left}</div>"

    def __repr__(self) -> str:
        return f"<run {self.run}: {self.results.title}, {self._stands()}>"


def open_run(run: str, store: str | os.PathLike[str] | Store | None = None, *, allow_partial: bool = False) -> Run:
    """Open a run by its name, or the only run of a study by the study's.

    store: a directory, s3://bucket/prefix or a store that is open; by default the one of rustk.toml and RUSTK_STORE.
    allow_partial: let `.table` average over the folds there are, when some are missing.
    Raises BadStudy for a run that is not there and for arguments of another kind, BadData for a run that is malformed,
    StoreFailed.
    """
    if not isinstance(run, str):
        raise BadStudy(f"run = {_shown(run)}: expected the name of a run or study, as `rustk runs` lists them")
    if not isinstance(allow_partial, bool):
        raise BadStudy(f"allow_partial = {_shown(allow_partial)}: expected True or False")
    if isinstance(store, os.PathLike):
        store = os.fspath(store)
    if store is not None and not isinstance(store, str | Store):
        raise BadStudy(f"store = {_shown(store)}: expected a directory, s3://bucket/prefix or a store that is open")
    if store is None or isinstance(store, str):
        settings = load_settings({"store": store})
        store = open_store(settings.store, endpoint_url=settings.s3_endpoint_url)
    return Run(load_run(store, find_run(store, run)), allow_partial=allow_partial)


def _opened(others: tuple[object, ...]) -> tuple[Run, ...]:
    """Runs to compare with. Raises BadStudy for what is none, as the name of one."""
    for other in others:
        if not isinstance(other, Run):
            name = _shown(other) if isinstance(other, str) else "'...'"
            raise BadStudy(f"{_shown(other)} is no run: expected one that is open, as rustk.open_run({name})")
    return tuple(other for other in others if isinstance(other, Run))


def _shown(value: object) -> str:
    """A value as Python writes it, on one line."""
    return repr(value) if value is None or isinstance(value, bool) else clip(value)


def _records(table: "Table") -> pd.DataFrame:
    return pd.DataFrame([row.record for row in table.rows])


def _spent(known: list[Any]) -> timedelta:
    """How long the fold took that ended first."""
    first = min((found for found in known if found.ended_at), key=lambda found: found.ended_at)
    return timedelta(seconds=sum(first.phases_seconds.values()))


def _flat(fields: Any, path: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested mappings by dotted path; lists are leaves."""
    if not isinstance(fields, dict):
        return [(path, fields)]
    return [leaf for name, inner in fields.items() for leaf in _flat(inner, f"{path}.{name}" if path else str(name))]
