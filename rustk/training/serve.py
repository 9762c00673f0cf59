"""Folds one after the other for the local pool: tasks come in as JSON lines, and events go out as JSON lines."""

import json
import os
import queue
import sys
import threading
from typing import IO, Any

from rustk.store import Store
from rustk.training.failures import record_failure
from rustk.vocabulary.errors import RustkError


def serve(store: Store, run: str) -> None:
    """Speak the worker protocol until stdin ends; the process ends with it, in the middle of a fold if need be.

    in: {"trial": 7, "fold": 3}. out: ready, features, epoch, done and failed events. Only events reach stdout: whatever
    else is printed goes to stderr.
    """
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()

    from rustk.training import device

    device.prepare()
    from rustk.store.runs import load_plan
    from rustk.training.fold import run_fold
    from rustk.training.run_worker import RunWorker

    worker: RunWorker | None = None
    start_seconds = device.seconds_since_start()
    _send(out, {"event": "ready"})
    while True:
        task = tasks.get()
        trial, fold = int(task["trial"]), int(task["fold"])
        try:
            if worker is None:
                worker = RunWorker(store, run, lambda event: _send(out, event), start_seconds)
            if trial >= len(worker.plan.trials):
                worker.plan = load_plan(store, run)  # a search has asked for more trials since
            run_fold(worker, trial, fold)
        except RustkError as error:
            record_failure(store, run, trial, fold, error)
            of_fold = {"trial": trial, "fold": fold}
            _send(out, {"event": "failed", **of_fold, "exit_code": error.exit_code, "message": str(error)})


def _listen(tasks: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    # The controller has gone, or wants no more; what it left unfinished it will hand out again.
    os._exit(0)


def _send(out: IO[str], event: dict[str, Any]) -> None:
    try:
        out.write(json.dumps(event) + "\n")
        out.flush()
    except BrokenPipeError:
        os._exit(0)
