"""A planned fold as plain Keras trains it: a model of `keras.Model`, compiled and fit on flipped images.

A site's loss over the images that are scored there is Keras's own loss of an output of its own, under sample weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from rustk.datasets.reading import read_split
from rustk.store import Store
from rustk.store.datasets import read_dataset
from rustk.store.runs import load_plan
from rustk.training.models import build_head
from rustk.training.objectives import find_objective
from rustk.training.objectives.soft import soft_targets
from rustk.training.seeds import derive_seed, draw_epoch, fold_seed
from rustk.vocabulary.instrument import Instrument


@dataclass(frozen=True)
class Output:
    """An output of the model: its activation and loss, what it is to be, [images, width], and what images weigh."""

    activation: str
    loss: str
    targets: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """losses, val_losses: an epoch. predictions: of the validation images after the last one, [images, labels]."""

    losses: list[float]
    val_losses: list[float]
    predictions: np.ndarray


def fit_fold(
    store: Store, run: str, fold: int, network: keras.Model, prepare: Callable[[np.ndarray], np.ndarray]
) -> Fitted:
    """Train the head of trial 0 on a frozen network.

    network: from what `prepare` makes of RGB images, float32 [images, height, width, 3] of grey levels from 0 to 255.
    """
    plan = load_plan(store, run)
    study, instrument = plan.study_of(0), plan.instrument
    model, training = study.model, study.training
    seed = fold_seed(study.seed, 0, fold)
    data = read_split(store, read_dataset(store, plan.dataset), "develop")
    planned = dict(zip(plan.sample_ids, plan.fold_of.tolist(), strict=True))
    fold_of = np.array([planned[sample_id] for sample_id in data.sample_ids])
    train, validation = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)

    network.trainable = False
    pool = keras.layers.GlobalMaxPooling2D() if model.pooling == "max" else keras.layers.Flatten()
    # What is frozen is in inference mode. Of batch normalisation Keras takes care by itself.
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    features = pool(network.output)
    ends = find_objective(model.objective, instrument).outputs
    # For the weights that the seed draws.
    head = build_head(features.shape[-1], model.head, model.dropout, ends, seed=derive_seed("head", seed))
    outputs = list(_outputs(model.objective, instrument, data.labels))
    whole = keras.Model(network.input, _activated(head(features), outputs))
    optimizer = keras.optimizers.Adam(training.learning_rate, epsilon=training.epsilon)
    # A graph of a large network takes longer to trace than these few batches take without one.
    whole.compile(optimizer, [output.loss for output in outputs], run_eagerly=True)

    def inputs(images: np.ndarray) -> np.ndarray:
        return prepare(np.repeat(images[..., None].astype(np.float32), 3, axis=-1))

    def wanted(chosen: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        return [output.targets[chosen] for output in outputs], [output.weights[chosen] for output in outputs]

    held_out = (inputs(data.images[validation]), *wanted(validation))
    losses, val_losses = [], []
    for epoch in range(1, training.epochs + 1):
        order, flips = draw_epoch(seed, epoch, len(train))
        flipped = data.images[train[order]].copy()
        for axis, name in enumerate(("horizontal", "vertical")):
            if name in training.flips:
                flipped[flips[:, axis]] = np.flip(flipped[flips[:, axis]], 2 - axis)
        targets, weights = wanted(train[order])
        history = whole.fit(
            inputs(flipped),
            targets,
            sample_weight=weights,
            batch_size=training.batch_size,
            shuffle=False,
            validation_data=held_out,
            verbose=0,
        ).history
        losses += history["loss"]
        val_losses += history["val_loss"]
    said = whole.predict(held_out[0], verbose=0)
    said = said if isinstance(said, list) else [said]
    return Fitted(losses, val_losses, _probabilities(model.objective, instrument, said))


def _activated(logits: keras.KerasTensor, outputs: list[Output]) -> list[keras.KerasTensor]:
    activated, start = [], 0
    for output in outputs:
        end = start + output.targets.shape[1]
        activated.append(keras.layers.Activation(output.activation)(logits[:, start:end]))
        start = end
    return activated


def _outputs(objective: str, instrument: Instrument, labels: np.ndarray) -> Iterator[Output]:
    everyone = np.ones(len(labels), np.float32)
    if objective == "onehot":
        yield Output("sigmoid", "binary_crossentropy", labels, everyone)
        return
    views = len(instrument.view_labels)
    if views:
        yield Output("softmax", "categorical_crossentropy", labels[:, :views], everyone)
    scored = np.stack([labels[:, columns].sum(axis=1) for columns in instrument.site_columns], axis=1)
    shares = scored / np.maximum(scored.sum(axis=1, keepdims=True), 1)  # [images, sites]
    for columns, share in zip(instrument.site_columns, shares.T, strict=True):
        of_site = labels[:, columns]
        if objective == "corn":
            rank = of_site.argmax(axis=1)
            questions = of_site.shape[1] - 1
            for question in range(questions):
                above = (rank > question).astype(np.float32)[:, None]
                yield Output("sigmoid", "binary_crossentropy", above, share * (rank >= question) / questions)
        else:
            soft = np.array(soft_targets(of_site.shape[1]), np.float32)
            targets = of_site @ soft if objective == "soft" else of_site
            yield Output("softmax", "categorical_crossentropy", targets, share)


def _probabilities(objective: str, instrument: Instrument, said: list[np.ndarray]) -> np.ndarray:
    """[images, labels] of what the model's outputs say."""
    if objective != "corn":
        return np.concatenate(said, axis=1)
    views = 1 if instrument.view_labels else 0
    parts, rest = said[:views], said[views:]
    for site in instrument.sites:
        questions = len(site.scores) - 1
        given = np.concatenate(rest[:questions], axis=1)
        rest = rest[questions:]
        above = np.cumprod(np.pad(given, ((0, 0), (1, 0)), constant_values=1), axis=1)  # [images, scores]
        parts.append(above - np.pad(above[:, 1:], ((0, 0), (0, 1))))
    return np.concatenate(parts, axis=1)
