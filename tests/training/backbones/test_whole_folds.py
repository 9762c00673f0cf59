"""A whole fold on every backbone: on cached features and through images, the same as plain Keras comes to.

LeNet alone by default, for most take ten seconds to trace; RUSTK_TEST_BACKBONES=all takes every one (.ci/run does).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rustk.datasets.reading import read_split
from rustk.store import Store, open_store
from rustk.store.datasets import read_dataset
from rustk.training.backbones import find_backbone
from rustk.training.fold import run_fold
from rustk.training.run_worker import RunWorker
from rustk.training.weights import add_weights
from rustk.vocabulary import names
from rustk.vocabulary.kinds import kinds
from rustk.vocabulary.parquet import read_parquet
from tests.instruments import MRUST
from tests.training.plain_keras import fit_fold
from tests.training.small_runs import DATASET, make_dataset, plan_run, read_history

pytestmark = pytest.mark.tensorflow

Prepare = Callable[[np.ndarray], np.ndarray]

# keras.applications's own function of each family, and its own preprocessing of RGB from 0 to 255.
APPLICATIONS: dict[str, tuple[Callable[..., keras.Model], Prepare]] = {
    "convnext_tiny": (keras.applications.ConvNeXtTiny, keras.applications.convnext.preprocess_input),
    "densenet121": (keras.applications.DenseNet121, keras.applications.densenet.preprocess_input),
    "efficientnet_v2_b0": (
        keras.applications.EfficientNetV2B0,
        keras.applications.efficientnet_v2.preprocess_input,
    ),
    "inception_v3": (keras.applications.InceptionV3, keras.applications.inception_v3.preprocess_input),
    "mobilenet_v3_small": (keras.applications.MobileNetV3Small, keras.applications.mobilenet_v3.preprocess_input),
    "resnet50": (keras.applications.ResNet50, keras.applications.resnet50.preprocess_input),
}
ASKED = os.environ.get("RUSTK_TEST_BACKBONES", "lenet")
KINDS = kinds("training/backbones")


def lenet(shape: tuple[int, int, int]) -> keras.Model:
    """Written down once more."""
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(6, 5, padding="same", activation="tanh")(inputs)
    x = keras.layers.Conv2D(16, 5, activation="tanh")(keras.layers.AveragePooling2D(2)(x))
    return keras.Model(inputs, keras.layers.AveragePooling2D(2)(x))


def plain_network(name: str, shape: tuple[int, int, int]) -> tuple[keras.Model, Prepare]:
    """A network with random weights, without anything of rustk where Keras has one, and what its inputs are."""
    if name in APPLICATIONS:
        function, prepare = APPLICATIONS[name]
        return function(include_top=False, weights=None, input_shape=shape), lambda pixels: prepare(pixels.copy())
    to_ones: Prepare = lambda pixels: pixels / 127.5 - 1  # noqa: E731
    if name == "lenet":
        return lenet(shape), to_ones
    # Not in Keras: test_efficientnet_lite0 holds the network against known answers.
    return find_backbone(name).build(shape), to_ones


def settle(network: keras.Model, inputs: np.ndarray) -> None:
    """Give batch normalisation the statistics of these images, and shifts that leave most of what lies behind it where
    activations are nearly straight.

    As it begins, what a deep network of random weights makes of images is too small or too large to tell anything; and
    where layers cut half of it off, rounding grows a thousandfold from the first layer to the last.
    """
    settings = {"momentum": keras.layers.BatchNormalization, "rate": keras.layers.Dropout}
    changed = [(layer, name) for name, kind in settings.items() for layer in network.layers if isinstance(layer, kind)]
    kept = [getattr(layer, name) for layer, name in changed]
    for layer, name in changed:
        setattr(layer, name, 0.0)
        if name == "momentum":
            layer.beta.assign(np.full(layer.beta.shape, 2.0))
    if any(name == "momentum" for _, name in changed):
        network(inputs, training=True)
    for (layer, name), value in zip(changed, kept, strict=True):
        setattr(layer, name, value)


def planned(store: Store, name: str, network: keras.Model, prepare: Prepare, folder: Path) -> dict[str, Any]:
    """What of the study's model says that network; its weights are in the store as the file that Keras writes."""
    images = read_split(store, read_dataset(store, DATASET), "develop").images
    images = np.concatenate([images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]])
    settle(network, prepare(np.repeat(images[..., None].astype(np.float32), 3, axis=-1)))
    weights = "random"
    if find_backbone(name).takes_weights:
        weights = "file"
        network.save_weights(folder / "file.weights.h5")
        add_weights(store, weights, folder / "file.weights.h5", name)
    return {"architecture": name, "weights": weights, "head": (), "dropout": 0.0}


@pytest.mark.parametrize("name", [name for name in KINDS if ASKED == "all" or name in ASKED.split(",")])
def test_a_fold_comes_to_what_plain_keras_does(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    store = open_store(str(tmp_path / "store"))
    side = find_backbone(name).smallest_side
    make_dataset(store, MRUST, shape=(side, side + 13), grain=(3, 4))
    network, prepare = plain_network(name, (side, side + 13, 3))
    model = planned(store, name, network, prepare, tmp_path)
    training = {"epochs": 2, "learning_rate": 3e-4, "epsilon": 1e-3}
    cached = plan_run(store, "cached", model=model, training=training)
    off = plan_run(store, "off", model=model, training={**training, "features": "off"})
    worker = RunWorker(store, cached)
    run_fold(worker, 0, 1)
    if not find_backbone(name).takes_weights:  # those that the seed drew
        network.set_weights(worker.extractor_of(worker.plan.study_of(0)).get_weights())
    run_fold(RunWorker(store, off), 0, 1)
    expected = fit_fold(store, cached, 1, network, prepare)
    assert expected.losses[0] != pytest.approx(expected.losses[1], abs=1e-4), "it must learn for this to say much"
    assert np.ptp(expected.predictions, axis=0).max() > 1e-2, "and tell images apart"
    for run in (cached, off):
        rows, metadata = read_history(store, run, 0, 1)
        assert metadata.features == run
        assert [row["loss"] for row in rows] == pytest.approx(expected.losses, rel=2e-5)
        assert [row["val_loss"] for row in rows] == pytest.approx(expected.val_losses, rel=2e-5)
        table = read_parquet(store.read(names.prediction_key(run, 0, 1)), run)
        predictions = np.stack([table[label].to_numpy() for label in MRUST.labels], axis=1)
        np.testing.assert_allclose(predictions[-len(expected.predictions) :], expected.predictions, atol=5e-5)
