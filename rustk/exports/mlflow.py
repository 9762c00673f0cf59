"""A run in MLflow: one of its runs a trial, with a child a fold, and one for the report and the final model.

What an MLflow run stands for is in its tags (`rustk.run`, `rustk.kind`, `rustk.trial`, `rustk.fold`), and
`rustk.digest`, written last, says that it is whole and of which history. So an export can be broken off and repeated:
what is whole and up to date stays as it is, what is not is made anew.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rustk.exports.content import Epoch, FoldContent, RunContent, TrialContent, digest_of, flat_fields
from rustk.exports.tracking_address import EXPECTED, check_address, is_database
from rustk.store.base import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BackendFailed, BadStudy

_DIGEST = "rustk.digest"
_PARENT = "mlflow.parentRunId"
# What one request may hold (docs: REST API, log-batch).
_METRICS_AT_ONCE = 1000
_PARAMS_AT_ONCE = 100
_LONGEST_VALUE = 500
# To connect to a database. MLflow tries ten times, which takes two minutes in silence.
_MOST_TRIES = 4


@dataclass(frozen=True)
class Exported:
    """What an export did: how many MLflow runs it made (anew, those that had changed) and how many were up to date."""

    experiment: str
    made: int
    kept: int
    report: bool  # whether the run has a report in the store
    model: bool


def export_mlflow(
    store: Store,
    content: RunContent,
    tracking_uri: str,
    experiment: str | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Bring an MLflow server, or `sqlite:///FILE`, up to date with a run of the store.

    experiment: by default the study's name. tell: called with (done, total) MLflow runs. Raises BadStudy where MLflow
    is not installed and for an address that can't be one, BackendFailed where it can't be reached or refuses.
    """
    check_address(tracking_uri, store.url)
    with _refusals(tracking_uri):
        return _Export(store, content, tracking_uri, experiment or content.results.name, tell).run()


