"""One fold from the store to the store: train what was planned, write predictions and, last, the history."""

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
        checkpoint_key=names.checkpoint_key(plan.run, trial, fold),
        identity={"trial": trial, "fold": fold},
        event={"trial": trial, "fold": fold},
        start=start_of(trial, fold, study.folds.k),
    )
    trained = worker.train(training)
    _write(worker, trial, fold, training, trained)
    return _report_done(worker, trial, fold, trained.progress.outcome, trained.progress.diverged_epoch)


def _write(worker: RunWorker, trial: int, fold: int, training: Training, trained: Trained) -> None:
    run, store, study, progress = worker.plan.run, worker.store, training.study, trained.progress
    with worker.phase("write"):
        sample_ids = [worker.sample_ids[number] for number in training.validation]
        epochs = range(1, len(progress.predictions) + 1)
        predictions = encode_predictions(worker.instrument, sample_ids, progress.predictions, epochs)
        store.write(names.prediction_key(run, trial, fold), predictions)
    metadata = HistoryMetadata(
        run=run,
        study=study.name,
        trial=trial,
        fold=fold,
        outcome=progress.outcome,
        diverged_epoch=progress.diverged_epoch,
        hyperparameters={**study.hyperparameters, "epochs": study.training.epochs},
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
    store.write(names.history_key(run, trial, fold), encode_history(progress, metadata))
    store.delete(names.checkpoint_key(run, trial, fold))
    store.delete(names.failure_key(run, trial, fold))


def _report_done(worker: RunWorker, trial: int, fold: int, outcome: str, diverged_epoch: int | None) -> str:
    worker.report({"event": "done", "trial": trial, "fold": fold, "outcome": outcome, "diverged_epoch": diverged_epoch})
    return outcome
