"""Runs as they lie in a store: which there are, what was planned for one, and which of its folds are done."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rustk
from rustk.planning.plan import Plan, check_extends, read_plan
from rustk.store.base import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy, KeyMissing

FoldTask = tuple[int, int]


@dataclass(frozen=True)
class RunEntry:
    run: str
    modified: datetime  # when the run was last planned


def list_runs(store: Store) -> list[RunEntry]:
    """Every run of the store, the one planned last first."""

    def planned(run: str) -> list[RunEntry]:
        key = names.run_study_key(run)
        return [RunEntry(run, entry.modified) for entry in store.list(key) if entry.key == key]

    with ThreadPoolExecutor(8) as threads:
        found = [entry for of_run in threads.map(planned, store.folders("runs/")) for entry in of_run]
    return sorted(found, key=lambda entry: (entry.modified, entry.run), reverse=True)


def find_run(store: Store, name: str) -> str:
    """The run called `name`, or else the run of the study `name` that was planned last. Raises BadStudy for neither."""
    if store.exists(names.run_study_key(name)):
        return name
    if of_study := runs_of_study(store, name):
        return of_study[0]
    runs = [entry.run for entry in list_runs(store)]
    there = f"there are {', '.join(runs[:8])}{', ...' if len(runs) > 8 else ''}" if runs else "it has none"
    raise BadStudy(f"the store {store.url} has no run {name!r} and no run of a study of that name: {there}")


def runs_of_study(store: Store, study: str) -> list[str]:
    """The runs whose study.json names this study, whatever the runs themselves are called; planned last first."""
    runs = [entry.run for entry in list_runs(store)]
    with ThreadPoolExecutor(8) as threads:
        named = list(threads.map(lambda run: _study_name(store, run), runs))
    return [run for run, name in zip(runs, named, strict=True) if name == study]


def _study_name(store: Store, run: str) -> str | None:
    """The name of a run's study; None where study.json is damaged, which matters only to who asks for that run."""
    try:
        described = json.loads(store.read(names.run_study_key(run)))
        return str(described["study"]["name"])
    except (KeyMissing, ValueError, KeyError, TypeError):
        return None


def load_plan(store: Store, run: str) -> Plan:
    """What was planned for a run. Raises KeyMissing or BadData."""
    return read_plan(
        store.read(names.run_study_key(run)),
        store.read(names.trials_key(run)),
        store.read(names.folds_key(run)),
        run=run,
    )


def publish_plan(store: Store, plan: Plan) -> Plan:
    """Write a plan's files, or find them written; the plan that the run now has.

    A run that has more random trials than `plan` keeps them. Raises BadStudy where the run was planned otherwise.
    """
    try:
        existing = load_plan(store, plan.run)
    except KeyMissing:
        existing = None
    if existing is not None:
        check_extends(plan, existing)
        if len(existing.trials) >= len(plan.trials):
            return existing
    for key, data in plan.files().items():
        store.write(key, data)
    return plan


def done_tasks(store: Store, run: str) -> set[FoldTask]:
    """The (trial, fold) pairs whose history is in place."""
    return _tasks_below(store, f"{names.run_prefix(run)}histories/")


def failed_tasks(store: Store, run: str) -> set[FoldTask]:
    """The (trial, fold) pairs whose worker left word that it gave up."""
    return _tasks_below(store, f"{names.run_prefix(run)}failures/")


def _tasks_below(store: Store, prefix: str) -> set[FoldTask]:
    parsed = (names.parse_fold_key(entry.key) for entry in store.list(prefix))
    return {task for task in parsed if task is not None}


def record_submission(store: Store, run: str, details: Mapping[str, Any]) -> None:
    """Note that the run was submitted: when, by which rustk, and `details` (backend, image, ...)."""
    now = datetime.now(UTC)
    fields = {"submitted": now.isoformat(timespec="seconds"), "rustk": rustk.__version__, **details}
    key = names.submission_key(run, now.strftime("%Y%m%dT%H%M%S%fZ"))
    store.write(key, (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode())