class _Export:
    def __init__(
        self, store: Store, content: RunContent, uri: str, experiment: str, tell: Callable[[int, int], None]
    ) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        self._store = store
        self._content = content
        self._run = content.results.run
        self._experiment = experiment
        self._tell = tell
        self._done = self._made = 0
        self._total = 1 + sum(1 + len(trial.folds) for trial in content.trials)

    def run(self) -> Exported:
        found = self._client.get_experiment_by_name(self._experiment)
        self._experiment_id = self._client.create_experiment(self._experiment) if found is None else found.experiment_id
        self._there = self._known()
        for trial in self._content.trials:
            parent = self._trial(trial)
            for fold in trial.folds:
                self._fold(fold, parent)
        files = self._files()
        self._report(files)
        self._drop_leftovers()
        return Exported(
            self._experiment,
            made=self._made,
            kept=self._done - self._made,
            report=any(path.startswith("report/") for path in files),
            model=any(path.startswith("model/") for path in files),
        )

    def _known(self) -> dict[str, list[Any]]:
        """The MLflow runs of this run that are there, by what they stand for."""
        there: dict[str, list[Any]] = {}
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], f"tags.`rustk.run` = '{self._run}'", max_results=1000, page_token=token
            )
            for run in page:
                there.setdefault(run.data.tags.get("rustk.stands_for", ""), []).append(run)
            token = page.token
            if not token:
                return there

    def _trial(self, trial: TrialContent) -> str:
        """The MLflow run of a trial, which has means once every fold is there."""
        tags = {"rustk.kind": "trial", "rustk.trial": str(trial.trial)}
        folds = f"{len(trial.folds)} of {trial.planned_folds}"
        tags |= {"rustk.folds": folds} | ({"rustk.best_epoch": str(trial.best_epoch)} if trial.best_epoch else {})
        if trial.dropped is not None:
            tags["rustk.dropped_round"] = str(trial.dropped)
        return self._bring(
            f"trial={trial.trial:04d}",
            trial.digest,
            tags,
            trial.hyperparameters,
            trial.epochs,
            began=min((fold.began for fold in trial.folds), default=None),
            ended=max((fold.ended for fold in trial.folds), default=None) if trial.ended else None,
        )

    def _fold(self, fold: FoldContent, parent: str) -> None:
        metadata = fold.metadata
        tags = {"rustk.kind": "fold", "rustk.trial": str(fold.trial), "rustk.fold": str(fold.fold), _PARENT: parent}
        tags |= {"rustk.outcome": "completed" if fold.diverged_epoch is None else "diverged"}
        if fold.diverged_epoch is not None:
            tags["rustk.diverged_epoch"] = str(fold.diverged_epoch)
        said = {"rustk.device": metadata.device, "rustk.features": metadata.features}
        tags |= {name: value for name, value in said.items() if value}
        tags |= {f"rustk.version.{name}": version for name, version in metadata.versions.items()}
        tags |= {f"rustk.digest.{name}": digest for name, digest in metadata.digests.items() if digest}
        params = {
            **metadata.hyperparameters,
            **{f"in_effect.{name}": value for name, value in metadata.in_effect.items()},
            **{f"seed.{name}": value for name, value in metadata.seeds.items()},
            **{f"samples.{name}": value for name, value in metadata.samples.items()},
        }
        name = names.fold_path(fold.trial, fold.fold)
        run_id = self._bring(name, fold.digest, tags, params, fold.epochs, began=fold.began, ended=fold.ended)
        known = self._there.get(name, [])
        if known and known[0].data.tags.get(_PARENT) != parent:
            self._client.set_tag(run_id, _PARENT, parent)  # its trial's run was made anew

    def _report(self, files: Mapping[str, bytes]) -> None:
        """The MLflow run of the whole: the study, the best figure so far, the report and the final model."""
        results, best = self._content.results, self._content.averaged.trials.iloc[0]
        digest = digest_of([self._content.digest, *((path, digest_of(data.hex())) for path, data in files.items())])
        done = len(results.fold_metadata)
        epoch = {}
        if best["val_auroc"] == best["val_auroc"]:
            epoch = {"best_val_auroc": float(best["val_auroc"]), "best_trial": float(best["trial"])}
        ends = [fold.ended for trial in self._content.trials for fold in trial.folds]
        self._bring(
            "report",
            digest,
            {"rustk.kind": "run", "rustk.folds": f"{done} of {done + len(results.missing)}"},
            dict(flat_fields(results.study.study.model_dump(mode="json"))),
            [Epoch(done, epoch, max(ends))] if epoch else [],
            began=min((fold.began for trial in self._content.trials for fold in trial.folds), default=None),
            ended=max(ends) if ends and not results.missing else None,
            files=files,
        )

    def _files(self) -> dict[str, bytes]:
        """The report as the store has it, and the final model with its card, by their path among the artifacts."""
        prefix = names.report_prefix(self._run)
        found = {f"report/{entry.key.removeprefix(prefix)}": entry.key for entry in self._store.list(prefix)}
        model = (names.model_key(self._run), names.model_card_key(self._run))
        if all(map(self._store.exists, model)):
            found |= {f"model/{key.rpartition('/')[2]}": key for key in model}
        found["study.json"] = names.run_study_key(self._run)
        return {path: self._store.read(key) for path, key in sorted(found.items())}

    def _bring(
        self,
        name: str,
        digest: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        epochs: Iterable[Epoch],
        *,
        began: datetime | None,
        ended: datetime | None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """The id of the MLflow run that stands for `name`, made anew unless it is there, whole and of this digest.

        began, ended: None while it is not known, or goes on.
        """
        self._done += 1
        current = [run for run in self._there.get(name, []) if run.data.tags.get(_DIGEST) == digest]
        for run in self._there.get(name, []):
            if not current or run is not current[0]:
                self._client.delete_run(run.info.run_id)
        if current:
            self._tell(self._done, self._total)
            return str(current[0].info.run_id)
        from mlflow.entities import Metric, Param, RunTag

        tags = {**tags, "rustk.run": self._run, "rustk.stands_for": name, "rustk.study": self._content.results.name}
        run_id = self._client.create_run(
            self._experiment_id,
            start_time=None if began is None else _milliseconds(began),
            tags={key: str(value)[:_LONGEST_VALUE] for key, value in tags.items()},
            run_name=f"{self._run} {name}",
        ).info.run_id
        written = [Param(key, _text(value)) for key, value in params.items()]
        for part in _cut(written, _PARAMS_AT_ONCE):
            self._client.log_batch(run_id, params=part)
        metrics = [
            Metric(metric, value, _milliseconds(epoch.ended), epoch.number)
            for epoch in epochs
            for metric, value in epoch.metrics.items()
        ]
        for part in _cut(metrics, _METRICS_AT_ONCE):
            self._client.log_batch(run_id, metrics=part)
        if files:
            self._upload(run_id, files)
        if ended is not None:
            self._client.set_terminated(run_id, end_time=_milliseconds(ended))
        self._client.log_batch(run_id, tags=[RunTag(_DIGEST, digest)])
        self._made += 1
        self._tell(self._done, self._total)
        return str(run_id)

    def _upload(self, run_id: str, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for path, data in files.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_bytes(data)
            self._client.log_artifacts(run_id, folder)

    def _drop_leftovers(self) -> None:
        """MLflow runs of folds that the run no longer has."""
        wanted = {"report"} | {f"trial={trial.trial:04d}" for trial in self._content.trials}
        wanted |= {names.fold_path(fold.trial, fold.fold) for trial in self._content.trials for fold in trial.folds}
        for name, runs in self._there.items():
            for run in runs if name not in wanted else ():
                self._client.delete_run(run.info.run_id)


@contextmanager
def _refusals(uri: str) -> Iterator[None]:
    """Turn whatever MLflow raises into rustk's errors, and have it give up in seconds where nobody answers."""
    for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")):
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise BadStudy(
            f"{error.name} is not installed, and `rustk export mlflow` needs it: pip install 'rustk[mlflow]'"
        ) from error
    import requests
    from sqlalchemy.exc import SQLAlchemyError

    # What it logs of a fault, at length, is in the exception too.
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    if is_database(uri):
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = _MOST_TRIES
    try:
        yield
    except ImportError as error:  # what a kind of tracking URI needs besides
        kind = uri.partition(":")[0]
        raise BadStudy(
            f"--tracking-uri {kind}:...: {error.name} is not installed, and MLflow needs it for this kind of address: "
            "install it, or give the address of a server or sqlite:///FILE"
        ) from error
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise BackendFailed(
            f"--tracking-uri {uri}: {reason}: expected a database of MLflow's, or a new file"
        ) from error
    except (MlflowException, requests.RequestException, OSError) as error:
        if "NewConnectionError" in str(error) or "NameResolutionError" in str(error):
            raise BackendFailed(f"--tracking-uri {uri}: no server answers there: start one, or correct it") from error
        raise BackendFailed(f"--tracking-uri {uri}: {error}: {EXPECTED}") from error


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _text(value: Any) -> str:
    return str(value)[:_LONGEST_VALUE]


def _cut(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
