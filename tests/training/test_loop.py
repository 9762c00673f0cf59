"""The loop against Keras's own `fit`, and against itself: equal seeds, equal numbers."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from rustk.planning.sections import Training
from rustk.training import models
from rustk.training.augmentation import augmentation_of
from rustk.training.initial_weights import draw_weights
from rustk.training.loop import COMPLETED, DIVERGED, Extractor, Progress, Trainer, TrainingTask, train
from rustk.training.objectives import find_objective
from rustk.training.own_backbone import OwnBackbone
from rustk.training.seeds import derive_seed, draw_epoch
from rustk.training.sources import FLIPS, FeatureSource, ImageSource, flip, to_inputs
from rustk.vocabulary.schemas import METRICS
from tests.instruments import MRUST
from tests.training.small_networks import HEIGHT, WIDTH, make_images, make_labels, small_backbone

pytestmark = pytest.mark.tensorflow

IMAGES = 37
HEAD = (16, 8)
SHAPE = (HEIGHT, WIDTH, 3)
SEED = 11
ONEHOT = find_objective("onehot", MRUST)
EPOCHS = 3


def task(**changes: Any) -> TrainingTask:
    numbers = np.arange(IMAGES, dtype=np.int32)
    fields: dict[str, Any] = {
        "train": numbers[numbers % 3 != 0],
        "validation": numbers[numbers % 3 == 0],
        "epochs": EPOCHS,
        "batch_size": 10,
        "learning_rate": 3e-3,
        "epsilon": 1e-3,
        "flips": ("horizontal", "vertical"),
        "seed": SEED,
    }
    return TrainingTask(**fields | changes)


def make_extractor() -> keras.Model:
    return models.build_extractor(small_backbone(SHAPE, seed=5), "max")


def cached_features(extractor: keras.Model, images: np.ndarray) -> np.ndarray:
    per_flip = [
        extractor(to_inputs(flip(images, np.full(len(images), number, np.int32))), training=False).numpy()
        for number in range(len(FLIPS))
    ]
    return np.stack(per_flip, axis=1)  # [images, 4, features]


def feature_source(extractor: keras.Model, images: np.ndarray) -> FeatureSource:
    return FeatureSource(cached_features(extractor, images), {"architecture": "small", "pooling": "max"})


def make_trainer(way: str, dropout: float = 0.25, **options: Any) -> Trainer:
    """way: "cached" features of a frozen backbone, "off" (through it), or "trainable" (through it, and it learns)."""
    extractor = make_extractor()
    images, labels = make_images(IMAGES), make_labels(IMAGES)
    head = models.build_head(extractor.output.shape[-1], HEAD, dropout, ONEHOT.outputs, seed=SEED)
    if way == "cached":
        return Trainer(head, feature_source(extractor, images), labels, ONEHOT, **options)
    extractor.trainable = way == "trainable"
    return Trainer(head, ImageSource(images), labels, ONEHOT, extractor=Extractor(extractor), **options)


def run(trainer: Trainer, fold: TrainingTask) -> Progress:
    trainer.restart(fold.learning_rate, fold.epsilon, fold.backbone_rate)
    return train(trainer, fold, Progress())


def fit_with_keras(fold: TrainingTask, *, trainable: bool, dropout: float = 0.25) -> tuple[list[dict[str, float]], Any]:
    """The same fold by compile and fit, through the whole model, on images flipped with numpy."""
    extractor = make_extractor()
    extractor.trainable = trainable
    head = models.build_head(extractor.output.shape[-1], HEAD, dropout, ONEHOT.outputs, seed=SEED)
    # As the thesis wrote it: sigmoids, and a loss that Keras computes from what lies behind them.
    model = keras.Model(extractor.input, keras.layers.Activation("sigmoid")(head(extractor.output)))
    model.compile(
        optimizer=keras.optimizers.Adam(fold.learning_rate, epsilon=fold.epsilon),
        loss="binary_crossentropy",
        metrics=[
            keras.metrics.AUC(multi_label=True, num_labels=18, name="auroc"),
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
            keras.metrics.F1Score(average="macro", threshold=0.5, name="f1"),
        ],
    )
    images, labels = make_images(IMAGES), make_labels(IMAGES)

    def inputs(pixels: np.ndarray) -> np.ndarray:
        return np.repeat(pixels[..., None].astype(np.float32) / 127.5 - 1, 3, axis=-1)

    rows = []
    for epoch in range(1, fold.epochs + 1):
        order, flips = draw_epoch(fold.seed, epoch, len(fold.train))
        chosen = images[fold.train[order]].copy()
        if "horizontal" in fold.flips:
            chosen[flips[:, 0]] = chosen[flips[:, 0]][:, :, ::-1]
        if "vertical" in fold.flips:
            chosen[flips[:, 1]] = chosen[flips[:, 1]][:, ::-1]
        history = model.fit(
            inputs(chosen),
            labels[fold.train[order]],
            batch_size=fold.batch_size,
            shuffle=False,
            verbose=0,
            validation_data=(inputs(images[fold.validation]), labels[fold.validation]),
        ).history
        rows.append({name: values[0] for name, values in history.items()})
    return rows, model


def assert_same_rows(rows: Sequence[dict[str, float]], expected: Sequence[dict[str, float]], tolerance: float) -> None:
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        for name in (*METRICS, *(f"val_{name}" for name in METRICS)):
            assert row[name] == pytest.approx(other[name], abs=tolerance), (row["epoch"], name)


def test_a_frozen_backbone_trains_as_fit_does() -> None:
    fold = task()
    expected, _ = fit_with_keras(fold, trainable=False)
    assert expected[0]["loss"] != pytest.approx(expected[-1]["loss"], abs=1e-3), "it must learn for this to say much"
    for way in ("cached", "off"):
        assert_same_rows(run(make_trainer(way), fold).rows, expected, tolerance=2e-6)


def test_a_trainable_backbone_trains_as_fit_does() -> None:
    fold = task(flips=("vertical",))
    expected, model = fit_with_keras(fold, trainable=True)
    trainer = make_trainer("trainable")
    assert_same_rows(run(trainer, fold).rows, expected, tolerance=2e-5)
    mine = models.join(trainer.extractor, trainer.head)
    for weight, other in zip(mine.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-4)
    moving = [w for layer in trainer.extractor.layers for w in layer.non_trainable_weights]
    assert all(np.abs(w.numpy() - w.numpy().round()).max() > 1e-3 for w in moving), "batch statistics were taken"


def fine_tuned_trainer(*, cached_at_first: bool) -> Trainer:
    """The last two convolutions of the small backbone are trained, after epochs of the head alone."""
    extractor = make_extractor()
    images, labels = make_images(IMAGES), make_labels(IMAGES)
    features = feature_source(extractor, images) if cached_at_first else None
    OwnBackbone("tests.training.small_networks:small_backbone").freeze_all_but(extractor, 2)
    head = models.build_head(extractor.output.shape[-1], HEAD, 0.0, ONEHOT.outputs, seed=SEED)
    fine = Extractor(extractor, fine_tuned=True)
    return Trainer(head, ImageSource(images), labels, ONEHOT, extractor=fine, features=features)


def fine_tune_with_keras(fold: TrainingTask) -> tuple[list[float], keras.Model]:
    """The losses of each epoch, and the network: plain Keras with an optimizer for the head and one for the backbone,
    whose batch normalisation stays as it came."""
    extractor = make_extractor()
    head = models.build_head(extractor.output.shape[-1], HEAD, 0.0, ONEHOT.outputs, seed=SEED)
    for layer in extractor.layers:
        layer.trainable = isinstance(layer, keras.layers.Conv2D) and layer.filters in (5, 3)
    of_backbone, of_head = extractor.trainable_weights, head.trainable_weights
    first = keras.optimizers.Adam(fold.learning_rate, epsilon=fold.epsilon)
    second = keras.optimizers.Adam(fold.learning_rate * fold.backbone_rate, epsilon=fold.epsilon)
    images, labels = make_images(IMAGES), make_labels(IMAGES)
    losses = []
    for epoch in range(1, fold.epochs + 1):
        order, flips = draw_epoch(fold.seed, epoch, len(fold.train))
        pixels = flip(images[fold.train[order]], (flips[:, 0] + 2 * flips[:, 1]).astype(np.int32))
        of_batches = []
        for at in range(0, len(order), fold.batch_size):
            batch = slice(at, at + fold.batch_size)
            with tf.GradientTape() as tape:
                logits = head(extractor(to_inputs(pixels[batch]), training=False), training=True)
                wanted = labels[fold.train[order]][batch]
                loss = keras.losses.BinaryCrossentropy(from_logits=True)(wanted, logits)
            gradients = tape.gradient(loss, [*of_backbone, *of_head])
            first.apply(gradients[len(of_backbone) :], of_head)
            if epoch > fold.head_epochs:
                second.apply(gradients[: len(of_backbone)], of_backbone)
            of_batches.append((float(loss), len(wanted)))
        losses.append(sum(loss * n for loss, n in of_batches) / len(order))
    return losses, models.join(extractor, head)


def test_fine_tuning_trains_the_last_blocks_at_a_rate_of_their_own_after_the_head() -> None:
    fold = task(head_epochs=1, backbone_rate=0.1, learning_rate=1e-2)
    losses, expected = fine_tune_with_keras(fold)
    before = make_extractor().get_weights()
    for cached_at_first in (True, False):
        trainer = fine_tuned_trainer(cached_at_first=cached_at_first)
        progress = run(trainer, fold)
        assert [row["loss"] for row in progress.rows] == pytest.approx(losses, abs=2e-6)
        for weight, other in zip(
            models.join(trainer.extractor, trainer.head).get_weights(), expected.get_weights(), strict=True
        ):
            np.testing.assert_allclose(weight, other, atol=2e-5)
        moved = [not np.array_equal(a, b) for a, b in zip(trainer.extractor.get_weights(), before, strict=True)]
        # The kernels of the last two convolutions, and nothing else: no statistics, and not the first block.
        assert sum(moved) == 2
        in_effect = trainer.in_effect(progress)
        assert (in_effect["head_epochs"], in_effect["backbone_rate"]) == (1, pytest.approx(0.1))


def test_smoothed_labels_and_balanced_classes_train_as_keras_does() -> None:
    fold = task(class_weights="balanced", epochs=2)
    trainer = make_trainer("cached", 0.0, smoothing=0.2, weighs_classes=True)
    progress = run(trainer, fold)
    labels = make_labels(IMAGES)
    expected = train_with_keras(fold, compute_weights(labels[fold.train]), smoothing=0.2)
    assert [row["loss"] for row in progress.rows] == pytest.approx(expected, abs=2e-6)
    in_effect = trainer.in_effect(progress)
    assert (in_effect["label_smoothing"], in_effect["class_weights"]) == (0.2, "balanced")
    # The next training may do without.
    assert fresh_run(trainer, task()).rows != progress.rows
    assert trainer.in_effect(progress)["class_weights"] == "none"


def compute_weights(labels: np.ndarray) -> np.ndarray:
    """scikit-learn's, [2, labels]."""
    columns = [compute_class_weight("balanced", classes=np.array([0, 1]), y=column.astype(int)) for column in labels.T]
    return np.stack(columns, axis=1).astype(np.float32)


