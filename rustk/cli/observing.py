"""Where a run stands, on either backend: what `status`, `wait` and `runs` look at."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from rustk.cli.cluster import cluster_from
from rustk.vocabulary.errors import BadData, BadStudy

if TYPE_CHECKING:
    from datetime import datetime

    from rustk.cluster.client import Cluster
    from rustk.planning.progress import LiveFold, RunProgress
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings

FoldTask = tuple[int, int]

RunArgument = Annotated[
    str | None, typer.Argument(help="A run, or a study's name; by default the run planned last.", show_default=False)
]

# Without a watch to wake it, how often a live view looks again.
_POLL_SECONDS = 2.0


def run_name(store: "Store", run: str | None) -> str:
    """The run that is meant: by its id, by its study's name, or the one planned last. Raises BadStudy for none."""
    from rustk.store.runs import find_run, list_runs

    if run is not None:
        return find_run(store, run)
    runs = list_runs(store)
    if not runs:
        raise BadStudy(f"the store {store.url} has no runs yet: start one with `rustk submit STUDY`")
    return runs[0].run


class LiveSource(Protocol):
    """Which folds are alive, and when to look again."""

    def live_folds(self, now: "datetime") -> "list[LiveFold]":
        """Every fold that is alive, or whose Job is still there."""

    def wait(self, seconds: float) -> None:
        """Until something may have changed, at most this long."""


class RunView:
    """A run's plan and what the store knows of it; failure records are read once."""

    def __init__(self, store: "Store", run: str, source: LiveSource) -> None:
        self._store = store
        self.run = run
        self._source = source
        self._tasks = planned_tasks(store, run)
        self._submitted = _first_submitted(store, run)
        self._reasons: dict[str, str] = {}

    def progress(self) -> "RunProgress":
        """Where the run stands now. Raises StoreFailed or ClusterFailed."""
        from datetime import UTC, datetime

        from rustk.planning.progress import make_progress

        # What is alive before what is done: a fold that ends in between must not look lost.
        live = self._source.live_folds(datetime.now(UTC))
        done = dict(_fold_entries(self._store, self.run, "histories"))
        failures = self._failures()
        return make_progress(
            self.run,
            self._tasks,
            done=done,
            failures=failures,
            live=live,
            submitted=self._submitted,
            now=datetime.now(UTC),
        )

    def wait(self, seconds: float) -> None:
        """Until something may have changed, at most this long."""
        self._source.wait(seconds)

    def _failures(self) -> dict[FoldTask, str]:
        from rustk.vocabulary.errors import KeyMissing
        from rustk.vocabulary.names import failure_key

        found: dict[FoldTask, str] = {}
        for task, modified in _fold_entries(self._store, self.run, "failures"):
            key = failure_key(self.run, *task)
            known = f"{key} {modified.isoformat()}"
            if known not in self._reasons:
                with contextlib.suppress(KeyMissing):  # its fold has just been done after all
                    self._reasons[known] = _failure_reason(self._store.read(key))
            if known in self._reasons:
                found[task] = self._reasons[known]
        return found


@contextlib.contextmanager
def viewed(settings: "Settings", store: "Store", run: str, *, watched: bool) -> Iterator[RunView]:
    """A view of a run on the backend of the settings; `watched` keeps it up to date by watches of the cluster."""
    if settings.backend == "local":
        yield RunView(store, run, _Here(store.url, run))
        return
    cluster = cluster_from(settings)
    if watched:
        from rustk.cluster.watch import RunWatch

        with RunWatch(cluster, run, settings.kubernetes.gpu_resource) as watch:
            yield RunView(store, run, watch)
        return
    yield RunView(store, run, _Listed(cluster, run, settings.kubernetes.gpu_resource))


class _Here:
    """The folds in training on this machine."""

    def __init__(self, store_url: str, run: str) -> None:
        self._store_url = store_url
        self._run = run

    def live_folds(self, now: "datetime") -> "list[LiveFold]":
        from rustk.local.live import live_folds
        from rustk.planning.progress import LiveFold

        return [
            LiveFold(fold.trial, fold.fold, "running", f"epoch {fold.epoch} of {fold.epochs}")
            for fold in live_folds(self._store_url, self._run)
        ]

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, _POLL_SECONDS))


class _Listed:
    """The Jobs of a cluster, listed when asked."""

    def __init__(self, cluster: "Cluster", run: str, gpu_resource: str) -> None:
        self._cluster = cluster
        self._run = run
        self._gpu_resource = gpu_resource

    def live_folds(self, now: "datetime") -> "list[LiveFold]":
        from rustk.cluster.observe import live_folds

        return live_folds(self._cluster, self._run, self._gpu_resource, now)

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, _POLL_SECONDS))


def planned_tasks(store: "Store", run: str) -> list[FoldTask]:
    """The planned (trial, fold) pairs, trial by trial. Raises BadData where study.json does not say."""
    import json

    from rustk.vocabulary.names import run_study_key

    key = run_study_key(run)
    try:
        planned = json.loads(store.read(key))["planned"]
        return [(trial, fold) for trial in range(planned["trials"]) for fold in range(planned["folds"])]
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{key}: expected planned.trials and planned.folds, both whole numbers ({error})") from None


def _first_submitted(store: "Store", run: str) -> "datetime | None":
    """When the run was first submitted, or else planned."""
    from datetime import UTC, datetime

    from rustk.vocabulary import names

    for entry in store.list(f"{names.run_prefix(run)}submissions/"):
        with contextlib.suppress(ValueError):
            stamp = entry.key.rpartition("/")[2].removesuffix(".json")
            return datetime.strptime(stamp, "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
    key = names.run_study_key(run)
    return next((entry.modified for entry in store.list(key) if entry.key == key), None)


def _fold_entries(store: "Store", run: str, kind: str) -> "Iterator[tuple[FoldTask, datetime]]":
    from rustk.vocabulary.names import parse_fold_key, run_prefix

    for entry in store.list(f"{run_prefix(run)}{kind}/"):
        task = parse_fold_key(entry.key)
        if task is not None:
            yield task, entry.modified


def _failure_reason(record: bytes) -> str:
    import json

    try:
        fields = json.loads(record)
        return f"exit code {fields['exit_code']}: {fields['message']}"
    except (ValueError, KeyError, TypeError):
        return "its worker left a record that can't be read"
