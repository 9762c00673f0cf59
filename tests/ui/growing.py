"""A run that grows as a real one does, without training: histories in a store, and the state that a local runner keeps
on its machine, written by the backend's own hands."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rustk.backends.base import FoldEvent
from rustk.backends.local.live import LiveFiles, only_runner
from rustk.backends.local.logs import LogBook, worker_log
from rustk.store import Store
from rustk.store.documents import Failure, HistoryMetadata, encode_document, now, write_document
from rustk.vocabulary import names
from rustk.vocabulary.parquet import encode_parquet, with_metadata
from rustk.vocabulary.schemas import HISTORY, METRICS, VAL_METRICS

RUN = "demo-0000abcd"


class Growing:
    """A run of `trials` x `folds` in a directory store, planned and not begun."""

    def __init__(
        self, store: Store, *, trials: int = 3, folds: int = 2, epochs: int = 4, run: str = RUN, **fields: Any
    ) -> None:
        self.store, self.run, self.epochs = store, run, epochs
        planned = {"trials": trials, "folds": folds, "epochs": epochs}
        study = {"name": "demo", "title": "A study <b>&</b> its demo"}
        document = {"schema": 1, "run": run, "study": study, "planned": planned, **fields}
        document.setdefault("planned_at", "2026-05-01T10:00:00Z")
        rates = pd.DataFrame({"trial": range(trials), "learning_rate": [10.0 ** -(1 + n % 5) for n in range(trials)]})
        store.write(names.trials_key(run), encode_parquet(pa.Table.from_pandas(rates, preserve_index=False)))
        store.write(names.run_study_key(run), json.dumps(document).encode())
        self.tasks = [(trial, fold) for trial in range(trials) for fold in range(folds)]

    def finish(self, trial: int, fold: int, *, level: float = 0.8) -> None:
        """A fold is done: its history is there. Its val_auroc rises to `level`."""
        self.store.write(names.history_key(self.run, trial, fold), history(self.run, trial, fold, self.epochs, level))

    def fail(self, trial: int, fold: int, message: str) -> None:
        """A fold's worker left word that it gave up."""
        failure = Failure(trial=trial, fold=fold, exit_code=65, message=message, failed_at=now())
        write_document(self.store, names.failure_key(self.run, trial, fold), failure)

    @contextlib.contextmanager
    def at_work(self) -> Iterator["Runner"]:
        """Somebody on this machine trains the run, until the end of the block."""
        with only_runner(self.store.url, self.run) as directory:
            yield Runner(self, directory)


class Runner:
    """What the process that trains a run leaves on its machine."""

    def __init__(self, grown: Growing, directory: Path) -> None:
        self._directory = directory
        self._live = LiveFiles(directory, grown.epochs)
        self._logs = LogBook(directory)
        self._live.expect(grown.tasks)

    def tell(self, kind: str, trial: int, fold: int, **details: Any) -> None:
        """An event of a worker: started, epoch, done, failed..."""
        event = FoldEvent(kind, 0, trial, fold, details)
        self._live.update(event)
        self._logs.update(event)

    def say(self, line: str) -> None:
        """A line that a worker prints."""
        with worker_log(self._directory, 0).open("a") as log:
            log.write(line + "\n")


def history(run: str, trial: int, fold: int, epochs: int, level: float) -> bytes:
    """A fold's history as a worker writes it."""
    epoch = np.arange(1, epochs + 1)
    rising = 0.5 + (level - 0.5) * epoch / epochs
    columns = {name: 1.5 - rising if name.endswith("loss") else rising for name in (*METRICS, *VAL_METRICS)}
    metadata = HistoryMetadata(
        run=run,
        trial=trial,
        fold=fold,
        outcome="completed",
        in_effect={"learning_rate": 0.001, "batch_size": 64},
        samples={"train": 200, "validation": 40},
        phases_seconds={"epochs": 12.5},
        device="CPU",
        ended_at=now(),
    )
    schema = with_metadata(HISTORY, encode_document(metadata))
    table = {"epoch": epoch, **columns, "seconds": np.full(epochs, 3.0)}
    return encode_parquet(
        pa.table({name: pa.array(table[name], schema.field(name).type) for name in schema.names}, schema=schema)
    )
