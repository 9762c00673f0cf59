"""How training images are altered besides flips: turned, moved, and given another contrast, each image by its own draw.

Keras's layers, in this order. What they draw is decided by a training's seed and the epoch alone, as flips are, so that
a training that goes on from a checkpoint sees what it would have seen.
"""

import keras
import tensorflow as tf

from rustk.planning.sections import Training
from rustk.training.seeds import derive_seed

# What comes into view at an edge is what was seen there last.
_FILL = "nearest"


class Augmentation:
    """The alterations that a study's training asks for; `None` of them is no `Augmentation` (see `augmentation_of`)."""

    def __init__(self, training: Training) -> None:
        self._layers: dict[str, keras.Layer] = {}
        if training.rotation_degrees:
            turn = keras.layers.RandomRotation(training.rotation_degrees / 360, fill_mode=_FILL, seed=0)
            self._layers["rotation_degrees"] = turn
        if training.shift:
            self._layers["shift"] = keras.layers.RandomTranslation(
                training.shift, training.shift, fill_mode=_FILL, seed=0
            )
        if training.contrast:
            self._layers["contrast"] = keras.layers.RandomContrast(training.contrast, value_range=(-1, 1), seed=0)

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Let what is drawn from now on be what `seed` and `epoch` say."""
        for name, layer in self._layers.items():
            layer.generator.state.assign([derive_seed(name, seed, epoch), 0])

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """float32 [batch, height, width, channels] in [-1, 1], altered."""
        for layer in self._layers.values():
            images = layer(images, training=True)
        return images

    @property
    def in_effect(self) -> dict[str, float]:
        """How far each alteration goes, as read back from its layer; 0 of those that there are none of."""
        found = dict.fromkeys(("rotation_degrees", "shift", "contrast"), 0.0)
        for name, layer in self._layers.items():
            found[name] = float(layer.height_upper if name == "shift" else layer.factor[1])
        found["rotation_degrees"] *= 360
        return found


def augmentation_of(training: Training) -> Augmentation | None:
    """What alters this study's training images; None where only flips do."""
    return Augmentation(training) if training.alters_images else None
