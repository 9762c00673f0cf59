"""One fold from the store to the store: train what was planned, write predictions and, last, the history."""

from dataclasses import dataclass

import numpy as np

from rustk.store.documents import HistoryMetadata, now, parse_document
from rustk.training.device import container_image, device_name, versions
from rustk.training.features import start_of
from rustk.training.loop import COMPLETED
from rustk.training.outcome import encode_history, encode_predictions
from rustk.training.run_worker import RunWorker, Trained, Training
from rustk.training.seeds import fold_seed
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.parquet import read_metadata_bytes, read_parquet


def run_fold(worker: RunWorker, trial: int, fold: int) -> str:
    """Train one fold unless its history is in place; "completed" or "diverged".

    Raises BadStudy for a fold that was not planned, and BadData, BadStudy or StoreFailed where training can't begin
    or its results can't be kept.
    """
    plan = worker.plan
    key = names.history_key(plan.run, trial, fold)
    if worker.store.exists(key):
        found = read_metadata_bytes(read_parquet(worker.store.read(key), key).schema)
        metadata = parse_document(HistoryMetadata, found, key)
        return _report_done(worker, trial, fold, metadata.outcome or COMPLETED, metadata.diverged_epoch)
    kept = _Kept(key, names.prediction_key(plan.run, trial, fold), names.checkpoint_key(plan.run, trial, fold))
    trained = _train(worker, trial, fold, kept)
    worker.store.delete(names.failure_key(plan.run, trial, fold))
    return _report_done(worker, trial, fold, trained.progress.outcome, trained.progress.diverged_epoch)


def train_again(worker: RunWorker, trial: int, fold: int, number: int) -> str:
    """Train a fold whether it has a history or not, and keep what it comes to beside the run's own: the `number`-th
    time. Nothing is done where that is there already. Raises as `run_fold` does.
    """
    run = worker.plan.run
    kept = _Kept(
        names.redone_history_key(run, trial, fold, number),
        names.redone_prediction_key(run, trial, fold, number),
        names.redone_checkpoint_key(run, trial, fold, number),
    )
    if worker.store.exists(kept.history):
        return COMPLETED
    progress = _train(worker, trial, fold, kept).progress
    return _report_done(worker, trial, fold, progress.outcome, progress.diverged_epoch)


@dataclass(frozen=True)
class _Kept:
    """The keys that a fold's results go to."""

    history: str
    predictions: str
    checkpoint: str


def _train(worker: RunWorker, trial: int, fold: int, kept: _Kept) -> Trained:
    plan = worker.plan
    study = plan.study_of(trial)
    if fold not in range(study.folds.k):
        raise BadStudy(f"run {plan.run} has no fold {fold}: it has {study.folds.k}, counted from 0")
    seed = fold_seed(study.seed, trial, fold)
    numbers = np.arange(len(worker.fold_of), dtype=np.int32)
    training = Training(
        study=study,
        seed=seed,
        epochs=study.training.epochs,
        train=numbers[worker.fold_of != fold],
        validation=numbers[worker.fold_of == fold],
        checkpoint_key=kept.checkpoint,
        identity={"trial": trial, "fold": fold},
        event={"trial": trial, "fold": fold},
        start=start_of(trial, fold, study.folds.k),
    )
    trained = worker.train(training)
    _write(worker, trial, fold, training, trained, kept)
    return trained


def _write(worker: RunWorker, trial: int, fold: int, training: Training, trained: Trained, kept: _Kept) -> None:
    run, store, study, progress = worker.plan.run, worker.store, training.study, trained.progress
    with worker.phase("write"):
        sample_ids = [worker.sample_ids[number] for number in training.validation]
        epochs = range(1, len(progress.predictions) + 1)
        predictions = encode_predictions(worker.instrument, sample_ids, progress.predictions, epochs)
        store.write(kept.predictions, predictions)
    metadata = HistoryMetadata(
        run=run,
        study=study.name,
        trial=trial,
        fold=fold,
        outcome=progress.outcome,
        diverged_epoch=progress.diverged_epoch,
        hyperparameters={**worker.plan.hyperparameters_of(trial), "epochs": study.training.epochs},
        in_effect=trained.in_effect,
        samples={"train": len(training.train), "validation": len(training.validation)},
        seeds={"study": study.seed, "fold": training.seed},
        digests={
            "dataset": worker.dataset.digest,
            "weights": worker.plan.weights_sha256,
            "features": worker.features_digest,
            "image": container_image(),
        },
        features="cached" if trained.trainer.extractor is None else "off",
        device=device_name(),
        versions=versions(),
        phases_seconds=worker.take_phases(progress),
        ended_at=now(),
    )
    # Last, and in one put: from here on the fold is done.
    store.write(kept.history, encode_history(progress, metadata))
    store.delete(kept.checkpoint)


def _report_done(worker: RunWorker, trial: int, fold: int, outcome: str, diverged_epoch: int | None) -> str:
    worker.report({"event": "done", "trial": trial, "fold": fold, "outcome": outcome, "diverged_epoch": diverged_epoch})
    return outcome
