"""The training loop: one for cached features and for images, and step for step what Keras's `fit` does.

`fit` spends most of its time on cached features on metric updates, input pipelines, and tracing anew for every fold.
Here inputs lie in memory and are gathered within the step, metrics are computed once an epoch from the probabilities
that the steps returned anyway, and a network is traced once and drawn anew for every fold.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rustk.metrics.thresholded import epoch_metrics
from rustk.training.objectives import Objective
from rustk.training.optimizer import FusedAdam
from rustk.training.seeds import draw_epoch
from rustk.training.sources import Source

COMPLETED, DIVERGED = "completed", "diverged"


@dataclass(frozen=True)
class TrainingTask:
    """What is trained on, and how. Indices count the images of the source; `validation` may be empty."""

    train: npt.NDArray[np.int32]
    validation: npt.NDArray[np.int32]
    epochs: int
    batch_size: int
    learning_rate: float
    epsilon: float
    flips: Sequence[str]  # of "horizontal" and "vertical"
    seed: int


@dataclass
class Progress:
    """A training between two epochs: what it has come to, and all that its next epoch depends on besides the variables.

    predictions: float32 [validation, labels] an epoch.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    predictions: list[npt.NDArray[np.float32]] = field(default_factory=list)
    diverged_epoch: int | None = None
    batch_sizes: list[int] = field(default_factory=list)  # of the last epoch's steps, as its tensors had them
    phases_seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "validate": 0.0, "metrics": 0.0})

    @property
    def outcome(self) -> str:
        return COMPLETED if self.diverged_epoch is None else DIVERGED


