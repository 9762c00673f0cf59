"""Every backbone builds, takes the images that it says, and a seed decides its weights."""

import functools
import itertools
import re
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from rustk.planning.study import Model
from rustk.training import models
from rustk.training.backbones import find_backbone
from rustk.training.backbones.base import IMAGENET_OFFSET, IMAGENET_SCALE
from rustk.training.initial_weights import _initializer, leaf_layers
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.kinds import kinds

pytestmark = pytest.mark.tensorflow

KINDS = kinds("training/backbones")
APPLICATIONS = ("convnext_tiny", "densenet121", "efficientnet_v2_b0", "inception_v3", "mobilenet_v3_small", "resnet50")


@functools.cache
def built_once(name: str) -> tuple[Any, keras.Model]:
    """A backbone with a network for the smallest images that it takes, not square."""
    backbone = find_backbone(name)
    side = backbone.smallest_side
    return backbone, backbone.build((side, side + 13, 1))


@pytest.fixture(params=APPLICATIONS)
def built(request: pytest.FixtureRequest) -> tuple[Any, keras.Model]:
    return built_once(request.param)


def test_facts_need_no_keras() -> None:
    code = (
        "import sys; from rustk.training.backbones import find_backbone; from rustk.vocabulary.kinds import kinds; "
        "costs = [find_backbone(name).cost((299, 299, 1), 'max') for name in kinds('training/backbones')]; "
        "assert all(cost.multiply_adds > 0 and cost.features > 0 for cost in costs); "
        "find_backbone('mine.models:build'); "
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_costs_are_those_of_the_papers() -> None:
    inception = find_backbone("inception_v3").cost((299, 299, 1), "max")
    assert (inception.multiply_adds, inception.features) == (5.7e9, 2048)
    lenet = find_backbone("lenet").cost((28, 28, 1), "flatten")
    assert (lenet.multiply_adds, lenet.features) == (pytest.approx(90.7e6 * 28**2 / 299**2), 16 * 25)


def test_a_network_has_the_feature_map_that_its_cost_says(built: tuple[Any, keras.Model]) -> None:
    backbone, network = built
    side = backbone.smallest_side
    for pooling in ("max", "flatten"):
        extractor = models.build_extractor(network, pooling)
        assert extractor.output.shape == (None, backbone.cost((side, side + 13, 1), pooling).features)


@pytest.mark.parametrize("name", ["lenet", "mobilenet_v3_small"])
def test_a_seed_decides_the_weights(name: str) -> None:
    """Kinds share the code that draws: two small ones show it for all, with the test below."""
    backbone, network = built_once(name)
    backbone.draw(network, 1)
    first = network.get_weights()
    backbone.draw(network, 2)
    assert any(not np.array_equal(a, b) for a, b in zip(first, network.get_weights(), strict=True))
    backbone.draw(network, 1)
    for mine, theirs in zip(first, network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", KINDS)
def test_every_weight_is_drawn(name: str) -> None:
    _, network = built_once(name)
    leaves = list(leaf_layers(network))
    assert {id(weight) for leaf in leaves for weight in leaf.weights} == {id(weight) for weight in network.weights}
    for leaf in leaves:
        for weight in leaf.weights:
            assert isinstance(_initializer(leaf, weight.name), keras.initializers.Initializer)


@pytest.mark.parametrize("name", KINDS)
def test_fine_tuning_counts_blocks_from_the_last(name: str) -> None:
    """Blocks are stretches of a network's layers; of the last ones all is trained but batch normalisation."""
    backbone, network = built_once(name)
    blocks = backbone.blocks_of(network)
    assert [layer for block in blocks for layer in block] == network.layers
    assert len(blocks) == backbone.block_count
    assert all(any(layer.weights for layer in block) for block in blocks)
    # Names tell blocks in one stretch each: nothing of a block lies in another one.
    if backbone.block_names is not None:
        starts = [re.match(backbone.block_names, layer.name) for block in blocks for layer in block]
        stretches = [key for key, _ in itertools.groupby(start[0] for start in starts if start)]
        assert len(stretches) == len(set(stretches))
    backbone.freeze_all_but(network, 1)
    trained = {id(weight) for weight in network.trainable_weights}
    of_last = {id(weight) for layer in blocks[-1] for weight in layer.weights}
    assert trained
    assert trained <= of_last
    normalizations = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert not any(layer.trainable_weights for layer in normalizations)
    network.trainable = True
    with pytest.raises(BadStudy, match=f"{name} has {len(blocks)} blocks: expected at most that"):
        backbone.check(Model(architecture=name, weights="random", trainable=len(blocks) + 1), (99, 99, 1))


def test_images_are_prepared_as_the_family_does_itself() -> None:
    """Against keras.applications's own preprocess_input, or the layers that it puts in front."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 45, 1)).repeat(3, axis=-1).astype(np.float32)
    inputs = pixels / 127.5 - 1
    for name, module in (("resnet50", keras.applications.resnet50), ("densenet121", keras.applications.densenet)):
        mine = built_once(name)[1].get_layer("preprocessing")(inputs)
        np.testing.assert_allclose(mine, module.preprocess_input(pixels.copy()), rtol=1e-4, atol=1e-3)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(
        inputs * IMAGENET_SCALE + IMAGENET_OFFSET, (pixels / 255 - mean) / deviation, rtol=1e-4, atol=1e-5
    )


def test_what_a_backbone_cannot_take_is_refused_before_anything_runs() -> None:
    inception, lenet = find_backbone("inception_v3"), find_backbone("lenet")
    with pytest.raises(BadStudy, match="needs images of at least 75x75: the dataset's are 32x32"):
        inception.check(Model(), (32, 32, 1))
    with pytest.raises(BadStudy, match=r"model\.weights = 'imagenet': there are no weights for lenet: expected random"):
        lenet.check(Model(architecture="lenet"), (32, 32, 1))
    with pytest.raises(BadStudy, match=r"model\.weights = calibrated-random: lenet has none of this kind"):
        lenet.check(Model(architecture="lenet", weights="calibrated-random"), (32, 32, 1))
    with pytest.raises(BadStudy, match="they are to be frozen"):
        inception.check(Model(weights="calibrated-random", trainable=True), (99, 99, 1))
    inception.check(Model(weights="calibrated-random"), (99, 99, 1))
    with pytest.raises(BadStudy, match=r"model\.architecture = 'inception_v4': did you mean inception_v3"):
        find_backbone("inception_v4")


def test_random_is_what_keras_draws() -> None:
    """What calibrated-random is instead: test_calibrated_random."""
    backbone, network = built_once("mobilenet_v3_small")
    convolution = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    backbone.draw(network, 0)
    limit = np.sqrt(6 / (9 * 3 + 9 * 16))  # Glorot's, Keras's default
    assert np.abs(convolution.kernel.numpy()).max() == pytest.approx(limit, rel=0.02)
