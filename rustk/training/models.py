"""Models by the Keras 3 API alone: a backbone, pooling, and a head of dense layers that ends in 18 sigmoids.

The backbone maps images in [-1, 1] to a feature map. With pooling it is the *extractor*, whose output for a frozen
backbone is what the feature cache keeps; the *head* goes on from there. Extractor and head together are the model.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import keras

from rustk.planning.study import Model
from rustk.training.frozen import draw_frozen_inception
from rustk.training.seeds import derive_seed
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import LABELS

INCEPTION_V3 = "inception_v3"
LENET = "lenet"
_INCEPTION_MIN_SIDE = 75
# Raise it when equal settings and seeds must give other features than before: it is a part of every cache key.
FEATURES_VERSION = 1

ImageShape = tuple[int, int, int]


def build_backbone(model: Model, image_shape: ImageShape, seed: int) -> keras.Model:
    """A backbone with freshly drawn weights: [batch, height, width, 3] in [-1, 1] to a feature map.

    Raises BadStudy for an architecture that can't be imported or called, or can't take images of this shape.
    """
    shape = (image_shape[0], image_shape[1], 3)
    if model.architecture == LENET:
        backbone = _build_lenet(shape)
    elif model.architecture == INCEPTION_V3:
        if min(shape[:2]) < _INCEPTION_MIN_SIDE:
            raise BadStudy(
                f"inception_v3 needs images of at least {_INCEPTION_MIN_SIDE}x{_INCEPTION_MIN_SIDE}: the dataset's are "
                f"{shape[0]}x{shape[1]}"
            )
        backbone = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=shape)
    else:
        return _build_own(model.architecture, shape, seed)
    redraw_backbone(backbone, model, image_shape, seed)
    return backbone


def build_extractor(backbone: keras.Model, pooling: str) -> keras.Model:
    """The backbone with pooling after it: [batch, height, width, 3] to [batch, features]."""
    layer = keras.layers.GlobalMaxPooling2D(name="pool") if pooling == "max" else keras.layers.Flatten(name="pool")
    return keras.Model(backbone.input, layer(backbone.output), name="extractor")


def build_head(features: int, widths: Sequence[int], dropout: float, seed: int) -> keras.Model:
    """Dense relu layers with dropout after each, and 18 sigmoids: [batch, features] to [batch, 18]."""
    inputs = keras.Input((features,), name="features")
    x = inputs
    for number, width in enumerate(widths):
        x = keras.layers.Dense(width, activation="relu", name=f"head_dense_{number}")(x)
        # Without a rate there is no layer: a dropout layer of rate 0 is a copy for nothing.
        if dropout > 0:
            x = keras.layers.Dropout(dropout, seed=0, name=f"head_dropout_{number}")(x)
    outputs = keras.layers.Dense(len(LABELS), activation="sigmoid", name="labels")(x)
    head = keras.Model(inputs, outputs, name="head")
    draw_weights(head, seed)
    return head


def join(extractor: keras.Model, head: keras.Model) -> keras.Model:
    """The whole model, sharing its parts' layers: [batch, height, width, 3] in [-1, 1] to [batch, 18]."""
    return keras.Model(extractor.input, head(extractor.output), name="rustk")


def draw_weights(model: keras.Model, seed: int) -> None:
    """Set every weight and every dropout generator of a model to what `seed` says, whatever they were.

    Each layer's own initialisers draw, each from a seed of its own by its place in the model, so that models of equal
    layers and seeds are equal.
    """
    for number, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign([derive_seed("dropout", seed, number), 0])
        for variable in layer.weights:
            variable.assign(_draw(layer, variable, derive_seed("weights", seed, number, variable.name)))


def _draw(layer: keras.Layer, variable: Any, seed: int) -> Any:
    initializer = getattr(layer, f"{variable.name}_initializer")
    config = initializer.get_config()
    if "seed" in config:
        initializer = type(initializer).from_config(config | {"seed": seed})
    return initializer(tuple(variable.shape), dtype=variable.dtype)


def is_own(architecture: str) -> bool:
    """Whether an architecture is a function of the user's own."""
    return architecture not in (INCEPTION_V3, LENET)


def describe_layers(model: keras.Model) -> list[Any]:
    """The model's layers as their configurations, without the names that Keras counts up through a process."""
    return [[type(layer).__name__, {**layer.get_config(), "name": ""}] for layer in model.layers]


def redraw_backbone(backbone: keras.Model, model: Model, image_shape: ImageShape, seed: int) -> None:
    """Give a backbone, already built and perhaps traced, the weights that a new one of this seed would have."""
    if is_own(model.architecture):
        backbone.set_weights(_build_own(model.architecture, (*image_shape[:2], 3), seed).get_weights())
    else:
        draw_weights(backbone, seed)
        if not model.trainable and model.architecture == INCEPTION_V3:
            draw_frozen_inception(backbone, seed)


def _build_lenet(shape: ImageShape) -> keras.Model:
    """LeCun et al., Gradient-based learning applied to document recognition (1998), up to its dense layers."""
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(6, 5, padding="same", activation="tanh")(inputs)
    x = keras.layers.AveragePooling2D(2)(x)
    x = keras.layers.Conv2D(16, 5, padding="valid", activation="tanh")(x)
    return keras.Model(inputs, keras.layers.AveragePooling2D(2)(x), name=LENET)


def _build_own(architecture: str, shape: ImageShape, seed: int) -> keras.Model:
    module_name, _, function_name = architecture.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise BadStudy(
            f"model.architecture {architecture!r} can't be imported: {error}; its module must be installed, or lie in "
            "the working directory"
        ) from error
    backbone = function(image_shape=shape, seed=seed)
    expected = f"model.architecture {architecture!r}: expected a keras.Model from [batch, {shape[0]}, {shape[1]}, 3]"
    if not isinstance(backbone, keras.Model):
        raise BadStudy(f"{expected}, it returned a {type(backbone).__name__}")
    if tuple(backbone.input.shape[1:]) != shape or len(backbone.output.shape) != 4:
        raise BadStudy(
            f"{expected} to a feature map [batch, height, width, channels], it maps {list(backbone.input.shape)} to "
            f"{list(backbone.output.shape)}"
        )
    return backbone
