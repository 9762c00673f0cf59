"""The final model: trained on all of develop as cross-validation chose, saved whole, and tested once."""

import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rustk.planning.study import Study
from rustk.store import Store
from rustk.training import models
from rustk.training.card import describe_model, describe_test
from rustk.training.checkpoints import encode_checkpoint, read_checkpoint
from rustk.training.fold import RunWorker
from rustk.training.loop import FoldProgress, FoldTask, Trainer, train_fold
from rustk.training.predict import predict_images
from rustk.training.reading import read_split, read_split_index
from rustk.training.seal import Opening, check_seal, list_openings, open_seal
from rustk.training.seeds import derive_seed
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy, KeyMissing
from rustk.vocabulary.labels import LABELS
from rustk.vocabulary.schemas import METRICS, PREDICTIONS

Event = dict[str, Any]


@dataclass(frozen=True)
class Chosen:
    """What the final model is trained with, and what said so."""

    trial: int
    epochs: int
    by: str
    val_auroc: float | None  # the mean over folds that it was chosen for; None where somebody chose it otherwise


def train_final(
    store: Store,
    run: str,
    *,
    trial: int | None = None,
    epochs: int | None = None,
    again: str | None = None,
    report: Callable[[Event], None] = lambda event: None,
) -> dict[str, Any]:
    """Train a run's final model, open the seal, test it, and return its card (also in the store, see docs/store.md).

    Without `trial` and `epochs` they are what cross-validation chose: the trial and the epoch of the greatest mean
    val_auroc. A finished final model is not trained, and the test split not read, again, unless `again` says why; one
    that a crash interrupted goes on, its look at the test split counted once. Raises BadStudy where the seal was opened
    before, or the training diverges, and BadData for folds that are missing.
    """
    worker = RunWorker(store, run, report)
    dataset = worker.dataset
    chosen = choose(store, run, trial, epochs)
    finished = _read_card(store, run)
    openings = list_openings(store, dataset["name"])
    mine = _unfinished(openings, run, chosen, finished)
    if finished is not None and again is None and _is_of(finished, chosen):
        return finished
    if mine is None:
        check_seal(openings, dataset["name"], again)

    study = worker.plan.study.with_hyperparameters(worker.plan.trials[chosen.trial])
    seed = derive_seed("final", study.seed, chosen.trial)
    trainer, progress = _train(worker, store, study, chosen, seed)
    extractor = worker.extractor_of(study) if trainer.extractor is None else trainer.extractor
    model = models.join(extractor, trainer.head)
    saved = _encode_model(model)
    card = describe_model(
        worker.plan,
        study,
        dataset,
        read_split_index(store, dataset, "develop"),
        chosen={"trial": chosen.trial, "epochs": chosen.epochs, "by": chosen.by, "val_auroc": chosen.val_auroc},
        seed=seed,
        in_effect=trainer.in_effect(progress),
        model_sha256=hashlib.sha256(saved).hexdigest(),
    )
    # A card describes the model beside it; while there is a new model and no card, there is no final model.
    store.delete(names.model_card_key(run))
    store.write(names.model_key(run), saved)
    store.write(names.model_history_key(run), _encode_history(progress))

    opening = mine or open_seal(store, dataset, run, chosen.trial, chosen.epochs, again)
    test = read_split(store, dataset, "test")
    probabilities = predict_images(model, test.images)
    store.write(names.test_prediction_key(run), _encode_predictions(test.sample_ids, probabilities, chosen.epochs))
    card["test"] = describe_test(read_split_index(store, dataset, "test"), probabilities, study.seed)
    card["seal"] = {
        "opening": opening.number,
        "opened": opening.opened,
        "why": opening.why,
        "openings": len(list_openings(store, dataset["name"])),
    }
    store.write(names.model_card_key(run), (json.dumps(card, indent=1, sort_keys=True) + "\n").encode())
    store.delete(names.model_checkpoint_key(run))
    return card


