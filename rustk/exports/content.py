"""What every export takes of a run: its folds and trials as plain values, each with a digest that tells a change."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from rustk.report.data.aggregate import ALL_METRICS, Aggregate, aggregate
from rustk.report.data.results import RunResults
from rustk.report.data.words import chosen_hyperparameters
from rustk.store.documents import HistoryMetadata


@dataclass(frozen=True)
class Epoch:
    """The metrics that an epoch has a finite value of, by name, and when it ended."""

    number: int
    metrics: dict[str, float]
    ended: datetime


@dataclass(frozen=True)
class FoldContent:
    """One fold that is done. digest: of its history, rows and metadata."""

    trial: int
    fold: int
    epochs: tuple[Epoch, ...]
    metadata: HistoryMetadata
    diverged_epoch: int | None
    began: datetime
    ended: datetime
    digest: str


@dataclass(frozen=True)
class TrialContent:
    """One trial with the folds it has.

    epochs: the means over its folds, with `_sd`; only of a trial that has every planned fold. dropped: the round of a
    race that dropped it. digest: of its folds', and of that.
    """

    trial: int
    hyperparameters: dict[str, Any]
    folds: tuple[FoldContent, ...]
    planned_folds: int
    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    dropped: int | None
    digest: str

    @property
    def complete(self) -> bool:
        """Whether it has every planned fold."""
        return len(self.folds) == self.planned_folds

    @property
    def ended(self) -> bool:
        """Whether no more folds will come."""
        return self.complete or self.dropped is not None


@dataclass(frozen=True)
class RunContent:
    """A run as far as it got."""

    results: RunResults
    averaged: Aggregate
    trials: tuple[TrialContent, ...]

    @property
    def digest(self) -> str:
        return digest_of([trial.digest for trial in self.trials])


def run_content(results: RunResults) -> RunContent:
    """What there is of a run; folds that are missing are left out, and their trials have no means."""
    averaged = aggregate(results, allow_partial=True)
    folds: dict[int, list[FoldContent]] = {}
    for content in _folds(results):
        folds.setdefault(content.trial, []).append(content)
    best = averaged.trials.set_index("trial")["epoch"]
    means = {int(trial): rows for trial, rows in averaged.epochs.groupby("trial")}
    trials = []
    for trial in map(int, results.trials["trial"]):
        own = tuple(folds.get(trial, ()))
        complete = len(own) == results.planned_folds
        ended = max((fold.ended for fold in own), default=_EPOCH)
        rows = means[trial].to_dict("records") if complete and trial in means else []
        # Only whole epochs are averaged, and the mean is known once the last fold has ended.
        epochs = tuple(Epoch(int(row["epoch"]), _finite(row, _MEANS), ended) for row in rows)
        trials.append(
            TrialContent(
                trial=trial,
                hyperparameters=chosen_hyperparameters(results, trial),
                folds=own,
                planned_folds=results.planned_folds,
                epochs=epochs,
                best_epoch=int(best[trial]) if epochs else None,
                dropped=results.dropped.get(trial),
                digest=digest_of([results.dropped.get(trial), *(fold.digest for fold in own)]),
            )
        )
    return RunContent(results, averaged, tuple(trials))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEANS = tuple(name for metric in ALL_METRICS for name in (metric, f"{metric}_sd"))
_ROWS = (*ALL_METRICS, "seconds")


def _folds(results: RunResults) -> Iterator[FoldContent]:
    by_fold = {(int(t), int(f)): rows for (t, f), rows in results.histories.groupby(["trial", "fold"], sort=True)}
    for (trial, fold), metadata in sorted(results.fold_metadata.items()):
        rows = by_fold[trial, fold].to_dict("records") if (trial, fold) in by_fold else []
        seconds = [row["seconds"] if np.isfinite(row["seconds"]) else 0.0 for row in rows]
        # A history of others may not say when its fold ended: the epochs then begin at the beginning of time.
        ended = metadata.ended_at.astimezone(UTC) if metadata.ended_at else _EPOCH + timedelta(seconds=sum(seconds))
        began = ended - timedelta(seconds=sum(seconds))
        epochs = tuple(
            Epoch(int(row["epoch"]), _finite(row, _ROWS), began + timedelta(seconds=float(passed)))
            for row, passed in zip(rows, np.cumsum(seconds), strict=True)
        )
        told = [metadata.model_dump_json(), *([epoch.number, epoch.metrics] for epoch in epochs)]
        yield FoldContent(
            trial, fold, epochs, metadata, results.diverged.get((trial, fold)), began, ended, digest_of(told)
        )


def _finite(row: dict[Any, Any], names: tuple[str, ...]) -> dict[str, float]:
    return {name: float(row[name]) for name in names if name in row and np.isfinite(row[name])}


def flat_fields(fields: Any, path: str = "") -> list[tuple[str, Any]]:
    """Leaves of nested mappings by dotted path; lists are leaves."""
    if not isinstance(fields, dict):
        return [(path, fields)]
    return [
        leaf for name, inner in fields.items() for leaf in flat_fields(inner, f"{path}.{name}" if path else str(name))
    ]


def digest_of(value: Any) -> str:
    """sha256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