def train_with_keras(fold: TrainingTask, weights: np.ndarray, smoothing: float) -> list[float]:
    """The losses of plain Keras on the cached features, each label a sample with the weight of its class."""
    extractor = make_extractor()
    features = cached_features(extractor, make_images(IMAGES))
    head = models.build_head(features.shape[-1], HEAD, 0.0, ONEHOT.outputs, seed=SEED)
    optimizer = keras.optimizers.Adam(fold.learning_rate, epsilon=fold.epsilon)
    measure = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    labels, losses = make_labels(IMAGES), []
    for epoch in range(1, fold.epochs + 1):
        order, flips = draw_epoch(fold.seed, epoch, len(fold.train))
        chosen = fold.train[order]
        inputs = features[chosen, flips[:, 0] + 2 * flips[:, 1]]
        total = 0.0
        for at in range(0, len(chosen), fold.batch_size):
            wanted = labels[chosen[at : at + fold.batch_size]]
            of_labels = np.where(wanted == 1, weights[1], weights[0])
            with tf.GradientTape() as tape:
                logits = head(inputs[at : at + fold.batch_size], training=True)
                loss = measure(wanted.reshape(-1, 1), tf.reshape(logits, (-1, 1)), sample_weight=of_labels.reshape(-1))
            optimizer.apply(tape.gradient(loss, head.trainable_weights), head.trainable_weights)
            total += float(loss) * len(wanted)
        losses.append(total / len(chosen))
    return losses


