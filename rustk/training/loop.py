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
from rustk.planning.searchable import SEARCHABLE
from rustk.planning.sections import ALTERATIONS
from rustk.training.augmentation import Augmentation
from rustk.training.objectives import Objective
from rustk.training.optimizer import FusedAdam
from rustk.training.seeds import draw_epoch
from rustk.training.sources import FeatureSource, Source

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
    head_epochs: int = 0  # of the epochs, the first ones, which train the head alone
    backbone_rate: float = 1.0  # the backbone's learning rate as a share of learning_rate
    class_weights: str = "none"  # or "balanced"


@dataclass
class Progress:
    """A training between two epochs: what it has come to, and all that its next epoch depends on besides the variables.

    predictions: float32 [validation, labels] an epoch.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    predictions: list[npt.NDArray[np.float32]] = field(default_factory=list)
    diverged_epoch: int | None = None
    batch_sizes: list[int] = field(default_factory=list)  # of the last epoch's steps, as its tensors had them
    flips: set[str] = field(default_factory=set)  # that an image had so far
    phases_seconds: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "validate": 0.0, "metrics": 0.0})

    @property
    def outcome(self) -> str:
        return COMPLETED if self.diverged_epoch is None else DIVERGED


@dataclass(frozen=True)
class Extractor:
    """What of a network lies before the head, and is run on the source's inputs. One without weights to train runs in
    inference mode, and so does one that is fine-tuned, whose batch statistics are those that it came with.

    network: images to features, those of its weights that are trained marked so. fine_tuned: whether only some are.
    """

    network: keras.Model
    fine_tuned: bool = False

    @property
    def is_trained(self) -> bool:
        return bool(self.network.trainable_weights)


@dataclass(frozen=True)
class _Steps:
    """The traced steps on one source: `train` of (indices, flips) and `predict` of indices, both to (loss,
    probabilities)."""

    source: Source
    train: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    predict: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Trainer:
    """A network with its traced steps, for any number of folds one after the other.

    extractor: None for cached features. labels: float32 [images, labels]. features: what the extractor makes of the
    source's images with the weights that every training begins with, for the epochs that train the head alone; None
    where they go through the extractor. augmentation: of training images. smoothing: of labels. weighs_classes: whether
    trainings may ask for class weights. xla: whether XLA compiles the steps. adam: for bench/regime2.py.
    """

    def __init__(
        self,
        head: keras.Model,
        source: Source,
        labels: npt.NDArray[np.float32],
        objective: Objective,
        *,
        extractor: Extractor | None = None,
        features: Source | None = None,
        augmentation: Augmentation | None = None,
        smoothing: float = 0.0,
        weighs_classes: bool = False,
        xla: bool = False,
        adam: type[FusedAdam] = FusedAdam,
    ) -> None:
        self.head = head
        self.objective = objective
        self.source = source
        self.labels = labels
        self.augmentation = augmentation
        self.smoothing = smoothing
        self.flipped: set[str] = set()  # how images of the last epoch were
        self._extractor = extractor
        self._labels = tf.constant(labels)
        self._class_weights = tf.Variable(tf.ones((2, labels.shape[1])), trainable=False) if weighs_classes else None
        self._weighed = "none"  # scores that occur equally often get weights of 1 as well
        self._xla = xla
        self._backbone_weights = extractor.network.trainable_weights if extractor is not None else []
        self.weights = [*self._backbone_weights, *head.trainable_weights]
        self.optimizer = adam()
        self.optimizer.build(head.trainable_weights)
        # Of its own: its steps are counted from its first one on.
        self.backbone_optimizer = adam()
        self.backbone_optimizer.build(self._backbone_weights)
        self._steps = self._trace(source, extractor, self._backbone_weights)
        self._head_steps = self._steps
        if features is not None:
            self._head_steps = self._trace(features, None, [])
        elif self._backbone_weights:
            self._head_steps = self._trace(source, extractor, [])

    @property
    def extractor(self) -> keras.Model | None:
        """Images to features, with the weights of now; None for cached features."""
        return None if self._extractor is None else self._extractor.network

    @property
    def variables(self) -> list[Any]:
        """All that training changes, in an order of their own: weights, moving statistics, dropout generators and
        optimizers."""
        backbone = self._extractor.network.variables if self._extractor is not None and self._backbone_weights else []
        return [*backbone, *self.head.variables, *self.optimizer.variables, *self.backbone_optimizer.variables]

    def restart(self, learning_rate: float, epsilon: float, backbone_rate: float = 1.0) -> None:
        """Forget all steps taken, and go on with these hyperparameters."""
        self.optimizer.restart(learning_rate, epsilon)
        self.backbone_optimizer.restart(learning_rate * backbone_rate, epsilon)

    def _trace(self, source: Source, extractor: Extractor | None, backbone_weights: Sequence[Any]) -> _Steps:
        """Steps that train the head and those weights of the extractor. Nothing is traced before it is called."""
        head_weights = self.head.trainable_weights
        through_training = bool(backbone_weights) and extractor is not None and not extractor.fine_tuned

        def logits_of(inputs: tf.Tensor, training: bool) -> tf.Tensor:
            if extractor is not None:
                inputs = extractor.network(inputs, training=training and through_training)
            return self.head(inputs, training=training)

        def learn(inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                logits = logits_of(inputs, training=True)
                losses = self.objective.loss(labels, logits, self.smoothing, self._class_weights)
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, [*backbone_weights, *head_weights])
            if backbone_weights:
                self.backbone_optimizer.apply_fused(gradients[: len(backbone_weights)], backbone_weights)
            self.optimizer.apply_fused(gradients[len(backbone_weights) :], head_weights)
            return loss, self.objective.probabilities(logits)

        compiled = tf.function(learn, jit_compile=True, autograph=False) if self._xla else learn

        def step(indices: tf.Tensor, flips: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            inputs = source.take(indices, flips)
            if self.augmentation is not None:
                inputs = self.augmentation(inputs)
            return compiled(inputs, tf.gather(self._labels, indices))

        def predict(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = logits_of(source.take(indices, tf.zeros_like(indices)), training=False)
            labels = tf.gather(self._labels, indices)
            return tf.reduce_mean(self.objective.loss(labels, logits)), self.objective.probabilities(logits)

        indices = tf.TensorSpec([None], tf.int32)
        return _Steps(
            source,
            tf.function(step, input_signature=[indices, indices], autograph=False),
            tf.function(predict, input_signature=[indices], autograph=False),
        )

    def _steps_of(self, task: TrainingTask, epoch: int) -> _Steps:
        return self._head_steps if epoch <= task.head_epochs else self._steps

    def predict(self, task: TrainingTask, epoch: int) -> tuple[float, npt.NDArray[np.float32]]:
        """Loss and probabilities (float32 [images, labels]) of the validation images in inference mode, after `epoch`.

        The loss is the objective's, without smoothing and class weights: comparable whatever a training asks for.
        """
        steps, indices = self._steps_of(task, epoch), task.validation
        batches = np.split(indices, range(steps.source.predict_batch, len(indices), steps.source.predict_batch))
        return _gather([steps.predict(batch) for batch in batches])

    def weigh_classes(self, task: TrainingTask) -> None:
        """Set the class weights that a training asks for, by its training images."""
        if self._class_weights is not None:
            labels = self.labels[task.train]
            balanced = task.class_weights == "balanced"
            ones = np.ones((2, labels.shape[1]), np.float32)
            self._class_weights.assign(self.objective.balanced_weights(labels) if balanced else ones)
            self._weighed = task.class_weights

    def train_epoch(self, task: TrainingTask, epoch: int) -> tuple[float, npt.NDArray[np.float32], list[int]]:
        """Train through all images once, in the order and with the flips of `epoch` (from 1).

        Returns the loss and the probabilities of the training images *in the epoch's order*, as they were in the steps
        (weights changing, dropout active: what `fit` reports), and the sizes of the batches.
        """
        order, drawn = draw_epoch(task.seed, epoch, len(task.train))
        flips = (drawn[:, 0] & ("horizontal" in task.flips)) + 2 * (drawn[:, 1] & ("vertical" in task.flips))
        flips = flips.astype(np.int32)
        if self.augmentation is not None:
            self.augmentation.begin_epoch(task.seed, epoch)
        self.flipped = {name for bit, name in enumerate(("horizontal", "vertical")) if np.any(flips >> bit & 1)}
        indices = task.train[order]
        starts = range(0, len(indices), task.batch_size)
        step = self._steps_of(task, epoch).train
        results = [step(indices[at : at + task.batch_size], flips[at : at + task.batch_size]) for at in starts]
        loss, probabilities = _gather(results)
        return loss, probabilities, [int(result[1].shape[0]) for result in results]

    def in_effect(self, progress: Progress) -> dict[str, Any]:
        """What the fold was trained with, as read back from the tensors, the optimizers and the layers."""
        rates = sorted({float(layer.rate) for layer in self.head.layers if isinstance(layer, keras.layers.Dropout)})
        # The last one's outputs are the objective's.
        dense = [layer for layer in self.head.layers if isinstance(layer, keras.layers.Dense)][:-1]
        sizes = progress.batch_sizes
        return {
            "batch_size": max(sizes, default=None),
            "last_batch_size": sizes[-1] if sizes else None,
            "steps_per_epoch": len(sizes),
            "learning_rate": self.optimizer.learning_rate_in_effect,
            "epsilon": self.optimizer.epsilon_in_effect,
            "dropout": rates[-1] if rates else 0.0,
            "label_smoothing": self.smoothing,
            "class_weights": self._weighed,
            **self._backbone_in_effect(progress),
            **(self.augmentation.in_effect if self.augmentation is not None else dict.fromkeys(ALTERATIONS, 0.0)),
            "optimizer": "adam",
            "head": SEARCHABLE["head"].encode([layer.units for layer in dense]),
            "pooling": self._pooling_in_effect,
            "flips": SEARCHABLE["flips"].encode(sorted(progress.flips)),
            "objective": type(self.objective).__module__.rpartition(".")[2],
            "trainable_parameters": int(sum(np.prod(weight.shape) for weight in self.weights)),
        }

    @property
    def _pooling_in_effect(self) -> str | None:
        if isinstance(self.source, FeatureSource):
            return self.source.made_by.get("pooling")
        last = self.extractor.layers[-1] if self.extractor is not None else None
        return "max" if isinstance(last, keras.layers.GlobalMaxPooling2D) else "flatten"

    def _backbone_in_effect(self, progress: Progress) -> dict[str, Any]:
        """Nothing of a backbone that is not trained."""
        if not self._backbone_weights:
            return {}
        steps, joint = (int(one.iterations.numpy()) for one in (self.optimizer, self.backbone_optimizer))
        return {
            "backbone_rate": self.backbone_optimizer.learning_rate_in_effect / self.optimizer.learning_rate_in_effect,
            "head_epochs": (steps - joint) // max(len(progress.batch_sizes), 1),
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
    trainer.weigh_classes(task)
    for epoch in range(len(progress.rows) + 1, task.epochs + 1):
        started = time.perf_counter()
        loss, probabilities, progress.batch_sizes = trainer.train_epoch(task, epoch)
        progress.flips |= trainer.flipped
        trained = time.perf_counter()
        validation_loss, predictions = trainer.predict(task, epoch) if validates else (0.0, nothing)
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