def choose(store: Store, run: str, trial: int | None = None, epochs: int | None = None) -> Chosen:
    """The trial and number of epochs that a run's cross-validation chose, where they are not given.

    Raises BadData where folds are missing, and BadStudy for a trial that was not planned.
    """
    if trial is not None and epochs is not None:
        return Chosen(trial, epochs, "given", None)
    # pandas takes a second to import, and training does without.
    from rustk.report.aggregate import aggregate
    from rustk.report.results import load_run

    results = aggregate(load_run(store, run))
    if trial is not None and trial not in set(results.trials["trial"]):
        raise BadStudy(f"run {run} has no trial {trial}: it has {len(results.trials)}, from 0")
    row = results.best if trial is None else results.row(trial)
    if epochs is None and not np.isfinite(row["val_auroc"]):
        raise BadStudy(f"trial {trial} of run {run} has no best epoch: say how many epochs to train")
    by = "greatest mean val_auroc over the folds" if trial is None else "given trial, its best epoch"
    if epochs is not None:
        return Chosen(int(row["trial"]), epochs, f"{by}; given epochs", None)
    return Chosen(int(row["trial"]), int(row["epoch"]), by, float(row["val_auroc"]))


def _train(worker: RunWorker, store: Store, study: Study, chosen: Chosen, seed: int) -> tuple[Trainer, FoldProgress]:
    run = worker.plan.run
    trainer = worker.prepare(study, seed)
    task = FoldTask(
        train=np.arange(len(trainer.labels), dtype=np.int32),
        validation=np.zeros(0, np.int32),
        epochs=chosen.epochs,
        batch_size=study.training.batch_size,
        learning_rate=study.training.learning_rate,
        epsilon=study.training.epsilon,
        flips=study.training.flips,
        seed=seed,
    )
    identity = {"run": run, "final": chosen.trial, "epochs": chosen.epochs, "seed": seed, **worker.plan.dataset}
    key = names.model_checkpoint_key(run)
    progress = read_checkpoint(store, key, trainer, identity) if study.model.trainable else None

    def after_epoch(now: FoldProgress) -> None:
        if study.model.trainable and len(now.rows) < chosen.epochs:
            store.write(key, encode_checkpoint(trainer, now, identity))
        last = {"epoch": len(now.rows), "epochs": chosen.epochs, "loss": now.rows[-1]["loss"]}
        worker.report({"event": "epoch", **last})

    progress = train_fold(trainer, task, progress or FoldProgress(), after_epoch)
    if progress.diverged_epoch is not None:
        raise BadStudy(
            f"trial {chosen.trial} of run {run} diverged in epoch {progress.diverged_epoch} on all of develop: "
            "choose another trial, or fewer epochs"
        )
    return trainer, progress


def _read_card(store: Store, run: str) -> dict[str, Any] | None:
    try:
        card: dict[str, Any] = json.loads(store.read(names.model_card_key(run)))
    except KeyMissing:
        return None
    return card


def _is_of(card: dict[str, Any], chosen: Chosen) -> bool:
    return (card["chosen"]["trial"], card["chosen"]["epochs"]) == (chosen.trial, chosen.epochs)


def _unfinished(openings: list[Opening], run: str, chosen: Chosen, finished: dict[str, Any] | None) -> Opening | None:
    """The look at the test split that this run had taken for this very model when it was interrupted."""
    if not openings:
        return None
    last = openings[-1]
    if (last.run, last.trial, last.epochs) != (run, chosen.trial, chosen.epochs):
        return None
    return None if finished is not None and finished["seal"]["opening"] == last.number else last


def _encode_model(model: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory(prefix="rustk-model-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _encode_history(progress: FoldProgress) -> bytes:
    """The metrics of the training images by epoch; there is no validation."""
    columns = ("epoch", *METRICS, "seconds")
    return _parquet(pa.Table.from_pylist([{name: row[name] for name in columns} for row in progress.rows]))


def _encode_predictions(sample_ids: tuple[str, ...], probabilities: np.ndarray, epochs: int) -> bytes:
    columns: dict[str, Any] = {
        "epoch": np.full(len(sample_ids), epochs, np.int32),
        "sample_id": pa.array(sample_ids, pa.string()),
        **{label: probabilities[:, number] for number, label in enumerate(LABELS)},
    }
    return _parquet(pa.table(columns, schema=PREDICTIONS))


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