def test_images_are_altered_as_seed_and_epoch_say() -> None:
    """Each alteration is Keras's own layer's, and one epoch sees the same whether others went before."""
    training = Training(rotation_degrees=20, shift=0.1, contrast=0.3)
    augmentation = augmentation_of(training)
    assert augmentation is not None
    assert augmentation_of(Training()) is None
    assert augmentation.in_effect == {
        "rotation_degrees": pytest.approx(20),
        "shift": pytest.approx(0.1),
        "contrast": pytest.approx(0.3),
    }
    images = to_inputs(make_images(4))
    augmentation.begin_epoch(SEED, 2)
    first = augmentation(images).numpy()
    augmentation.begin_epoch(SEED, 3)
    assert not np.array_equal(augmentation(images), first)
    augmentation.begin_epoch(SEED, 2)
    np.testing.assert_array_equal(augmentation(images), first)
    assert np.abs(first).max() <= 1
    # Each image by its own draw.
    augmentation.begin_epoch(SEED, 2)
    alike = augmentation(tf.repeat(images[:1], 4, axis=0)).numpy()
    assert len({image.tobytes() for image in alike}) == 4
    layer = keras.layers.RandomRotation(20 / 360, fill_mode="nearest", seed=0)
    only = augmentation_of(Training(rotation_degrees=20))
    assert only is not None
    only.begin_epoch(SEED, 1)
    layer.generator.state.assign([derive_seed("rotation_degrees", SEED, 1), 0])
    np.testing.assert_array_equal(only(images), layer(images, training=True))


