"""The final model: trained on all of develop as cross-validation chose, saved whole, and tested once."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from rustk.planning.study import Study
from rustk.report.final_choice import Chosen, choose
from rustk.store import Store
from rustk.training import models
from rustk.training.card import describe_model, describe_test
from rustk.training.checkpoints import encode_checkpoint, read_checkpoint
from rustk.training.fold import RunWorker
from rustk.training.loop import FoldProgress, FoldTask, Trainer, train_fold
from rustk.training.predict import predict_images
from rustk.training.reading import read_split, read_split_index
from rustk.training.seal import list_openings, may_look, open_seal
from rustk.training.seeds import derive_seed
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import LABELS
from rustk.vocabulary.schemas import METRICS, PREDICTIONS, encode_parquet

Event = dict[str, Any]


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
    standing = may_look(store, dataset["name"], run, chosen.trial, chosen.epochs, again)
    if standing.finished is not None:
        return dict(standing.finished)

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

    opening = standing.taken or open_seal(store, dataset, run, chosen.trial, chosen.epochs, again)
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


def _encode_model(model: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory(prefix="rustk-model-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _encode_history(progress: FoldProgress) -> bytes:
    """The metrics of the training images by epoch; there is no validation."""
    columns = ("epoch", *METRICS, "seconds")
    return encode_parquet(pa.Table.from_pylist([{name: row[name] for name in columns} for row in progress.rows]))


def _encode_predictions(sample_ids: tuple[str, ...], probabilities: np.ndarray, epochs: int) -> bytes:
    columns: dict[str, Any] = {
        "epoch": np.full(len(sample_ids), epochs, np.int32),
        "sample_id": pa.array(sample_ids, pa.string()),
        **{label: probabilities[:, number] for number, label in enumerate(LABELS)},
    }
    return encode_parquet(pa.table(columns, schema=PREDICTIONS))
