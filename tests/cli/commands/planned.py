"""Runs that are planned, and in part done, without anything that was trained."""

import json

from rustk.store import Store
from rustk.store.documents import Failure, write_document
from rustk.vocabulary import names


def plan(
    store: Store, run: str, *, trials: int = 2, done: int = 0, failed: str | None = None, planned_at: str | None = None
) -> None:
    """A run of so many trials of 3 folds, of which the first ones are done, and perhaps the last one failed."""
    described = {
        "run": run,
        "study": {"name": run.rpartition("-")[0] or run},
        "dataset": {"name": "phantom"},
        "planned": {"trials": trials, "folds": 3},
        "planned_at": planned_at,
    }
    store.write(names.run_study_key(run), json.dumps(described).encode())
    for number in range(done):
        store.write(names.history_key(run, number // 3, number % 3), b"history")
    if failed:
        record = Failure(trial=trials - 1, fold=2, exit_code=65, message=failed)
        write_document(store, names.failure_key(run, trials - 1, 2), record)