def test_an_altered_training_repeats_itself() -> None:
    training = Training(rotation_degrees=20, shift=0.1, contrast=0.3)
    trainer = make_trainer("off", 0.0, augmentation=augmentation_of(training))
    altered = fresh_run(trainer, task(epochs=2)).rows
    for row, again in zip(altered, fresh_run(trainer, task(epochs=2)).rows, strict=True):
        assert {**row, "seconds": 0} == {**again, "seconds": 0}
    assert altered[0]["loss"] != fresh_run(make_trainer("off", 0.0), task(epochs=1)).rows[0]["loss"]


@pytest.mark.parametrize("way", ["cached", "trainable"])
def test_xla_and_bfloat16_come_to_much_the_same(way: str) -> None:
    """XLA to rounding; bfloat16, with its 8 bits of mantissa, to about 1 %."""
    fold = task(epochs=2, batch_size=24)
    expected = run(make_trainer(way, 0.0), fold).rows
    if way == "cached":  # XLA has no deterministic gradient of the small backbone's max pooling
        assert_same_rows(run(make_trainer(way, 0.0, xla=True), fold).rows, expected, tolerance=1e-4)
    with models.computing_in("bfloat16"):
        trainer = make_trainer(way, 0.0)
    assert trainer.head.layers[1].compute_dtype == "bfloat16"
    assert {weight.dtype for weight in trainer.weights} == {"float32"}
    for row, other in zip(run(trainer, fold).rows, expected, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=2e-2)
    assert keras.config.dtype_policy().name == "float32"


def test_the_whole_set_is_one_batch_or_many_and_the_metadata_tells() -> None:
    trainer = make_trainer("cached")
    progress = run(trainer, task(batch_size=10))
    assert trainer.in_effect(progress) == {
        "batch_size": 10,
        "last_batch_size": 4,
        "steps_per_epoch": 3,
        "learning_rate": pytest.approx(3e-3),
        "epsilon": pytest.approx(1e-3),
        "dropout": 0.25,
        "head": "16-8",
        "pooling": "max",
        "flips": "horizontal-vertical",
        "objective": "onehot",
        "label_smoothing": 0.0,
        "class_weights": "none",
        **{"rotation_degrees": 0.0, "shift": 0.0, "contrast": 0.0},
        "optimizer": "adam",
        "trainable_parameters": 8 * 16 + 16 + 16 * 8 + 8 + 8 * 18 + 18,
    }
    progress = run(trainer, task(batch_size=2000))
    assert trainer.in_effect(progress)["batch_size"] == 24
    assert trainer.in_effect(progress)["steps_per_epoch"] == 1


