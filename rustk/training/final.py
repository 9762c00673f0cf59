"""The final model: trained on all of develop as cross-validation chose, saved whole, and tested once."""

import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from rustk.datasets.reading import check_intact, read_split
from rustk.report.data.final_choice import choose
from rustk.store import Store
from rustk.store.card import CardSeal, Chosen, ModelCard
from rustk.store.datasets import read_index
from rustk.store.documents import NamedDigest, write_document
from rustk.store.seal import list_looks, may_look, open_seal
from rustk.training import models
from rustk.training.card import describe_model, describe_test
from rustk.training.control import train_control
from rustk.training.examples import delete_examples, make_examples
from rustk.training.outcome import encode_predictions, encode_training_history
from rustk.training.predict import encode_model, predict_images
from rustk.training.run_worker import RunWorker, Trained, Training
from rustk.training.seeds import derive_seed
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy


def train_final(
    store: Store,
    run: str,
    *,
    trial: int | None = None,
    epochs: int | None = None,
    again: str | None = None,
    with_images: bool = False,
    report: Callable[[dict[str, Any]], None] = lambda event: None,
) -> ModelCard:
    """Train a run's final model, open the seal, test it, and return its card (also in the store, see docs/store.md).

    Without `trial` and `epochs` they are what cross-validation chose: the trial and the epoch of the greatest mean
    val_auroc. A finished final model is not trained, and the test split not read, again, unless `again` says why; one
    that a crash interrupted goes on, its look at the test split counted once. `with_images` writes examples of the test
    split beside the model, pictures of patients (rustk.training.examples), of a finished one too. Raises BadStudy where
    the seal was opened before, or the training diverges, and BadData for folds that are missing.
    """
    worker = RunWorker(store, run, report)
    dataset = worker.dataset
    chosen = choose(store, run, trial, epochs)
    sealed = NamedDigest(name=dataset.name, digest=dataset.digest)
    standing = may_look(store, sealed, run, chosen.trial, chosen.epochs, again)
    if standing.finished is not None:
        if with_images and not store.exists(names.examples_key(run)):
            make_examples(store, run)
        return standing.finished

    # A look at a test split that can't be read would be spent for nothing.
    check_intact(store, dataset, "test")
    study = worker.plan.study_of(chosen.trial)
    seed = derive_seed("final", study.seed, chosen.trial)
    training = _training(worker, chosen, seed)
    trained = _train(worker, training, chosen)
    trainer = trained.trainer
    control = train_control(training, trained, np.array(worker.index["view"].to_pylist(), object))
    saved_control = None if control is None else encode_model(control)
    extractor = worker.extractor_of(study) if trainer.extractor is None else trainer.extractor
    saved = encode_model(models.join(extractor, trainer.head, worker.objective))
    card = describe_model(
        worker.plan,
        study,
        dataset,
        worker.index,
        chosen=chosen,
        seed=seed,
        in_effect=trained.in_effect,
        model_sha256=hashlib.sha256(saved).hexdigest(),
        shuffled_head_sha256=None if saved_control is None else hashlib.sha256(saved_control).hexdigest(),
    )
    # A card describes the model beside it; while there is a new model and no card, there is no final model.
    store.delete(names.model_card_key(run))
    delete_examples(store, run)
    store.write(names.model_key(run), saved)
    if saved_control is None:
        store.delete(names.shuffled_head_key(run))
    else:
        store.write(names.shuffled_head_key(run), saved_control)
    store.write(names.model_history_key(run), encode_training_history(trained.progress))

    opening = standing.taken or open_seal(store, dataset, run, chosen.trial, chosen.epochs, again)
    test = read_split(store, dataset, "test")
    logits = predict_images(models.join(extractor, trainer.head), test.images)
    probabilities = np.asarray(worker.objective.probabilities(keras.ops.convert_to_tensor(logits)))
    loss = float(np.mean(worker.objective.loss(keras.ops.convert_to_tensor(test.labels), logits)))
    predictions = encode_predictions(worker.instrument, test.sample_ids, [probabilities], [chosen.epochs])
    store.write(names.test_prediction_key(run), predictions)
    seal = CardSeal(
        opening=opening.number,
        opened=opening.opened,
        why=opening.why,
        openings=list_looks(store, sealed).count,
    )
    figures = describe_test(worker.instrument, read_index(store, dataset, "test"), probabilities, loss, study.seed)
    card = card.model_copy(update={"test": figures, "seal": seal})
    write_document(store, names.model_card_key(run), card)
    store.delete(names.model_checkpoint_key(run))
    if with_images:
        make_examples(store, run)
    return card


def _training(worker: RunWorker, chosen: Chosen, seed: int) -> Training:
    return Training(
        study=worker.plan.study_of(chosen.trial),
        seed=seed,
        epochs=chosen.epochs,
        train=np.arange(len(worker.fold_of), dtype=np.int32),
        validation=np.zeros(0, np.int32),
        checkpoint_key=names.model_checkpoint_key(worker.plan.run),
        identity={"final": chosen.trial, "epochs": chosen.epochs},
        event={},
    )


def _train(worker: RunWorker, training: Training, chosen: Chosen) -> Trained:
    trained = worker.train(training)
    if trained.progress.diverged_epoch is not None:
        raise BadStudy(
            f"trial {chosen.trial} of run {worker.plan.run} diverged in epoch {trained.progress.diverged_epoch} on all "
            "of develop: choose another trial, or fewer epochs"
        )
    return trained
