"""LeNet (LeCun et al., Gradient-based learning applied to document recognition, 1998), up to its dense layers."""

from typing import TYPE_CHECKING

from rustk.planning.cost import BackboneCost
from rustk.training.backbones import base

if TYPE_CHECKING:
    import keras

_CHANNELS = 16


class Backbone(base.Backbone):
    """Two convolutions with average pooling: a baseline that is trained from random weights. Cost: its convolutions."""

    title = "LeNet"
    smallest_side = 12
    takes_weights = False
    block_count = 2

    def cost(self, image_shape: base.ImageShape, pooling: str) -> BackboneCost:
        height, width, *_ = image_shape
        places = _map_side(height) * _map_side(width) if pooling == "flatten" else 1
        return BackboneCost(90.7e6 * height * width / 299**2, _CHANNELS * places, self.block_count)

    def build(self, image_shape: base.ImageShape) -> "keras.Model":
        import keras

        inputs = keras.Input((image_shape[0], image_shape[1], 3))
        x = keras.layers.Conv2D(6, 5, padding="same", activation="tanh")(inputs)
        x = keras.layers.AveragePooling2D(2)(x)
        x = keras.layers.Conv2D(_CHANNELS, 5, padding="valid", activation="tanh")(x)
        return keras.Model(inputs, keras.layers.AveragePooling2D(2)(x), name="lenet")


def _map_side(side: int) -> int:
    """A side of the last map: halved by pooling, less 4 by the valid 5x5 convolution, halved again."""
    return ((side // 2) - 4) // 2