def fresh_run(trainer: Trainer, fold: TrainingTask) -> Progress:
    draw_weights(trainer.head, SEED)
    return run(trainer, fold)


def test_epsilon_and_learning_rate_take_effect_without_tracing_anew() -> None:
    """What Keras would bake into a traced step must not be: each value gives what a network of its own gives."""
    reused = make_trainer("cached")
    seen = []
    for learning_rate, epsilon in [(1e-3, 1e-7), (1e-3, 1e-1), (1e-1, 1e-1), (1e-3, 1e-7)]:
        fold = task(learning_rate=learning_rate, epsilon=epsilon)
        rows = fresh_run(reused, fold).rows
        if (learning_rate, epsilon) == (1e-3, 1e-1):
            assert_same_rows(rows, run(make_trainer("cached"), fold).rows, tolerance=0)
        assert reused.optimizer.epsilon_in_effect == pytest.approx(epsilon)
        assert reused.optimizer.learning_rate_in_effect == pytest.approx(learning_rate)
        seen.append(rows[-1]["loss"])
    assert reused._steps.train.experimental_get_tracing_count() == 1
    assert len({round(loss, 6) for loss in seen[:3]}) == 3
    assert seen[0] == seen[3]


def test_the_seed_decides_everything_random() -> None:
    trainer = make_trainer("cached")
    first = fresh_run(trainer, task()).predictions
    again = fresh_run(trainer, task()).predictions
    np.testing.assert_array_equal(first, again)
    other_order = fresh_run(trainer, task(seed=SEED + 1)).predictions
    assert not np.array_equal(first, other_order)
    draw_weights(trainer.head, SEED + 1)
    assert not np.array_equal(first, run(trainer, task()).predictions)


def test_dropout_is_in_effect() -> None:
    trainers = [make_trainer("cached", dropout=rate) for rate in (0.0, 0.25, 0.5)]
    progress = [run(trainer, task()) for trainer in trainers]
    assert len({round(one.rows[-1]["loss"], 4) for one in progress}) == 3
    assert trainers[0].in_effect(progress[0])["dropout"] == 0.0


def test_a_loss_that_is_not_finite_ends_the_fold() -> None:
    trainer = make_trainer("cached", dropout=0.0)
    progress = run(trainer, task(learning_rate=1e30, epochs=9))
    assert progress.outcome == DIVERGED
    assert progress.diverged_epoch is not None
    assert len(progress.rows) == len(progress.predictions) == progress.diverged_epoch - 1
    assert all(np.isfinite(list(row.values())).all() for row in progress.rows)
    # The next fold is none the worse for it.
    assert fresh_run(trainer, task()).outcome == COMPLETED


def test_orders_and_flips_are_fair_and_repeatable() -> None:
    order, flips = draw_epoch(3, 1, 4000)
    assert sorted(order) == list(range(4000))
    assert abs(flips.mean(axis=0) - 0.5).max() < 0.03
    assert abs((flips[:, 0] == flips[:, 1]).mean() - 0.5) < 0.03
    again, same = draw_epoch(3, 1, 4000)
    np.testing.assert_array_equal(order, again)
    np.testing.assert_array_equal(flips, same)
    for other in (draw_epoch(3, 2, 4000), draw_epoch(4, 1, 4000)):
        assert (other[0] == order).mean() < 0.01
        assert abs((other[1] == flips).mean() - 0.5) < 0.03
    assert derive_seed("fold", 1, 23) != derive_seed("fold", 12, 3)


def test_flips_are_those_of_numpy() -> None:
    images = make_images(4)
    flipped = flip(images, np.arange(4, dtype=np.int32)).numpy()
    np.testing.assert_array_equal(flipped[0], images[0])
    np.testing.assert_array_equal(flipped[1], images[1][:, ::-1])
    np.testing.assert_array_equal(flipped[2], images[2][::-1])
    np.testing.assert_array_equal(flipped[3], images[3][::-1, ::-1])
