"""Models by the Keras 3 API alone: a backbone, pooling, and a head of dense layers that ends in logits.

The backbone maps images in [-1, 1] to a feature map. With pooling it is the *extractor*, whose output for a frozen
backbone is what the feature cache keeps; the *head* goes on from there. Extractor, head and what the objective makes of
its logits are together the model that is saved.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from rustk.training.initial_weights import draw_weights
from rustk.training.objectives import Objective


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let layers that are made in this block compute in `precision`, float32 or bfloat16. Weights are float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_extractor(backbone: keras.Model, pooling: str) -> keras.Model:
    """The backbone with pooling after it: [batch, height, width, 3] to [batch, features]."""
    layer = keras.layers.GlobalMaxPooling2D(name="pool") if pooling == "max" else keras.layers.Flatten(name="pool")
    return keras.Model(backbone.input, layer(backbone.output), name="extractor")


def build_head(features: int, widths: Sequence[int], dropout: float, outputs: int, seed: int) -> keras.Model:
    """Dense relu layers with dropout after each, and a linear one: [batch, features] to logits [batch, outputs]."""
    inputs = keras.Input((features,), name="features")
    x = inputs
    for number, width in enumerate(widths):
        x = keras.layers.Dense(width, activation="relu", name=f"head_dense_{number}")(x)
        # Without a rate there is no layer: a dropout layer of rate 0 is a copy for nothing.
        if dropout > 0:
            x = keras.layers.Dropout(dropout, seed=0, name=f"head_dropout_{number}")(x)
    # Losses are computed from float32, whatever the layers before compute in.
    head = keras.Model(inputs, keras.layers.Dense(outputs, name="logits", dtype="float32")(x), name="head")
    draw_weights(head, seed)
    return head


def join(extractor: keras.Model, head: keras.Model, objective: Objective | None = None) -> keras.Model:
    """The whole model, sharing its parts' layers: [batch, height, width, 3] in [-1, 1] to a probability for each label,
    [batch, labels]; without an objective, to logits."""
    logits = head(extractor.output)
    return keras.Model(extractor.input, objective.probabilities(logits) if objective else logits, name="rustk")
