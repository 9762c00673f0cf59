"""The folds of one Job, one after the other in one process."""

from collections.abc import Callable, Sequence
from typing import Any

from rustk.planning.batches import FoldTask
from rustk.store import Store
from rustk.training.failures import record_failure
from rustk.vocabulary import names
from rustk.vocabulary.errors import FINAL_EXIT_CODES, RustkError


def train_batch(store: Store, run: str, tasks: Sequence[FoldTask], report: Callable[[dict[str, Any]], None]) -> None:
    """Train each fold that has no history yet, in order, so that what ends the process costs one fold at most.

    A fold that trying again can't mend is noted in failures/, and the others are trained; then RustkError says which
    failed, with the exit code of the first. Any other error ends the batch at once, to be tried again.
    """
    failed: list[tuple[FoldTask, RustkError]] = []
    # TensorFlow takes seconds to load: not for what is done.
    left = [task for task in tasks if not store.exists(names.history_key(run, *task))]
    for trial, fold in tasks:
        if (trial, fold) not in left:
            report({"event": "done", "trial": trial, "fold": fold, "outcome": "was done before"})
    train = None
    for trial, fold in left:
        try:
            train = train or _prepare(store, run, report)
            train(trial, fold)
        except RustkError as error:
            if error.exit_code not in FINAL_EXIT_CODES:
                raise
            record_failure(store, run, trial, fold, error)
            report({"event": "failed", "trial": trial, "fold": fold, "exit_code": error.exit_code})
            failed.append(((trial, fold), error))
    if len(failed) == 1 and len(tasks) == 1:
        raise failed[0][1]
    if failed:
        told = "; ".join(f"trial {trial} fold {fold}: {error}" for (trial, fold), error in failed)
        exit_code = failed[0][1].exit_code
        raise RustkError(f"{len(failed)} of {len(tasks)} folds failed for good: {told}", exit_code=exit_code)


def _prepare(store: Store, run: str, report: Callable[[dict[str, Any]], None]) -> Callable[[int, int], str]:
    from rustk.training import device

    device.prepare()
    from rustk.training.fold import run_fold
    from rustk.training.run_worker import RunWorker

    worker = RunWorker(store, run, report, device.seconds_since_start())
    return lambda trial, fold: run_fold(worker, trial, fold)