class Trainer:
    """A network with its traced steps, for any number of folds one after the other.

    extractor: what of the network lies before the head and is run on the source's inputs; None for cached features.
    Its weights are trained if `trainable`, otherwise it runs in inference mode. `labels`: float32 [images, labels].
    """

    def __init__(
        self,
        head: keras.Model,
        source: Source,
        labels: npt.NDArray[np.float32],
        objective: Objective,
        *,
        extractor: keras.Model | None = None,
        trainable: bool = False,
    ) -> None:
        if extractor is not None:
            extractor.trainable = trainable
        self.head = head
        self.objective = objective
        self.extractor = extractor
        self.source = source
        self.trainable = trainable
        self.labels = labels
        self._labels = tf.constant(labels)
        backbone_weights = extractor.trainable_weights if extractor is not None and trainable else []
        self.weights = [*backbone_weights, *head.trainable_weights]
        self.optimizer = FusedAdam()
        self.optimizer.build(self.weights)
        indices = tf.TensorSpec([None], tf.int32)
        self._train_step = tf.function(self._step, input_signature=[indices, indices], autograph=False)
        self._predict_step = tf.function(self._predict, input_signature=[indices], autograph=False)

    def _network(self, inputs: tf.Tensor, *, training: bool) -> tf.Tensor:
        if self.extractor is not None:
            inputs = self.extractor(inputs, training=training and self.trainable)
        return self.head(inputs, training=training)

    def _step(self, indices: tf.Tensor, flips: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        inputs = self.source.take(indices, flips)
        labels = tf.gather(self._labels, indices)
        with tf.GradientTape() as tape:
            logits = self._network(inputs, training=True)
            loss = tf.reduce_mean(self.objective.loss(labels, logits))
        self.optimizer.apply_fused(tape.gradient(loss, self.weights), self.weights)
        return loss, self.objective.probabilities(logits)

    def _predict(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._network(self.source.take(indices, tf.zeros_like(indices)), training=False)
        labels = tf.gather(self._labels, indices)
        return tf.reduce_mean(self.objective.loss(labels, logits)), self.objective.probabilities(logits)

    def predict(self, indices: npt.NDArray[np.int32]) -> tuple[float, npt.NDArray[np.float32]]:
        """Loss and probabilities (float32 [images, labels]) of images in inference mode."""
        batches = np.split(indices, range(self.source.predict_batch, len(indices), self.source.predict_batch))
        return _gather([self._predict_step(batch) for batch in batches])

    def train_epoch(self, task: TrainingTask, epoch: int) -> tuple[float, npt.NDArray[np.float32], list[int]]:
        """Train through all images once, in the order and with the flips of `epoch` (from 1).

        Returns the loss and the probabilities of the training images *in the epoch's order*, as they were in the steps
        (weights changing, dropout active: what `fit` reports), and the sizes of the batches.
        """
        order, drawn = draw_epoch(task.seed, epoch, len(task.train))
        flips = (drawn[:, 0] & ("horizontal" in task.flips)) + 2 * (drawn[:, 1] & ("vertical" in task.flips))
        flips = flips.astype(np.int32)
        indices = task.train[order]
        starts = range(0, len(indices), task.batch_size)
        results = [
            self._train_step(indices[at : at + task.batch_size], flips[at : at + task.batch_size]) for at in starts
        ]
        loss, probabilities = _gather(results)
        return loss, probabilities, [int(result[1].shape[0]) for result in results]

    def in_effect(self, progress: Progress) -> dict[str, Any]:
        """What the fold was trained with, as read back from the tensors, the optimizer and the layers."""
        rates = sorted({float(layer.rate) for layer in self.head.layers if isinstance(layer, keras.layers.Dropout)})
        sizes = progress.batch_sizes
        return {
            "batch_size": max(sizes, default=None),
            "last_batch_size": sizes[-1] if sizes else None,
            "steps_per_epoch": len(sizes),
            "learning_rate": self.optimizer.learning_rate_in_effect,
            "epsilon": self.optimizer.epsilon_in_effect,
            "dropout": rates[-1] if rates else 0.0,
            "optimizer": "adam",
            "trainable_parameters": int(sum(np.prod(weight.shape) for weight in self.weights)),
        }


def train(
    trainer: Trainer,
    task: TrainingTask,
    progress: Progress,
    on_epoch: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Train from where `progress` stands to its last epoch, or to the first whose loss is not finite.

    The trainer's variables must be those of that point: freshly drawn, or of a checkpoint. Without validation images
    rows have no metrics of them.
    """
    train_labels = trainer.labels[task.train]
    validation_labels = trainer.labels[task.validation]
    validates = len(validation_labels) > 0
    nothing = np.zeros_like(validation_labels)  # [0, labels]
    for epoch in range(len(progress.rows) + 1, task.epochs + 1):
        started = time.perf_counter()
        loss, probabilities, progress.batch_sizes = trainer.train_epoch(task, epoch)
        trained = time.perf_counter()
        validation_loss, predictions = trainer.predict(task.validation) if validates else (0.0, nothing)
        validated = time.perf_counter()
        if not (np.isfinite(loss) and np.isfinite(validation_loss) and np.isfinite(predictions).all()):
            progress.diverged_epoch = epoch
            break
        order, _ = draw_epoch(task.seed, epoch, len(task.train))
        measured = {"loss": loss, **epoch_metrics(train_labels[order], probabilities)}
        of_validation = {}
        if validates:
            of_validation = {"loss": validation_loss, **epoch_metrics(validation_labels, predictions)}
        ended = time.perf_counter()
        progress.phases_seconds["train"] += trained - started
        progress.phases_seconds["validate"] += validated - trained
        progress.phases_seconds["metrics"] += ended - validated
        progress.rows.append(
            {
                "epoch": epoch,
                **measured,
                **{f"val_{name}": value for name, value in of_validation.items()},
                "seconds": ended - started,
            }
        )
        progress.predictions.append(predictions)
        on_epoch(progress)
    return progress


def _gather(results: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> tuple[float, npt.NDArray[np.float32]]:
    """Mean loss over all samples, and all probabilities, of batches of (mean loss, probabilities)."""
    losses = np.array([loss.numpy() for loss, _ in results], np.float64)
    probabilities = [batch.numpy() for _, batch in results]
    sizes = [len(batch) for batch in probabilities]
    return float(np.average(losses, weights=sizes)), np.concatenate(probabilities)
