"""A network's first weights: what its layers' own initialisers draw, as a seed says and nothing else."""

from collections.abc import Iterator
from typing import Any

import keras

from rustk.training.seeds import derive_seed


def draw_weights(model: keras.Model, seed: int) -> None:
    """Set every weight and every dropout generator of a model to what `seed` says, whatever they were.

    Each layer's own initialisers draw, each from a seed of its own by its place in the model, so that models of equal
    layers and seeds are equal. Raises TypeError for a layer that does not say how a weight of its begins.
    """
    for number, layer in enumerate(leaf_layers(model)):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign([derive_seed("dropout", seed, number), 0])
        for variable in layer.weights:
            variable.assign(_draw(layer, variable, derive_seed("weights", seed, number, variable.name)))


def leaf_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers that are no models themselves, in order, those of models within the model at their places."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def _draw(layer: keras.Layer, variable: Any, seed: int) -> Any:
    initializer = _initializer(layer, variable.name)
    config = initializer.get_config()
    if "seed" in config:
        initializer = type(initializer).from_config(config | {"seed": seed})
    return initializer(tuple(variable.shape), dtype=variable.dtype)


def _initializer(layer: keras.Layer, name: str) -> Any:
    found = getattr(layer, f"{name}_initializer", None)
    if found is None and name == "kernel":
        found = getattr(layer, "depthwise_initializer", None)
    if found is None and hasattr(layer, "init_values"):  # ConvNeXt's scale of a block
        found = keras.initializers.Constant(layer.init_values)
    if found is None:
        kind = type(layer).__name__
        raise TypeError(f"layer {layer.name} ({kind}) has no {name}_initializer: the backbone needs a draw of its own")
    return found
