"""Where a training step gets its inputs from: cached features, or images on their way through the whole model."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

# The four outcomes of the two random flips, in the order of the cache: flip = horizontal + 2 * vertical.
FLIPS = ("none", "horizontal", "vertical", "both")


class Source(Protocol):
    """Inputs of the network by image and flip, resident in memory and looked up within the traced step."""

    images: int
    predict_batch: int  # how many images to put through the network at once where nothing is trained

    def take(self, indices: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
        """The network's input for images `indices` (int32 [batch]) flipped as `flips` says (int32 [batch], 0-3)."""


class FeatureSource:
    """Features of a frozen backbone, float32 [images, 4, features] in the order of `FLIPS`.

    made_by: the architecture and the pooling that made them.
    """

    def __init__(self, features: npt.NDArray[np.float32], made_by: Mapping[str, str] | None = None) -> None:
        self.made_by = dict(made_by or {})
        self.images, _, self.width = features.shape
        self.predict_batch = self.images
        self._rows = tf.constant(features.reshape(-1, self.width))  # [images * 4, features]

    def take(self, indices: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._rows, indices * len(FLIPS) + flips)  # [batch, features]


class ImageSource:
    """Grey images, uint8 [images, height, width], which the network gets as float32 [batch, height, width, 3]."""

    predict_batch = 32

    def __init__(self, images: npt.NDArray[np.uint8]) -> None:
        self.images = len(images)
        self._images = tf.constant(images)

    def take(self, indices: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
        return to_inputs(flip(tf.gather(self._images, indices), flips))


def flip(images: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
    """Flip each image of [batch, height, width] as `flips` (int32 [batch], the order of `FLIPS`) says."""
    horizontal = tf.cast(flips % 2, tf.bool)[:, None, None]
    vertical = tf.cast(flips // 2, tf.bool)[:, None, None]
    images = tf.where(horizontal, tf.reverse(images, axis=[2]), images)
    return tf.where(vertical, tf.reverse(images, axis=[1]), images)


def to_inputs(images: tf.Tensor) -> tf.Tensor:
    """Grey uint8 [batch, height, width] to the backbone's float32 [batch, height, width, 3] in [-1, 1]."""
    scaled = tf.cast(images, tf.float32) / 127.5 - 1.0
    return tf.repeat(scaled[..., None], 3, axis=-1)
