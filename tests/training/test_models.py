"""Models: their layers are the thesis's, and a seed decides all weights and nothing else."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_networks import small_backbone

from rustk.datasets.cohort import plan_cohort
from rustk.datasets.phantom import draw
from rustk.metrics.thresholded import auroc_by_label
from rustk.planning.study import Model
from rustk.training import models
from rustk.training.loop import FoldProgress, FoldTask, Trainer, train_fold
from rustk.training.sources import FeatureSource, to_inputs
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import encode_label

pytestmark = pytest.mark.tensorflow

LENET = Model(architecture="lenet", weights="random", trainable=True, pooling="flatten", head=(1024,))


def test_lenet_is_that_of_the_study() -> None:
    backbone = models.build_backbone(LENET, (28, 28, 1), seed=0)
    extractor = models.build_extractor(backbone, LENET.pooling)
    head = models.build_head(extractor.output.shape[-1], LENET.head, LENET.dropout, seed=0)
    convolutions = [layer for layer in backbone.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(c.filters, c.kernel_size, c.padding, c.activation.__name__) for c in convolutions] == [
        (6, (5, 5), "same", "tanh"),
        (16, (5, 5), "valid", "tanh"),
    ]
    # 28 -> 14 -> 10 -> 5
    assert extractor.output.shape == (None, 5 * 5 * 16)
    dense = [layer for layer in head.layers if isinstance(layer, keras.layers.Dense)]
    assert [(d.units, d.activation.__name__) for d in dense] == [(1024, "relu"), (18, "sigmoid")]


def test_the_head_has_dropout_after_each_dense_layer() -> None:
    head = models.build_head(32, (1024, 512, 256), 0.2, seed=0)
    assert [type(layer).__name__ for layer in head.layers] == ["InputLayer", *["Dense", "Dropout"] * 3, "Dense"]
    assert [layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)] == [0.2] * 3
    without = models.build_head(32, (8,), 0.0, seed=0)
    assert [type(layer).__name__ for layer in without.layers] == ["InputLayer", "Dense", "Dense"]


def test_a_seed_decides_weights_and_redrawing_forgets_what_was() -> None:
    head, same, other = (models.build_head(7, (5,), 0.5, seed) for seed in (1, 1, 2))
    for mine, theirs in zip(head.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not np.array_equal(head.get_weights()[0], other.get_weights()[0])
    inputs = np.ones((3, 7), np.float32)
    first = head(inputs, training=True).numpy()
    assert not np.array_equal(first, head(inputs, training=True).numpy()), "dropout draws anew"
    head.layers[1].kernel.assign(np.zeros((7, 5), np.float32))
    models.draw_weights(head, 1)
    np.testing.assert_array_equal(head(inputs, training=True).numpy(), first)
    # As Keras draws them: uniform within sqrt(6 / (inputs + outputs)).
    limit = np.sqrt(6 / (200 + 300))
    kernel = models.build_head(200, (300,), 0.0, seed=3).layers[1].kernel.numpy()
    assert np.abs(kernel).max() == pytest.approx(limit, rel=1e-3)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)


def test_an_architecture_of_the_users_own() -> None:
    model = Model(architecture="small_networks:small_backbone", weights="random", trainable=True)
    backbone = models.build_backbone(model, (16, 20, 1), seed=4)
    for mine, theirs in zip(backbone.get_weights(), small_backbone((16, 20, 3), 4).get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    models.redraw_backbone(backbone, model, (16, 20, 1), seed=5)
    for mine, theirs in zip(backbone.get_weights(), small_backbone((16, 20, 3), 5).get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def no_model(image_shape: Any, seed: int) -> str:
    return "a model"


def vector_model(image_shape: Any, seed: int) -> keras.Model:
    inputs = keras.Input(image_shape)
    return keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(inputs))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("no_such_module_here:f", "can't be imported: No module named 'no_such_module_here'"),
        ("small_networks:nothing", "can't be imported"),
        ("test_models:no_model", r"expected a keras.Model from \[batch, 16, 20, 3\], it returned a str"),
        ("test_models:vector_model", r"to a feature map .*, it maps \[None, 16, 20, 3\] to \[None, 3\]"),
    ],
)
def test_what_is_no_backbone_is_refused(architecture: str, message: str) -> None:
    with pytest.raises(BadStudy, match=message):
        models.build_backbone(Model(architecture=architecture, weights="random"), (16, 20, 1), seed=0)


def test_frozen_random_inception_has_features_that_a_head_learns_from() -> None:
    """What Keras's initialiser gives at this depth is below 1e-3 and all but equal for all images."""
    size, images = 96, 200
    plans = plan_cohort(images, 0)
    pixels = np.stack([draw(plan, size=size, seed=0) for plan in plans])
    labels = np.array([encode_label(plan.view, plan.scores) for plan in plans], np.float32)
    model = Model(weights="random")
    extractor = models.build_extractor(models.build_backbone(model, (size, size, 1), seed=0), "max")
    found = np.concatenate(
        [extractor(to_inputs(pixels[at : at + 40]), training=False).numpy() for at in range(0, images, 40)]
    )
    assert 0.2 < found.std() < 10
    assert 0.05 < found.mean() < 10
    assert (found.max(axis=0) == 0).mean() < 0.02, "few features are dead"
    between_images = found.std(axis=0).mean()
    assert between_images > 0.2 * found.std()

    head = models.build_head(found.shape[1], (64,), 0.0, seed=0)
    numbers = np.arange(images, dtype=np.int32)
    task = FoldTask(numbers[numbers % 3 > 0], numbers[numbers % 3 == 0], 20, 40, 1e-3, 1e-7, (), 0)
    trainer = Trainer(head, FeatureSource(np.repeat(found[:, None], 4, axis=1)), labels)
    trainer.optimizer.restart(task.learning_rate, task.epsilon)
    progress = train_fold(trainer, task, FoldProgress())
    areas = auroc_by_label(labels[task.validation], progress.predictions[-1])
    assert areas[0] > 0.7, "the view is learnt"
    assert progress.rows[-1]["loss"] < 0.8 * progress.rows[0]["loss"]


def test_a_whole_model_is_saved_and_loaded_by_keras_alone(tmp_path: Path) -> None:
    extractor = models.build_extractor(small_backbone((16, 20, 3), 1), "max")
    model = models.join(extractor, models.build_head(8, (6,), 0.3, seed=2))
    model.save(tmp_path / "model.keras")
    inputs = np.linspace(-1, 1, 2 * 16 * 20 * 3, dtype=np.float32).reshape(2, 16, 20, 3)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
