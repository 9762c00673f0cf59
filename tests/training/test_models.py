"""Models: their layers are the thesis's, and a seed decides all weights and nothing else."""

from pathlib import Path

import keras
import numpy as np
import pytest

from rustk.training import models
from rustk.training.backbones import find_backbone
from rustk.training.initial_weights import draw_weights
from rustk.training.objectives import find_objective
from tests.instruments import MRUST, ODD
from tests.training.small_networks import small_backbone

pytestmark = pytest.mark.tensorflow


def test_lenet_is_that_of_the_study() -> None:
    backbone = find_backbone("lenet").build((28, 28, 1))
    extractor = models.build_extractor(backbone, "flatten")
    head = models.build_head(extractor.output.shape[-1], (1024,), 0.0, len(MRUST.labels), seed=0)
    convolutions = [layer for layer in backbone.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(c.filters, c.kernel_size, c.padding, c.activation.__name__) for c in convolutions] == [
        (6, (5, 5), "same", "tanh"),
        (16, (5, 5), "valid", "tanh"),
    ]
    # 28 -> 14 -> 10 -> 5
    assert extractor.output.shape == (None, 5 * 5 * 16)
    dense = [layer for layer in head.layers if isinstance(layer, keras.layers.Dense)]
    assert [(d.units, d.activation.__name__) for d in dense] == [(1024, "relu"), (18, "linear")]


def test_the_head_has_dropout_after_each_dense_layer() -> None:
    head = models.build_head(32, (1024, 512, 256), 0.2, 18, seed=0)
    assert [type(layer).__name__ for layer in head.layers] == ["InputLayer", *["Dense", "Dropout"] * 3, "Dense"]
    assert [layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)] == [0.2] * 3
    without = models.build_head(32, (8,), 0.0, 18, seed=0)
    assert [type(layer).__name__ for layer in without.layers] == ["InputLayer", "Dense", "Dense"]


def test_a_seed_decides_weights_and_redrawing_forgets_what_was() -> None:
    head, same, other = (models.build_head(7, (5,), 0.5, 18, seed) for seed in (1, 1, 2))
    for mine, theirs in zip(head.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert not np.array_equal(head.get_weights()[0], other.get_weights()[0])
    inputs = np.ones((3, 7), np.float32)
    first = head(inputs, training=True).numpy()
    assert not np.array_equal(first, head(inputs, training=True).numpy()), "dropout draws anew"
    head.layers[1].kernel.assign(np.zeros((7, 5), np.float32))
    draw_weights(head, 1)
    np.testing.assert_array_equal(head(inputs, training=True).numpy(), first)
    # As Keras draws them: uniform within sqrt(6 / (inputs + outputs)).
    limit = np.sqrt(6 / (200 + 300))
    kernel = models.build_head(200, (300,), 0.0, 18, seed=3).layers[1].kernel.numpy()
    assert np.abs(kernel).max() == pytest.approx(limit, rel=1e-3)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)


@pytest.mark.parametrize("name", ["onehot", "masked", "soft", "corn"])
def test_a_whole_model_is_saved_and_loaded_by_keras_alone(name: str, tmp_path: Path) -> None:
    objective = find_objective(name, ODD)
    extractor = models.build_extractor(small_backbone((16, 20, 3), 1), "max")
    head = models.build_head(8, (6,), 0.3, objective.outputs, seed=2)
    model = models.join(extractor, head, objective)
    model.save(tmp_path / "model.keras")
    inputs = np.linspace(-1, 1, 2 * 16 * 20 * 3, dtype=np.float32).reshape(2, 16, 20, 3)
    loaded = keras.models.load_model(tmp_path / "model.keras")(inputs)
    np.testing.assert_array_equal(loaded, model(inputs))
    logits = models.join(extractor, head)(inputs)
    np.testing.assert_array_equal(loaded, objective.probabilities(logits))
    assert loaded.shape == (2, len(ODD.labels))
