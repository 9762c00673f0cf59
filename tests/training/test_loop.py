"""The loop against Keras's own `fit`, and against itself: equal seeds, equal numbers."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest

from rustk.training import models
from rustk.training.initial_weights import draw_weights
from rustk.training.loop import COMPLETED, DIVERGED, Progress, Trainer, TrainingTask, train
from rustk.training.objectives import find_objective
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


def make_trainer(way: str, dropout: float = 0.25) -> Trainer:
    """way: "cached" features of a frozen backbone, "off" (through it), or "trainable" (through it, and it learns)."""
    extractor = make_extractor()
    images, labels = make_images(IMAGES), make_labels(IMAGES)
    head = models.build_head(extractor.output.shape[-1], HEAD, dropout, ONEHOT.outputs, seed=SEED)
    if way == "cached":
        return Trainer(head, FeatureSource(cached_features(extractor, images)), labels, ONEHOT)
    return Trainer(head, ImageSource(images), labels, ONEHOT, extractor=extractor, trainable=way == "trainable")


def run(trainer: Trainer, fold: TrainingTask) -> Progress:
    trainer.optimizer.restart(fold.learning_rate, fold.epsilon)
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


@pytest.mark.parametrize(("batch_size", "flips"), [(10, ("horizontal", "vertical")), (64, ("vertical",))])
def test_a_frozen_backbone_trains_as_fit_does(batch_size: int, flips: tuple[str, ...]) -> None:
    fold = task(batch_size=batch_size, flips=flips)
    expected, _ = fit_with_keras(fold, trainable=False)
    assert expected[0]["loss"] != pytest.approx(expected[-1]["loss"], abs=1e-3), "it must learn for this to say much"
    for way in ("cached", "off"):
        assert_same_rows(run(make_trainer(way), fold).rows, expected, tolerance=2e-6)


def test_a_trainable_backbone_trains_as_fit_does() -> None:
    fold = task()
    expected, model = fit_with_keras(fold, trainable=True)
    trainer = make_trainer("trainable")
    assert_same_rows(run(trainer, fold).rows, expected, tolerance=2e-5)
    mine = models.join(trainer.extractor, trainer.head)
    for weight, other in zip(mine.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-4)
    moving = [w for layer in trainer.extractor.layers for w in layer.non_trainable_weights]
    assert all(np.abs(w.numpy() - w.numpy().round()).max() > 1e-3 for w in moving), "batch statistics were taken"


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
            expected, _ = fit_with_keras(fold, trainable=False)
            assert_same_rows(rows, expected, tolerance=2e-5)
        assert reused.optimizer.epsilon_in_effect == pytest.approx(epsilon)
        assert reused.optimizer.learning_rate_in_effect == pytest.approx(learning_rate)
        seen.append(rows[-1]["loss"])
    assert reused._train_step.experimental_get_tracing_count() == 1
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
